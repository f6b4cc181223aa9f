"""How nodes of a module get into a function."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import Any

import tensorflow as tf

from hubplug_tf1._graph.renaming import rename_functions

_numbers = count(1)
_SCOPE = "module"


def import_nodes(graph_def: Any, provided: Mapping[str, Any], wanted: Sequence[str]) -> list[Any]:
    """Imports nodes into the current graph.

    Args:
        graph_def: Nodes and functions.
        provided: By full name of a tensor that nodes take, what stands for it.
        wanted: Names of tensors (``x:0``) and ops (``x``).

    Returns:
        The wanted tensors and ops.
    """
    if not graph_def.node:
        return []
    return list(
        tf.import_graph_def(graph_def, input_map=dict(provided), return_elements=list(wanted), name=_SCOPE) or ()
    )


def keep_nodes(graph_def: Any, names: Collection[str]) -> Any:
    """A GraphDef of some nodes for one function; control edges from all others are dropped, and colocation is."""
    kept = tf.compat.v1.GraphDef(versions=graph_def.versions, library=graph_def.library)
    kept.node.extend(node for node in graph_def.node if node.name in names)
    for node in kept.node:
        edges = [element for element in node.input if element[0] != "^" or element[1:] in names]
        if len(edges) != len(node.input):
            node.input[:] = edges
        node.attr.pop("_class", None)
    rename_functions(kept, f"_hubplug_{next(_numbers)}")
    return kept
