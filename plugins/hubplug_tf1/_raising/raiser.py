"""What all functions of a graph that is being raised share: its ops and functions, small constants, dtypes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf

from hubplug_tf1._graph.protos import registered_op_def
from hubplug_tf1._graph.subgraph import tensor_name
from hubplug_tf1._raising.conditions import Scope
from hubplug_tf1._raising.frames import Loop, Tensor
from hubplug_tf1._raising.values import Values


class Raiser:
    """A graph that is being raised.

    Attributes:
        targets: Ops that are to run although nothing may take what they give.
        constants: By name those that are so small that each function can have them.
    """

    def __init__(
        self,
        graph_def: Any,
        provided: Mapping[str, Any],
        scopes: Mapping[Loop | None, Scope],
        targets: Iterable[str],
        make_loop: Callable[[Raiser, Loop, Values], None],
    ) -> None:
        self.graph_def = graph_def
        self.scopes = scopes
        self.targets = frozenset(targets)
        self.make_loop = make_loop
        self._provided = provided
        self.functions = {each.signature.name: each for each in graph_def.library.function}
        self.gradients = {each.function_name: each.gradient_func for each in graph_def.library.gradient}
        self.constants = {node.name: _constant(node) for node in graph_def.node if _is_small_constant(node)}
        self.plans: dict[Loop, Any] = {}
        self._dtypes: Callable[[Tensor], Any] | None = None

    def dtype(self, tensor: Tensor) -> Any:
        """Of what type a tensor of the graph is; asked for rarely, and costs an import."""
        if self._dtypes is None:
            with tf.Graph().as_default() as graph:
                used = {tensor_name(each) for node in self.graph_def.node for each in node.input if each[0] != "^"}
                stand_ins = {
                    name: tf.compat.v1.placeholder(value.dtype)
                    for name, value in self._provided.items()
                    if name in used
                }
                tf.import_graph_def(self.graph_def, stand_ins, name="")
            self._dtypes = lambda each: graph.get_tensor_by_name(f"{each[0]}:{each[1]}").dtype
        return self._dtypes(tensor)

    def function_def(self, name: str) -> Any:
        """A function of the library, or what is known of an op."""
        return self.functions[name].signature if name in self.functions else registered_op_def(name)


def _is_small_constant(node: Any) -> bool:
    return node.op == "Const" and node.ByteSize() <= 512


def _constant(node: Any) -> Any:
    copy = tf.compat.v1.NodeDef()
    copy.CopyFrom(node)
    del copy.input[:]
    return copy
