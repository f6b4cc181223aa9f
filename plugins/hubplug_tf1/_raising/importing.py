"""What brings a graph without references into a function's graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from hubplug_tf1._graph.colocation import ATTRIBUTE
from hubplug_tf1._graph.subgraph import op_name

_RAISED = frozenset({"Enter", "Exit", "Merge", "Switch", "NextIteration", "LoopCond", "TensorArrayV3"})


def import_raised(
    graph_def: Any, input_map: Mapping[str, Any], return_elements: Sequence[str], *, name: str = ""
) -> list[Any]:
    """Imports a GraphDef into the current graph; in a function's graph with control flow that has gradients there.

    Without control flow and arrays of TensorFlow 1, and in a graph that is no function's, this is ``tf.import_graph_def``.

    Args:
        graph_def: A graph without references (see ``resource_graph``); it is not changed.
        input_map: By name of a tensor in the graph what is in its place; also tensors and eager tensors from around
            the function, which it captures. An op of which an output is replaced counts as replaced: what waits for
            it does not wait.
        return_elements: Names of tensors and ops.
        name: The name scope; ``""`` for none.

    Returns:
        Tensors and operations; for an op in a condition the one that stands for the condition.

    Raises:
        RaisingError: The control flow does not add up, or has no equal.
        ValueError: The GraphDef cannot be imported, or an element is not there.
    """
    graph = tf.compat.v1.get_default_graph()
    prepared = _without_replaced_controls(graph_def, input_map)
    tensors = {key: _within(graph, value) for key, value in input_map.items()}
    return _import(prepared, tensors, return_elements, name)


def _import(graph_def: Any, tensors: Mapping[str, Any], return_elements: Sequence[str], name: str) -> list[Any]:
    used = {each if ":" in each else each + ":0" for node in graph_def.node for each in node.input if each[0] != "^"}
    wanted = [each for each in return_elements if each not in tensors]
    found: Iterable[Any] = tf.import_graph_def(
        graph_def,
        input_map={key: value for key, value in tensors.items() if key in used},
        return_elements=wanted,
        name=name,
    )
    by_name = dict(zip(wanted, found, strict=True))
    return [tensors[each] if each in tensors else by_name[each] for each in return_elements]


def _within(graph: Any, value: Any) -> Any:
    """A tensor as this graph has it."""
    if getattr(value, "graph", None) is graph:
        return value
    if hasattr(graph, "capture"):
        return graph.capture(value)
    return tf.convert_to_tensor(value)


def _without_replaced_controls(graph_def: Any, input_map: Iterable[str]) -> Any:
    """A copy without colocation, which is for resources what their handles say, and without edges from what is replaced."""
    copy = tf.compat.v1.GraphDef()
    copy.CopyFrom(graph_def)
    replaced = {"^" + op_name(each) for each in input_map}
    for node in copy.node:
        if ATTRIBUTE in node.attr:
            del node.attr[ATTRIBUTE]
        if any(each in replaced for each in node.input):
            node.input[:] = [each for each in node.input if each not in replaced]
    return copy
