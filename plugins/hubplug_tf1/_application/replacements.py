"""What stands in the graph around for those tensors of a module that an application does not make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf


class Replacements:
    """What stands in the current graph for tensors of the module that are not imported: fed ones, and its state.

    In a function graph, what belongs to a graph around it is captured.
    """

    def __init__(self, fed: Mapping[str, tf.Tensor], state: Callable[[str], tf.Tensor | None], graph: tf.Graph) -> None:
        """Starts from fed tensors by their names in the module, and a lookup of the tensors of state ops."""
        self._fed = fed
        self._state = state
        self._graph = graph
        self._captured: dict[str, tf.Tensor] = {}

    def get(self, name: str) -> tf.Tensor | None:
        """What stands for a tensor (``x:0``); None if that is imported."""
        tensor = self._fed[name] if name in self._fed else self._state(name)
        if tensor is None or tensor.graph is self._graph or not hasattr(self._graph, "capture"):
            return tensor
        if name not in self._captured:
            self._captured[name] = _capture(self._graph, tensor)
        return self._captured[name]

    def original(self, name: str) -> tf.Tensor:
        """What stands for a tensor, as it is in the graph that it belongs to."""
        tensor = self._fed[name] if name in self._fed else self._state(name)
        if tensor is None:
            raise KeyError(name)
        return tensor

    def __getitem__(self, name: str) -> tf.Tensor:
        tensor = self.get(name)
        if tensor is None:
            raise KeyError(name)
        return tensor

    def groups(self, name: str) -> tuple[Sequence[bytes], str] | None:
        """The colocation groups of what stands for a tensor, and why; None if the tensor is imported."""
        tensor = self.get(name)
        if tensor is None:
            return None
        # An argument of a function is not an op of the graph that runs: nothing can be colocated with it.
        groups = () if name in self._captured else tensor.op.colocation_groups()
        return groups, f"input {name!r} is substituted by {tensor.name!r}"


def _capture(graph: Any, tensor: tf.Tensor) -> tf.Tensor:
    if tensor.dtype != tensor.dtype.base_dtype:
        # References cannot be arguments of functions; what can be read of them can.
        with tensor.graph.as_default(), tf.control_dependencies(None):
            tensor = tf.identity(tensor)
    return graph.capture(tensor)
