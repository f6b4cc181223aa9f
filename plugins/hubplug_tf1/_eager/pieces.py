"""A piece of a module's graph as a function has it: without state, references and assets, which it captures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import tensorflow as tf

from hubplug_tf1._eager.missing_gradients import mark_missing_gradients
from hubplug_tf1._graph.renaming import rename_functions
from hubplug_tf1._graph.subgraph import needed_nodes, op_name, reachable_functions, tensor_name
from hubplug_tf1._graph.variant import Variant
from hubplug_tf1._private_tensorflow.functions import keep_with, register_functions, tell_handles_of_loops
from hubplug_tf1._raising.importing import import_raised
from hubplug_tf1._raising.references import resource_graph

# What a compiler leaves out.
_TOLD = frozenset({"Const", "Assert", "Print", "PrintV2"})

ASSET_FILEPATHS = tf.compat.v1.GraphKeys.ASSET_FILEPATHS
_SCOPE = "module"
_numbers = count(1)

Provide = Callable[[str], Any]
"""From the full name of a tensor in the module to what stands for it; None if it is imported."""


@dataclass(frozen=True, eq=False)
class Piece:
    """What a function imports.

    Attributes:
        graph_def: Nodes and functions; state ops and asset constants are not among them.
        wanted: The names of tensors, and then of ops, that are asked for.
        taken: Full names of tensors that are provided.
    """

    graph_def: Any
    wanted: tuple[str, ...]
    taken: frozenset[str]


def asset_ops(variant: Variant) -> frozenset[str]:
    """The constants that hold the paths of asset files."""
    return frozenset(op_name(element) for element in variant.elements(ASSET_FILEPATHS))


def needed_piece(variant: Variant, tensors: Sequence[str], operations: Sequence[str] = ()) -> Piece:
    """The piece that some tensors and ops need, of a graph of which nothing is fed."""
    needed = needed_nodes(variant.nodes, [*tensors, *operations], cut_ops=variant.state_ops | asset_ops(variant))
    return piece_of(variant, [variant.nodes[name] for name in variant.nodes if name in needed], tensors, operations)


def piece_of(variant: Variant, nodes: Iterable[Any], tensors: Sequence[str], operations: Sequence[str] = ()) -> Piece:
    """The piece that consists of some nodes.

    Args:
        variant: The graph variant.
        nodes: NodeDefs; state ops and assets need not be among them.
        tensors: The tensors that are asked for.
        operations: The ops that are asked for.

    Raises:
        RaisingError: A node takes a reference, and has no equal that takes a resource.
    """
    outside = variant.state_ops | asset_ops(variant)
    kept = [node for node in nodes if node.name not in outside]
    referred = {op_name(edge) for node in kept for edge in node.input} | {op_name(name) for name in tensors}
    whole = tf.compat.v1.GraphDef(versions=variant.meta_graph.graph_def.versions)
    whole.node.extend(kept)
    whole.node.extend(variant.nodes[name] for name in sorted(referred & outside))
    wanted = [*map(tensor_name, tensors), *map(op_name, operations)]
    inside = {node.name for node in whole.node}
    rewritten = resource_graph(whole, [name for name in wanted if op_name(name) in inside])
    graph_def = tf.compat.v1.GraphDef(versions=whole.versions)
    graph_def.node.extend(node for node in rewritten.graph_def.node if node.name not in outside)
    variant.copy_library(graph_def, reachable_functions(variant.functions, kept, variant.function_gradients))
    mark_missing_gradients(graph_def)
    names = tuple(rewritten.elements.get(name, name) for name in wanted)
    edges = {tensor_name(edge) for node in graph_def.node for edge in node.input if edge[0] != "^"}
    return Piece(graph_def, names, frozenset(edges | {name for name in names if ":" in name}))


def import_piece(piece: Piece, provide: Provide) -> list[Any]:
    """Imports a piece into the current function's graph.

    Returns:
        The wanted tensors and ops.
    """
    provided = {name: tensor for name in sorted(piece.taken) if (tensor := provide(name)) is not None}
    if not piece.graph_def.library.function:
        return import_raised(piece.graph_def, provided, piece.wanted, name=_SCOPE)
    graph_def = tf.compat.v1.GraphDef()
    graph_def.CopyFrom(piece.graph_def)
    rename_functions(graph_def, f"_hubplug_{next(_numbers)}")
    registered = register_functions(graph_def.library)
    found = import_raised(graph_def, provided, piece.wanted, name=_SCOPE)
    graph = tf.compat.v1.get_default_graph()
    tell_handles_of_loops(graph)
    keep_with(graph, registered)
    return found


def find_compilation_error(variant: Variant, piece: Piece) -> str | None:
    """Says so if XLA cannot compile a piece: TensorFlow ends the process over strings."""
    tables = {op_name(name) for name in piece.taken} & variant.state_ops
    if table := next((op for op in sorted(tables) if not variant.nodes[op].op.startswith("Var")), None):
        return f"its op {table!r} ({variant.nodes[table].op}) is a resource that is no variable"
    strings = (node for node in piece.graph_def.node if node.op not in _TOLD and _has_strings(node))
    found = next(strings, None)
    return None if found is None else f"its op {found.name!r} ({found.op}) computes with strings"


def _has_strings(node: Any) -> bool:
    string = tf.string.as_datatype_enum
    return any(value.type == string or string in value.list.type for value in node.attr.values())
