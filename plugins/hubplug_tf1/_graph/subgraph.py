"""Which part of a GraphDef some of its elements need: pure functions on protos, no TensorFlow graph.

A data input of a NodeDef is named ``x`` or ``x:0``, a control edge from the op ``x`` is ``^x``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any


def op_name(element: str) -> str:
    """The op that a NodeDef input, a tensor name or an op name refers to."""
    return element.removeprefix("^").partition(":")[0]


def tensor_name(element: str) -> str:
    """The full name of a data input: ``x`` is ``x:0``."""
    return element if ":" in element else element + ":0"


def needed_nodes(
    nodes: Mapping[str, Any], roots: Iterable[str], *, cut_tensors: Collection[str] = (), cut_ops: Collection[str] = ()
) -> set[str]:
    """The ops that the roots depend on, themselves included, through data and control edges.

    Args:
        nodes: NodeDefs by name.
        roots: Names of ops (``x``) or tensors (``x:0``).
        cut_tensors: Full names of tensors that are provided from outside: what only they need is left out.
        cut_ops: Ops whose outputs and execution are provided from outside.
    """
    found: set[str] = set()
    waiting = [op_name(root) for root in roots if not (":" in root and root in cut_tensors)]
    while waiting:
        name = waiting.pop()
        if name in found or name in cut_ops:
            continue
        found.add(name)
        waiting.extend(
            op_name(element)
            for element in nodes[name].input
            if element[0] == "^" or tensor_name(element) not in cut_tensors
        )
    return found


def dependent_nodes(
    nodes: Mapping[str, Any],
    sources: Iterable[str],
    *,
    cut_tensors: Collection[str] = (),
    cut_ops: Collection[str] = (),
) -> set[str]:
    """The ops that depend on one of the ops ``sources``, these included; the other direction of ``needed_nodes``."""
    consumers: dict[str, list[str]] = {}
    for name, node in nodes.items():
        for element in node.input:
            if element[0] == "^" or tensor_name(element) not in cut_tensors:
                consumers.setdefault(op_name(element), []).append(name)
    found: set[str] = set()
    waiting = list(sources)
    while waiting:
        name = waiting.pop()
        if name not in found and name not in cut_ops:
            found.add(name)
            waiting.extend(consumers.get(name, ()))
    return found


def with_whole_contexts(
    contexts: Iterable[tuple[str, Any]], roots: Iterable[str], needed: Callable[[Iterable[str]], set[str]]
) -> tuple[set[str], list[tuple[str, Any]]]:
    """The ops needed by the roots, and the control-flow contexts among them, each of those complete.

    A while frame of which a loop variable is missing has no gradient, and its context cannot be restored.

    Args:
        contexts: CondContextDefs and WhileContextDefs that are in no other context, each with the key of its collection.
        roots: What is asked for.
        needed: From roots to the ops that they depend on.

    Returns:
        The ops, and those of the contexts that have one of them.
    """
    roots = list(roots)
    left = [(each, context_members(each[1])) for each in contexts]
    whole: list[tuple[str, Any]] = []
    while True:
        found = needed(roots)
        met = [each for each, members in left if not members.isdisjoint(found)]
        if not met:
            return found, whole
        left = [(each, members) for each, members in left if members.isdisjoint(found)]
        whole.extend(met)
        for _, context in met:
            roots.extend(context_elements(context))


def context_members(context: Any) -> set[str]:
    """The ops inside a CondContextDef or WhileContextDef, as far as it lists them: those that have outputs."""
    values = context.values_def
    return {op_name(element) for element in set(values.values) - set(values.external_values)}


def context_elements(context: Any) -> set[str]:
    """The tensors and ops that must exist so that a CondContextDef or WhileContextDef can be restored."""
    values = context.values_def
    found = set(values.values) - set(values.external_values)
    found.update(values.external_values.values())
    for field in ("pred_name", "pivot_name", "pivot_for_pred_name", "pivot_for_body_name", "maximum_iterations_name"):
        found.add(getattr(context, field, ""))
    for field in ("loop_exit_names", "loop_enter_names"):
        found.update(getattr(context, field, ()))
    for nested in context.nested_contexts:
        found |= context_elements(inner_context(nested))
    return found - {""}


def inner_context(control_flow_context: Any) -> Any:
    """The CondContextDef or WhileContextDef that a ControlFlowContextDef holds."""
    return getattr(control_flow_context, control_flow_context.WhichOneof("ctxt"))


def reachable_functions(functions: Mapping[str, Any], nodes: Iterable[Any], gradients: Mapping[str, str]) -> set[str]:
    """The functions of a library that some nodes call, directly or through other functions.

    Args:
        functions: FunctionDefs by name.
        nodes: NodeDefs.
        gradients: Function name -> name of the function that is its gradient.
    """
    found: set[str] = set()
    waiting = [name for node in nodes for name in _called(node.op, node.attr)]
    while waiting:
        name = waiting.pop()
        if name in found or name not in functions:
            continue
        found.add(name)
        function = functions[name]
        waiting.extend(called for node in function.node_def for called in _called(node.op, node.attr))
        # Alternative implementations of one function name each other in string attributes.
        waiting.extend(value.s.decode("utf-8", "replace") for value in function.attr.values() if value.s)
        if name in gradients:
            waiting.append(gradients[name])
    return found


def _called(op_type: str, attributes: Mapping[str, Any]) -> Sequence[str]:
    called = [op_type]
    for value in attributes.values():
        kind = value.WhichOneof("value")
        if kind == "func":
            called.append(value.func.name)
            called.extend(_called("", value.func.attr))
        elif kind == "list":
            called.extend(function.name for function in value.list.func)
    return called
