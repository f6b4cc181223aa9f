"""How a node of TensorFlow is replaced in the graphs of tf2onnx."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tf2onnx import utils

# What tf2onnx calls for an op: with the graph, the node, its name, and arguments of its own.
Handler = Callable[[Any, Any, str, Sequence[Any]], None]


class Maker:
    """Makes nodes in the place of one."""

    def __init__(self, ctx: Any, node: Any) -> None:
        self._ctx = ctx
        self._name = node.name
        self._outputs = list(node.output)
        self.dtype = ctx.get_dtype(self._outputs[0])
        self._shape = ctx.get_shape(self._outputs[0])

    @property
    def number(self) -> Any:
        """The dtype of numpy that the output has."""
        return utils.map_onnx_to_numpy_type(self.dtype)

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """The output of a new node."""
        made: str = self._ctx.make_node(op, list(inputs), attr=attributes, op_name_scope=self._name).output[0]
        return made

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        """A new constant."""
        made: str = self._ctx.make_const(utils.make_name(self._name), np.asarray(value, dtype)).output[0]
        return made

    def replace(self, value: str) -> None:
        """The node is gone, and its output is this value."""
        self._ctx.remove_node(self._name)
        self._ctx.make_node(
            "Identity",
            [value],
            name=self._name,
            outputs=self._outputs,
            dtypes=[self.dtype],
            shapes=[self._shape],
        )
