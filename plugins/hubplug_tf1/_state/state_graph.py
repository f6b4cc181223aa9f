"""The state of a module in a graph: state-holding ops, their initializers, tables and assets, regularization losses.

It is imported once per Module, under its variable scope; nothing else of the module's graph is, unless the whole graph is
wanted. For a module with a checkpoint the initializers are rewritten, before the import, to take restored values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from hubplug_tf1._graph.colocation import ATTRIBUTE, PREFIX, constraints_of
from hubplug_tf1._graph.protos import VariableDef
from hubplug_tf1._graph.renaming import rename_context
from hubplug_tf1._graph.subgraph import needed_nodes, op_name, reachable_functions, with_whole_contexts
from hubplug_tf1._graph.variant import Variant
from hubplug_tf1._state.variables import (
    StoredVariable,
    check_checkpoint,
    restore_batches,
    restore_nodes,
    restoring_initializer,
)

_KEYS = tf.compat.v1.GraphKeys

VARIABLES_ALWAYS = (_KEYS.GLOBAL_VARIABLES, _KEYS.MODEL_VARIABLES)
VARIABLES_TRAINABLE = (_KEYS.TRAINABLE_VARIABLES,)
ELEMENTS_ALWAYS = (_KEYS.TABLE_INITIALIZERS, _KEYS.ASSET_FILEPATHS)
ELEMENTS_TRAINABLE = (_KEYS.REGULARIZATION_LOSSES,)


@dataclass(frozen=True, eq=False)
class StateTemplate:
    """What making a module imports.

    Attributes:
        meta_graph: Nodes, functions and collections; names as in the module.
        variables: Those of GLOBAL_VARIABLES, in that order.
    """

    meta_graph: Any
    variables: tuple[StoredVariable, ...]


def state_template(variant: Variant, *, trainable: bool, checkpoint: str | None, whole: bool) -> StateTemplate:
    """A graph variant pruned to its state; made at the first call.

    Args:
        variant: The graph variant.
        trainable: Whether trainable variables and regularization losses go into their collections.
        checkpoint: The prefix of the checkpoint that variables start from, or None for their own initializers.
        whole: Whether to keep the rest of the graph too, as tensorflow_hub does.

    Raises:
        MissingCheckpointError: There is no such checkpoint.
        CheckpointMismatch: It does not fit the variables.
    """
    return variant.derived(
        ("state", trainable, checkpoint, whole), lambda: _make_template(variant, trainable, checkpoint, whole)
    )


def _make_template(variant: Variant, trainable: bool, checkpoint: str | None, whole: bool) -> StateTemplate:
    variable_keys = VARIABLES_ALWAYS + (VARIABLES_TRAINABLE if trainable else ())
    element_keys = ELEMENTS_ALWAYS + (ELEMENTS_TRAINABLE if trainable else ())
    definitions = {key: _variable_definitions(variant, key) for key in variable_keys}
    variables = tuple(StoredVariable.parse(each, variant.nodes) for each in definitions[_KEYS.GLOBAL_VARIABLES])

    nodes = dict(variant.nodes)
    if checkpoint is not None and variables:
        check_checkpoint(checkpoint, variables)
        starts = _start_from_checkpoint(nodes, variables, checkpoint)
        for each in definitions.values():
            for definition in each:
                _redirect(definition, starts)

    roots = list(variant.nodes if whole else variant.state_ops)
    for each in definitions.values():
        roots.extend(name for definition in each for name in _names_in(definition))
    elements = {key: variant.elements(key) for key in element_keys}
    roots.extend(name for each in elements.values() for name in each)
    needed, contexts = with_whole_contexts(variant.contexts, roots, lambda names: needed_nodes(nodes, names))

    meta_graph = tf.compat.v1.MetaGraphDef()
    meta_graph.meta_info_def.tensorflow_version = variant.meta_graph.meta_info_def.tensorflow_version
    _fill_graph(meta_graph.graph_def, variant, [node for name, node in nodes.items() if name in needed], nodes)
    for key, each in definitions.items():
        meta_graph.collection_def[key].bytes_list.value.extend(definition.SerializeToString() for definition in each)
    for key, names in elements.items():
        meta_graph.collection_def[key].node_list.value.extend(names)
    for key, context in contexts:
        copy = type(context)()
        copy.CopyFrom(context)
        rename_context(copy, "", needed, lambda name: name)
        meta_graph.collection_def[key].bytes_list.value.append(copy.SerializeToString())
    for key in [key for key, value in meta_graph.collection_def.items() if not value.ByteSize()]:
        del meta_graph.collection_def[key]
    return StateTemplate(meta_graph, variables)


def import_state(template: StateTemplate, scope: str) -> list[Any]:
    """Adds a module's state to the current graph.

    Args:
        template: What to add.
        scope: The absolute name scope, without a final ``/``.

    Returns:
        The Variables, in the order of ``template.variables``.
    """
    graph = tf.compat.v1.get_default_graph()
    meta_graph = tf.compat.v1.MetaGraphDef()
    meta_graph.CopyFrom(template.meta_graph)
    for node in meta_graph.graph_def.node:
        # Two modules of one definition must not share their tables.
        if "shared_name" in node.attr and node.attr["shared_name"].s:
            node.attr["shared_name"].s = f"{scope}/".encode() + node.attr["shared_name"].s
    add_meta_graph(meta_graph, scope)
    if not template.variables:
        return []
    variables = graph.get_collection_ref(_KEYS.GLOBAL_VARIABLES)
    return list(variables[len(variables) - len(template.variables) :])


def add_meta_graph(meta_graph: Any, scope: str | None) -> None:
    """Imports a MetaGraphDef with its collections under an absolute scope, and adds no Saver."""
    # Without a saver_def import_meta_graph would add a Saver over everything in the graph; one with a saver_def adds
    # nothing, and no one sees it.
    meta_graph.saver_def.filename_tensor_name = "unused:0"
    meta_graph.saver_def.save_tensor_name = "unused:0"
    meta_graph.saver_def.restore_op_name = "unused"
    with tf.compat.v1.name_scope(None):
        tf.compat.v1.train.import_meta_graph(meta_graph, import_scope=scope)


def _variable_definitions(variant: Variant, key: str) -> list[VariableDef]:
    return [VariableDef.FromString(value) for value in variant.collection(key).bytes_list.value]


def _names_in(definition: VariableDef) -> Iterable[str]:
    names = (definition.variable_name, definition.initializer_name, definition.initial_value_name)
    return [name for name in (*names, definition.snapshot_name) if name]


def _start_from_checkpoint(
    nodes: dict[str, Any], variables: Iterable[StoredVariable], checkpoint: str
) -> dict[str, tuple[str, str]]:
    """Adds restores to ``nodes`` and makes initializers take their values; by variable op: value and initializer."""
    starts: dict[str, tuple[str, str]] = {}
    for batch in restore_batches(variables):
        name = _free_name("checkpoint_initializer", nodes)
        nodes.update((node.name, node) for node in restore_nodes(checkpoint, name, batch))
        for position, variable in enumerate(batch):
            value = f"{name}:{position}"
            free = _free_name(f"{variable.op}/checkpoint_assign", nodes)
            node = restoring_initializer(variable, nodes[variable.initializer], value, free)
            nodes[node.name] = node
            starts[variable.op] = value, node.name
    return starts


def _redirect(definition: VariableDef, starts: Mapping[str, tuple[str, str]]) -> None:
    op = op_name(definition.variable_name)
    if op in starts:
        value, initializer = starts[op]
        definition.initial_value_name = value
        if op_name(definition.initializer_name) != initializer:
            definition.initializer_name = initializer


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    free, number = name, 0
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _fill_graph(graph_def: Any, variant: Variant, kept: list[Any], nodes: Mapping[str, Any]) -> None:
    graph_def.versions.CopyFrom(variant.meta_graph.graph_def.versions)
    graph_def.node.extend(kept)
    constraints = constraints_of(nodes, [node.name for node in kept], ())
    for node in graph_def.node:
        if node.name in constraints:
            constraint = constraints[node.name]
            classes = [*constraint.others, *(PREFIX + name.encode() for name in constraint.imported)]
            node.attr[ATTRIBUTE].list.s[:] = classes
            if not classes:
                del node.attr[ATTRIBUTE]
    variant.copy_library(graph_def, reachable_functions(variant.functions, kept, variant.function_gradients))
