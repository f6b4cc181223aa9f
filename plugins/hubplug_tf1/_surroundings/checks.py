"""Questions about graphs with a sentence for an answer: each function says what is wrong, or None."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import tensorflow as tf

from hubplug_tf1._graph.protos import registered_op_def


def find_missing_ops(meta_graph: Any) -> list[str]:
    """The op types that a MetaGraphDef needs and this process does not know, sorted."""
    graph_def = meta_graph.graph_def
    used = {definition.name for definition in meta_graph.meta_info_def.stripped_op_list.op}
    used.update(node.op for node in graph_def.node)
    used.update(node.op for function in graph_def.library.function for node in function.node_def)
    used -= {function.signature.name for function in graph_def.library.function}
    return sorted(name for name in used if registered_op_def(name) is None)


def missing_ops_hint(missing: Iterable[str]) -> str:
    """What to do about missing ops: the packages that bring them, as far as they are known."""
    from hubplug_format import OpRegistry

    registry = OpRegistry.bundled()
    packages = sorted({package for name in missing if (package := registry.package_of(name))})
    if not packages:
        return "import the Python package, or tf.load_op_library() the library, that defines them, before making the Module"
    return "; ".join(
        f"`pip install {package}` and `import {package.replace('-', '_')}` before making the Module"
        for package in packages
    )


def find_graph_error(module_graph: Any, current_graph: Any) -> str | None:
    """Says so if a module of one graph cannot be applied in another.

    A function graph (of ``tf.function``, v2 control flow or ``Dataset.map``) belongs to the graph around it.
    """
    graph = current_graph
    while graph is not None:
        if graph is module_graph:
            return None
        graph = getattr(graph, "outer_graph", None)
    return "Module must be applied in the graph it was instantiated for."


def find_scope_error(graph: Any, scope: str) -> tuple[str, str] | None:
    """Says so if a variable scope is free but something holds the name scope; and names one op that does."""
    with tf.compat.v1.name_scope(None):
        if graph.unique_name(scope, mark_as_used=False) == scope:
            return None
    holder = next((op.name for op in graph.get_operations() if (op.name + "/").startswith(scope + "/")), None)
    taken = f" by the op {holder!r}" if holder else ""
    return (
        f"variable_scope {scope}/ was unused but the corresponding name_scope was already taken{taken}.",
        "give the Module another name=, or make it before the ops of that name",
    )


def find_taken_name(graph: Any, prefix: str, names: Collection[str]) -> str | None:
    """An op that a graph has already, of those that are to be added to it under a prefix."""
    there = (op.name for op in graph.get_operations())
    return next((name for name in there if name.startswith(prefix) and name[len(prefix) :] in names), None)


def find_foreign_input_error(graph: Any, fed: Mapping[str, Any]) -> str | None:
    """Says so if a fed tensor belongs to a graph from which it cannot come here."""
    for name, tensor in fed.items():
        if tensor.graph is not graph and find_graph_error(tensor.graph, graph) is not None:
            return f"The tensor {tensor.name!r}, fed for {name!r}, is from another graph than the current one."
    return None


def shares_collection(graph: Any, key: str) -> bool:
    """Whether a function graph has one and the same collection as the graph around it.

    Ops of a function in a collection of the graph around it could not be run there.
    """
    outer = getattr(graph, "outer_graph", None)
    return outer is not None and graph.get_collection_ref(key) is outer.get_collection_ref(key)
