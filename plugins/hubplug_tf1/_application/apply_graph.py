"""One application of a signature: only what its outputs need, and update ops where the module is trainable.

What is needed is found once per graph variant and signature (a template). A call makes its ops one by one where that gives
what an import gives (a recipe); otherwise it renames a copy of the template under its scope and imports that. So a call costs
what the subgraph costs, whatever the size of the module, and with a recipe also whatever the size of the graph around.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import tensorflow as tf

from hubplug_tf1._application.op_by_op import OpRecipe, follow_recipe, make_recipe
from hubplug_tf1._application.replacements import Replacements
from hubplug_tf1._errors import ColocationError
from hubplug_tf1._graph.colocation import ATTRIBUTE, PREFIX, Constraint, constraints_of, find_ambiguity
from hubplug_tf1._graph.renaming import rename_context, rename_node
from hubplug_tf1._graph.subgraph import (
    dependent_nodes,
    needed_nodes,
    op_name,
    reachable_functions,
    tensor_name,
    with_whole_contexts,
)
from hubplug_tf1._graph.variant import Signature, Variant
from hubplug_tf1._private_tensorflow.graphs import import_beside_existing_ops
from hubplug_tf1._private_tensorflow.single_ops import takes_single_ops
from hubplug_tf1._state.state_graph import add_meta_graph
from hubplug_tf1._surroundings.checks import shares_collection

_KEYS = tf.compat.v1.GraphKeys


@dataclass(frozen=True, eq=False)
class ApplyTemplate:
    """What one application imports; names as in the module.

    Attributes:
        graph_def: Nodes and functions, without colocation constraints.
        imported: The names of the nodes.
        inputs: For each node its inputs.
        constraints: By name of a node what it is colocated with.
        outputs_of: By name of an op of which outputs are replaced: its outputs, as far as they are in this graph.
        contexts: Control-flow contexts, each with the key of its collection.
        data: Tensors that the nodes need and that this call provides: fed ones and those of state ops.
        controls: Ops replaced by this call that nodes have control edges from; each with an output of it.
        updates: Elements for UPDATE_OPS.
        assets: Elements for ASSET_FILEPATHS.
        wanted: Tensors of the signature's outputs.
        whole: Whether this is the whole graph variant.
    """

    graph_def: Any
    imported: frozenset[str]
    inputs: tuple[tuple[str, ...], ...]
    constraints: Mapping[str, Constraint]
    outputs_of: Mapping[str, tuple[str, ...]]
    contexts: tuple[tuple[str, Any], ...]
    data: tuple[str, ...]
    controls: tuple[tuple[str, str], ...]
    updates: tuple[str, ...]
    assets: tuple[str, ...]
    wanted: tuple[str, ...]
    whole: bool

    @cached_property
    def recipe(self) -> tuple[OpRecipe, ...] | None:
        """How to make the same without an import, if that can be."""
        return None if self.whole or self.contexts else make_recipe(self.graph_def, self.data)


def apply_template(variant: Variant, signature: Signature, *, updates: bool, whole: bool) -> ApplyTemplate:
    """What an application of a signature needs; found at the first call.

    Args:
        variant: The graph variant.
        signature: The signature; all its inputs will be fed.
        updates: Whether update ops are wanted.
        whole: Whether to import the whole graph variant, as tensorflow_hub does.
    """
    return variant.derived(
        ("application", signature.name, updates, whole), lambda: _make_template(variant, signature, updates, whole)
    )


def _make_template(variant: Variant, signature: Signature, updates: bool, whole: bool) -> ApplyTemplate:
    nodes = variant.nodes
    fed = {tensor_name(name) for info in signature.inputs.values() for name in info.tensor_names}
    replaced = set(variant.state_ops)
    for op in {op_name(name) for name in fed}:
        if all(f"{op}:{position}" in fed for position in range(variant.output_count(op))):
            replaced.add(op)

    def needed_by(roots: Iterable[str]) -> set[str]:
        return needed_nodes(nodes, roots, cut_tensors=fed, cut_ops=replaced)

    wanted = [tensor_name(name) for info in signature.outputs.values() for name in info.tensor_names]
    assets = variant.elements(_KEYS.ASSET_FILEPATHS)
    update_ops = []
    if updates:
        update_ops = variant.elements(_KEYS.UPDATE_OPS) if whole else _updates_for(variant, fed, replaced, needed_by)
    roots = [*wanted, *assets, *update_ops, *(set(nodes) - variant.state_ops if whole else ())]
    needed, contexts = with_whole_contexts(variant.contexts, roots, needed_by)
    if whole:
        needed = set(nodes) - variant.state_ops

    kept = [node for name, node in nodes.items() if name in needed]
    graph_def = tf.compat.v1.GraphDef()
    graph_def.versions.CopyFrom(variant.meta_graph.graph_def.versions)
    graph_def.node.extend(kept)
    for node in graph_def.node:
        if ATTRIBUTE in node.attr:
            del node.attr[ATTRIBUTE]
    variant.copy_library(graph_def, reachable_functions(variant.functions, kept, variant.function_gradients))

    def outputs_in_use(op: str) -> tuple[str, ...]:
        outputs = (f"{op}:{position}" for position in range(variant.output_count(op)))
        return tuple(name for name in outputs if op in needed or op in variant.state_ops or name in fed)

    imported = [node.name for node in kept]
    partly = {op_name(name) for name in fed} | variant.state_ops
    constraints = constraints_of(nodes, imported, partly)
    named = {name for constraint in constraints.values() for name in constraint.replaced}
    edges = {element for node in kept for element in node.input}
    provided = fed | {tensor_name(edge) for edge in edges if edge[0] != "^" and op_name(edge) in variant.state_ops}
    return ApplyTemplate(
        graph_def=graph_def,
        imported=frozenset(imported),
        inputs=tuple(tuple(node.input) for node in kept),
        constraints=constraints,
        outputs_of={op: outputs_in_use(op) for op in named},
        contexts=tuple(contexts),
        data=tuple(sorted({tensor_name(edge) for edge in edges if edge[0] != "^"} & provided)),
        controls=tuple(
            sorted((edge[1:], f"{edge[1:]}:0") for edge in edges if edge[0] == "^" and edge[1:] not in needed)
        ),
        updates=tuple(update_ops),
        assets=tuple(assets),
        wanted=tuple(wanted),
        whole=whole,
    )


def _updates_for(
    variant: Variant, fed: Collection[str], replaced: Collection[str], needed_by: Callable[[Iterable[str]], set[str]]
) -> list[str]:
    """The update ops that a call can run: those that need no signature input it neither feeds nor computes."""

    def computed(op: str) -> bool:
        return any(
            edge[0] != "^" and tensor_name(edge) in fed
            for name in needed_by([op])
            for edge in variant.nodes[name].input
        )

    unfed = [op for op in sorted({op_name(tensor) for tensor in variant.input_tensors - set(fed)}) if not computed(op)]
    out_of_reach = dependent_nodes(variant.nodes, unfed, cut_tensors=fed, cut_ops=replaced)
    return [element for element in variant.elements(_KEYS.UPDATE_OPS) if op_name(element) not in out_of_reach]


def import_application(
    template: ApplyTemplate, prefix: str, replacements: Replacements, *, is_repeated: bool
) -> dict[str, tf.Tensor]:
    """Adds one application to the current graph.

    Args:
        template: What to add.
        prefix: The reserved absolute name scope, with its ``/``.
        replacements: What stands for the tensors that are not imported.
        is_repeated: Whether the graph has an application of the template, and with it the functions that this calls.

    Returns:
        By name in the module the tensors of the signature's outputs.

    Raises:
        ColocationError: A colocation constraint has no single meaning.
    """
    graph = tf.compat.v1.get_default_graph()
    classes = _classes(template, prefix, replacements)

    def outside(element: str) -> str:
        tensor = replacements.get(tensor_name(element)) if ":" in element or element not in template.imported else None
        if tensor is None:
            return prefix + element
        return tensor.name if ":" in element else tensor.op.name

    provided = {name: replacements[name] for name in template.data}
    controls = {op: replacements[output].op for op, output in template.controls}
    # Only an import brings functions into the graph.
    has_functions = is_repeated or not template.graph_def.library.function
    recipe = template.recipe if has_functions and takes_single_ops(graph, provided.values()) else None
    if recipe is not None:
        follow_recipe(recipe, prefix, provided, controls, classes)
    elif template.inputs:
        _import(template, prefix, provided, controls, classes)
    if template.contexts:
        meta_graph = tf.compat.v1.MetaGraphDef()
        for key, context in template.contexts:
            copy = type(context)()
            copy.CopyFrom(context)
            rename_context(copy, prefix, template.imported, outside)
            meta_graph.collection_def[key].bytes_list.value.append(copy.SerializeToString())
        add_meta_graph(meta_graph, None)
    for key, elements in ((_KEYS.UPDATE_OPS, template.updates), (_KEYS.ASSET_FILEPATHS, template.assets)):
        if elements and not shares_collection(graph, key):
            for element in elements:
                graph.add_to_collection(key, graph.as_graph_element(outside(element)))
    return {name: graph.get_tensor_by_name(outside(name)) for name in template.wanted}


def _classes(template: ApplyTemplate, prefix: str, replacements: Replacements) -> dict[str, list[bytes]]:
    """The values of ``_class`` attributes in the graph around, by op in the module."""
    found: dict[str, list[bytes]] = {}
    for name, constraint in template.constraints.items():
        groups = [PREFIX + (prefix + other).encode() for other in constraint.imported]
        for op in constraint.replaced:
            groups.extend(_groups_for(template, op, prefix + name, prefix, replacements))
        found[name] = [*constraint.others, *sorted(set(groups))]
    return found


def _import(
    template: ApplyTemplate,
    prefix: str,
    provided: Mapping[str, tf.Tensor],
    controls: Mapping[str, tf.Operation],
    classes: Mapping[str, list[bytes]],
) -> None:
    graph_def = tf.compat.v1.GraphDef()
    graph_def.CopyFrom(template.graph_def)
    for node, inputs in zip(graph_def.node, template.inputs, strict=True):
        if classes.get(node.name):
            node.attr[ATTRIBUTE].list.s.extend(classes[node.name])
        rename_node(node, inputs, prefix)
    input_map: dict[str, Any] = {prefix + name: tensor for name, tensor in provided.items()}
    input_map.update({f"^{prefix}{name}": operation.outputs[0] for name, operation in controls.items()})
    if any(constraint.replaced for constraint in template.constraints.values()):
        import_beside_existing_ops(graph_def, input_map)
    else:
        tf.import_graph_def(graph_def, input_map=input_map, name="")


def _groups_for(template: ApplyTemplate, op: str, node: str, prefix: str, replacements: Replacements) -> list[bytes]:
    own = PREFIX + (prefix + op).encode()

    def groups_of(output: str) -> tuple[Sequence[bytes], str]:
        return replacements.groups(output) or ([own], f"tensor {output!r} is not substituted by inputs")

    groups, ambiguity = find_ambiguity(template.outputs_of[op], groups_of)
    if ambiguity:
        raise ColocationError(
            f"Failed to rewrite colocation constraints: the module graph contains a node {node!r} that has a "
            f"colocation constraint {own.decode()!r} with ambiguous rewriting {ambiguity}",
            hint="feed these inputs from one op; or publish the module without tf.colocate_with(...) on an op of which "
            "several outputs are inputs",
        )
    return groups
