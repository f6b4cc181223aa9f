"""Puts a piece of a module's graph into the coordinates of the graph around it: pure functions on protos.

Every op of the piece goes under a scope. What is not of the piece but stands in it by name (a fed tensor, a state op)
keeps the name that it has outside.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from hubplug_tf1._graph.subgraph import inner_context, op_name

FRAMES = frozenset({"Enter", "RefEnter"})
"""The ops that open the frame of a loop, which has a name of its own."""


def rename_node(node: Any, inputs: Sequence[str], prefix: str) -> None:
    """Puts a NodeDef under a scope, in place.

    Args:
        node: The proto.
        inputs: Its inputs, which may also be read from it, more slowly.
        prefix: The scope, with its ``/``.
    """
    node.name = prefix + node.name
    if inputs:
        node.input[:] = ["^" + prefix + name[1:] if name[0] == "^" else prefix + name for name in inputs]
    if node.op in FRAMES:
        # Frames are told apart by name alone, not by the ops in them.
        node.attr["frame_name"].s = prefix.encode() + node.attr["frame_name"].s


def rename_context(context: Any, prefix: str, imported: Collection[str], renamed: Callable[[str], str]) -> None:
    """Renames a CondContextDef or WhileContextDef in place, and those nested in it.

    Args:
        context: The proto.
        prefix: The scope, with its ``/``.
        imported: The ops of the piece, by their names in the module.
        renamed: From the name of a tensor or op in the module to its name in the graph around.
    """
    context.context_name = prefix + context.context_name
    for field in ("pred_name", "pivot_name", "pivot_for_pred_name", "pivot_for_body_name", "maximum_iterations_name"):
        if getattr(context, field, ""):
            setattr(context, field, renamed(getattr(context, field)))
    for field in ("loop_exit_names", "loop_enter_names"):
        if hasattr(context, field):
            names = getattr(context, field)
            names[:] = [renamed(name) for name in names]
    values = context.values_def
    external = dict(values.external_values)
    # Restoring a context takes hold of every op that it has; a state op or a fed tensor is not its own.
    values.values[:] = sorted(renamed(name) for name in values.values if name in external or op_name(name) in imported)
    values.external_values.clear()
    for outside, inside in external.items():
        values.external_values[renamed(outside)] = renamed(inside)
    for nested in context.nested_contexts:
        rename_context(inner_context(nested), prefix, imported, renamed)


def rename_functions(graph_def: Any, suffix: str) -> None:
    """Appends a suffix to the names of all functions of a GraphDef, in place.

    Under eager execution the functions of a process are told apart by name alone, and one that is freed takes those of its
    name with it.
    """
    names = {function.signature.name: function.signature.name + suffix for function in graph_def.library.function}
    if not names:
        return
    _rename_calls(graph_def.node, names)
    for function in graph_def.library.function:
        function.signature.name = names[function.signature.name]
        _rename_calls(function.node_def, names)
        for value in function.attr.values():
            # Alternative implementations of one function name each other in string attributes.
            if value.s and (text := value.s.decode("utf-8", "replace")) in names:
                value.s = names[text].encode()
    for gradient in graph_def.library.gradient:
        gradient.function_name = names.get(gradient.function_name, gradient.function_name)
        gradient.gradient_func = names.get(gradient.gradient_func, gradient.gradient_func)


def _rename_calls(nodes: Iterable[Any], names: Mapping[str, str]) -> None:
    for node in nodes:
        node.op = names.get(node.op, node.op)
        _rename_in(node.attr, names)


def _rename_in(attributes: Mapping[str, Any], names: Mapping[str, str]) -> None:
    for value in attributes.values():
        kind = value.WhichOneof("value")
        for function in [value.func] if kind == "func" else value.list.func if kind == "list" else ():
            function.name = names.get(function.name, function.name)
            _rename_in(function.attr, names)
