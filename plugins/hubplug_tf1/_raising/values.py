"""What there is already of a graph that is being raised, and how a function's graph gets at it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from hubplug_tf1._raising.frames import Tensor


class Values:
    """What there is already, in one function's graph or piece of one, and in those around it."""

    def __init__(self, around: Values | None) -> None:
        self.tensors: dict[Tensor, Any] = {}
        self.ops: dict[str, Any] = {}
        self.same: dict[Tensor, Tensor] = {}
        self._around = around

    def find(self, tensor: Tensor) -> Any:
        """The tensor, wherever it is, or None."""
        values: Values | None = self
        while values is not None:
            if tensor in values.tensors:
                return values.tensors[tensor]
            if tensor[0] in values.ops and tensor[1] < len(values.ops[tensor[0]].outputs):
                return values.ops[tensor[0]].outputs[tensor[1]]
            if tensor in values.same:
                tensor = values.same[tensor]
                values = self
            else:
                values = values._around
        return None

    def source(self, tensor: Tensor) -> Tensor:
        """What a tensor is another name for."""
        values: Values | None = self
        while values is not None:
            if tensor in values.same:
                tensor = values.same[tensor]
                values = self
            else:
                values = values._around
        return tensor

    def op(self, name: str, graph: Any) -> Any:
        """What to wait for in place of an op in a graph; None if what is there is there because that has run."""
        values: Values | None = self
        while values is not None:
            if name in values.ops:
                return values.ops[name] if values.ops[name].graph is graph else None
            values = values._around
        return None


def within(graph: Any, tensor: Any) -> Any:
    """A tensor of a graph, or of one around it, as the graph has it."""
    if getattr(tensor, "graph", None) is graph:
        return tensor
    return graph.capture(tensor) if hasattr(graph, "capture") else tf.compat.v2.convert_to_tensor(tensor)
