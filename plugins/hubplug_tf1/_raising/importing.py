"""What brings a graph without references into a function's graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import tensorflow as tf

from hubplug_tf1._errors import RaisingError
from hubplug_tf1._graph.colocation import ATTRIBUTE
from hubplug_tf1._graph.subgraph import needed_nodes, op_name
from hubplug_tf1._raising.conditions import Scope, scopes_of
from hubplug_tf1._raising.emission import Region
from hubplug_tf1._raising.frames import find_loops, read_ops
from hubplug_tf1._raising.lists import use_lists
from hubplug_tf1._raising.loops import make_loop
from hubplug_tf1._raising.raiser import Raiser
from hubplug_tf1._raising.values import Values

_RAISED = frozenset({"Enter", "Exit", "Merge", "Switch", "NextIteration", "LoopCond", "TensorArrayV3"})
_REFUSED = frozenset(
    {
        "StackV2",
        "StackPushV2",
        "StackPopV2",
        "TensorArrayGradV3",
        "TensorArrayGradWithShape",
        "TensorArrayV2",
        "TensorArray",
    }
)
_HINT = "use the module in a graph of TensorFlow 1"


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
    if hasattr(graph, "capture") and any(node.op in _RAISED for node in prepared.node):
        return _raise(prepared, tensors, return_elements, name)
    return _import(prepared, tensors, return_elements, name)


def _raise(graph_def: Any, tensors: Mapping[str, Any], return_elements: Sequence[str], name: str) -> list[Any]:
    nodes = {node.name: node for node in graph_def.node}
    wanted = [each for each in return_elements if each not in tensors]
    for each in wanted:
        if op_name(each) not in nodes:
            raise ValueError(f"{each!r} is not in the graph")
    try:
        needed = needed_nodes(nodes, wanted, cut_tensors=tensors.keys())
    except KeyError as error:
        raise RaisingError(
            f"The graph lacks the op {error.args[0]!r}, which others take something from",
            hint="the module's graph is damaged; fetch it anew",
        ) from None
    del graph_def.node[:]
    graph_def.node.extend(node for each, node in nodes.items() if each in needed)
    use_lists(graph_def)
    ops = read_ops(graph_def.node, tensors.keys())
    refused = next((op for op in ops.values() if op.type in _REFUSED), None)
    if refused:
        raise RaisingError(
            f"Op {refused.name!r} ({refused.type}) is of a gradient or array of TensorFlow 1 and has no equal in functions "
            "of TensorFlow 2",
            hint="use the module in a graph of TensorFlow 1",
        )
    loops, loop_of = find_loops(ops)
    scopes = scopes_of(ops, loops, loop_of)
    targets = [each for each in wanted if ":" not in each]
    values = Values(None)
    for key, value in tensors.items():
        op, _, index = key.partition(":")
        values.tensors[op, int(index)] = value
    root = scopes[None]
    raiser = Raiser(graph_def, tensors, scopes, targets, make_loop)
    with tf.compat.v2.name_scope(name) if name else nullcontext():
        region = Region(raiser, root, list(root.items.values()), frozenset(), values)
        try:
            region.make()
        except RecursionError:
            raise RaisingError(
                "Loops and conditions are nested too deeply for functions of TensorFlow 2", hint=_HINT
            ) from None
        return [tensors[each] if each in tensors else _result(each, region, root) for each in return_elements]


def _result(element: str, region: Region, root: Scope) -> Any:
    name, _, index = element.partition(":")
    item = root.items.get(root.producers.get(name, ""))
    if item is None:
        raise RaisingError(f"{element!r} is in a loop and cannot be asked for by itself", hint=_HINT)
    if not index:
        return region.op(name)
    if root.context_of((name, int(index))) != ():
        raise RaisingError(f"Tensor {element!r} is there under a condition only", hint=_HINT)
    return region.tensor((name, int(index)), name)


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
    return tf.compat.v2.convert_to_tensor(value)


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
