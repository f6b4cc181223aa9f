"""What a graph has, and how something is imported into it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

_UNCHECKED = "validate_colocation_constraints"


def import_beside_existing_ops(graph_def: Any, input_map: Mapping[str, Any]) -> None:
    """Imports a GraphDef whose ops may be colocated with ops that the current graph has already.

    ``tf.import_graph_def`` refuses a constraint on an op that is not in the GraphDef itself. By public means an op gets
    the device of that op instead, where it asks for none.
    """
    try:
        from tensorflow.python.framework.importer import _import_graph_def_internal as import_unchecked
    except ImportError:
        import_unchecked = None
    if import_unchecked and _UNCHECKED in inspect.signature(import_unchecked).parameters:
        import_unchecked(graph_def, input_map=dict(input_map), name="", **{_UNCHECKED: False})
        return
    graph = tf.compat.v1.get_default_graph()
    own = {b"loc:@" + node.name.encode() for node in graph_def.node}
    for node in graph_def.node:
        groups: Any = node.attr["_class"].list.s if "_class" in node.attr else []
        outside = [group for group in groups if group.startswith(b"loc:@") and group not in own]
        for group in outside:
            groups.remove(group)
            node.device = node.device or graph.get_operation_by_name(group[len(b"loc:@") :].decode()).device
        if outside and not groups:
            del node.attr["_class"]
    tf.import_graph_def(graph_def, input_map=dict(input_map), name="")


def operations_of(graph: Any) -> Sequence[Any]:
    """The ops of a graph in the order in which they were made; not to be changed.

    The public ``get_operations`` copies the list, which takes the longer the larger the graph is.
    """
    operations: Sequence[Any] | None = getattr(graph, "operations", None)
    return graph.get_operations() if operations is None else operations
