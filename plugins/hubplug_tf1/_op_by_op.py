"""Adds a second and later application to a plain graph one op at a time.

``tf.import_graph_def`` looks at every op that the graph has already, so that its cost grows with each application. Making
the ops singly costs the same at every call; but it has to be prepared, it cannot make loops, and it would apply settings
of the graph that the import leaves alone. So it is used where it gives what the import gives, and the import everywhere
else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from hubplug_tf1._colocation import ATTRIBUTE, PREFIX
from hubplug_tf1._private_tensorflow import is_plain, making_ops, place_with, registered_op_def
from hubplug_tf1._subgraph import op_name, tensor_name

_OUTPUT_SHAPES = "_output_shapes"


@dataclass(frozen=True, eq=False)
class OpRecipe:
    """One op to be made.

    Attributes:
        name: Its name in the module.
        node: Its NodeDef, without inputs and without attributes that are at their defaults.
        data: Its data inputs, in order: full name, and which op and output that is.
        controls: The ops that it has control edges from.
        shapes: By output, the static shapes that shape inference does not find by itself.
    """

    name: str
    node: Any
    data: tuple[tuple[str, str, int], ...]
    controls: tuple[str, ...]
    shapes: tuple[tuple[int, tf.TensorShape], ...]


@dataclass(frozen=True, eq=False)
class Recipe:
    """An application to be made op by op.

    Attributes:
        ops: In an order in which each comes after what it needs.
        fed: By fed tensor its dtype, and the static shape that it has in the module's graph.
    """

    ops: tuple[OpRecipe, ...]
    fed: Mapping[str, tf.TensorSpec]


def make_recipe(graph_def: Any, outside: Iterable[Any], fed: Mapping[str, tf.TensorSpec]) -> Recipe | None:
    """Prepares a subgraph to be made op by op; None if it has a cycle.

    Args:
        graph_def: The subgraph, and the functions that it calls.
        outside: NodeDefs of the state-holding ops that it uses.
        fed: By fed tensor its dtype, and the static shape that it has in the module's graph.
    """
    order = _sorted(graph_def.node)
    if order is None:
        return None
    lost = _shapes_not_inferred(graph_def, outside, fed)
    ops = tuple(
        OpRecipe(
            name=node.name,
            node=_without_inputs(node),
            data=tuple(_split(tensor_name(element)) for element in node.input if element[0] != "^"),
            controls=tuple(element[1:] for element in node.input if element[0] == "^"),
            shapes=lost.get(node.name, ()),
        )
        for node in order
    )
    return Recipe(ops, dict(fed))


def can_follow(recipe: Recipe, replacement: Callable[[str], tf.Tensor | None]) -> bool:
    """Whether the current graph would treat single ops as it treats imported ones, and shapes come out the same."""
    if not is_plain(tf.compat.v1.get_default_graph()):
        return False
    for name, spec in recipe.fed.items():
        tensor = replacement(name)
        if tensor is None or not _is_as_specific(tensor.shape, spec.shape):
            return False
    return True


def follow_recipe(
    recipe: Recipe, prefix: str, replacement: Callable[[str], tf.Tensor | None], classes: Mapping[str, Sequence[bytes]]
) -> None:
    """Makes the ops of an application in the current graph.

    Args:
        recipe: What to make.
        prefix: The reserved absolute name scope, with its ``/``.
        replacement: From a tensor that is not part of the application to what stands for it; None if it is part of it.
        classes: By op, named as in the module, the values of its ``_class`` attribute.
    """
    graph = tf.compat.v1.get_default_graph()
    made: dict[str, tf.Operation] = {}

    def tensor(name: str, op: str, position: int) -> tf.Tensor:
        replaced = replacement(name)
        return made[op].outputs[position] if replaced is None else replaced

    def operation(name: str) -> tf.Operation:
        return made[name] if name in made else tensor(f"{name}:0", name, 0).op

    with tf.compat.v1.name_scope(None), making_ops(graph) as make:
        for op in recipe.ops:
            node = tf.compat.v1.NodeDef()
            node.CopyFrom(op.node)
            node.name = prefix + op.name
            if classes.get(op.name):
                node.attr[ATTRIBUTE].list.s.extend(classes[op.name])
            made[op.name] = make(node, [tensor(*place) for place in op.data], [operation(name) for name in op.controls])
            for position, shape in op.shapes:
                made[op.name].outputs[position].set_shape(shape)
    for name, values in classes.items():
        own = (prefix + name).encode()
        groups = [value[len(PREFIX) :] for value in values if value.startswith(PREFIX)]
        place_with(graph, made[name], [group.decode() for group in groups if group != own])


def _sorted(nodes: Iterable[Any]) -> list[Any] | None:
    """The nodes with each after its inputs, otherwise in their own order; None if they depend on each other."""
    by_name = {node.name: node for node in nodes}
    done: dict[str, bool] = {}
    order: list[Any] = []
    waiting = list(reversed(by_name))
    while waiting:
        name = waiting[-1]
        if done.get(name):
            waiting.pop()
            continue
        left = [
            op_name(edge) for edge in by_name[name].input if op_name(edge) in by_name and not done.get(op_name(edge))
        ]
        if name in done and left:
            return None
        done[name] = not left
        if left:
            waiting.extend(left)
        else:
            order.append(by_name[name])
    return order


def _without_inputs(node: Any) -> Any:
    definition = registered_op_def(node.op)
    defaults = (
        {each.name: each.default_value for each in definition.attr if each.HasField("default_value")}
        if definition
        else {}
    )
    kept = tf.compat.v1.NodeDef(name=node.name, op=node.op, device=node.device)
    for name, value in node.attr.items():
        if name not in (_OUTPUT_SHAPES, ATTRIBUTE) and not (name in defaults and defaults[name] == value):
            kept.attr[name].CopyFrom(value)
    return kept


def _split(tensor: str) -> tuple[str, str, int]:
    op, _, position = tensor.partition(":")
    return tensor, op, int(position)


def _shapes_not_inferred(
    graph_def: Any, outside: Iterable[Any], fed: Mapping[str, tf.TensorSpec]
) -> dict[str, tuple[tuple[int, tf.TensorShape], ...]]:
    """The static shapes that the module's author set: an import takes them over, single ops have to be told."""
    declared = {
        node.name: node.attr[_OUTPUT_SHAPES].list.shape for node in graph_def.node if _OUTPUT_SHAPES in node.attr
    }
    if not declared:
        return {}
    bare = tf.compat.v1.GraphDef()
    bare.CopyFrom(graph_def)
    bare.node.extend(outside)
    for node in bare.node:
        node.input[:] = [edge for edge in node.input if edge[0] != "^"]
        for attribute in (_OUTPUT_SHAPES, ATTRIBUTE):
            if attribute in node.attr:
                del node.attr[attribute]
    with tf.Graph().as_default() as graph:
        stand_ins = {name: tf.compat.v1.placeholder(spec.dtype, spec.shape) for name, spec in fed.items()}
        used = {tensor_name(edge) for node in bare.node for edge in node.input if edge[0] != "^"}
        tf.import_graph_def(bare, input_map={name: stand_ins[name] for name in stand_ins if name in used}, name="a")
        inferred = {node.name[2:]: node for node in graph.as_graph_def(add_shapes=True).node}
    found: dict[str, tuple[tuple[int, tf.TensorShape], ...]] = {}
    for name, shapes in declared.items():
        have = inferred[name].attr[_OUTPUT_SHAPES].list.shape
        pairs = [(tf.TensorShape(known), tf.TensorShape(said)) for known, said in zip(have, shapes, strict=False)]
        lost = tuple((i, said) for i, (known, said) in enumerate(pairs) if not _is_as_specific(known, said))
        if lost:
            found[name] = lost
    return found


def _is_as_specific(shape: tf.TensorShape, than: tf.TensorShape) -> bool:
    if than.rank is None:
        return True
    if shape.rank is None:
        return False
    return all(wanted is None or got is not None for got, wanted in zip(shape.as_list(), than.as_list(), strict=True))
