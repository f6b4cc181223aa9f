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
from hubplug_tf1._private_tensorflow import making_ops, place_with, registered_op_def
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
        shapes: Those static shapes of its outputs that the module knows something of, by position.
    """

    name: str
    node: Any
    data: tuple[tuple[str, str, int], ...]
    controls: tuple[str, ...]
    shapes: tuple[tuple[int, tuple[int | None, ...]], ...]


def make_recipe(graph_def: Any) -> tuple[OpRecipe, ...] | None:
    """Prepares a subgraph to be made op by op: its ops, each after what it needs; None if it has a cycle."""
    order = _sorted(graph_def.node)
    if order is None:
        return None
    return tuple(
        OpRecipe(
            name=node.name,
            node=_without_inputs(node),
            data=tuple(_split(tensor_name(element)) for element in node.input if element[0] != "^"),
            controls=tuple(element[1:] for element in node.input if element[0] == "^"),
            shapes=_known_shapes(node),
        )
        for node in order
    )


def follow_recipe(
    recipe: Iterable[OpRecipe],
    prefix: str,
    replacement: Callable[[str], tf.Tensor | None],
    classes: Mapping[str, Sequence[bytes]],
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
        for op in recipe:
            node = tf.compat.v1.NodeDef()
            node.CopyFrom(op.node)
            node.name = prefix + op.name
            if classes.get(op.name):
                node.attr[ATTRIBUTE].list.s.extend(classes[op.name])
            made[op.name] = make(node, [tensor(*place) for place in op.data], [operation(name) for name in op.controls])
            # What the module's author knew of a shape, and inference does not find by itself, comes with an import too.
            for position, shape in op.shapes:
                output = made[op.name].outputs[position]
                if not _knows_as_much(output.shape, shape):
                    output.set_shape(shape)
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


def _known_shapes(node: Any) -> tuple[tuple[int, tuple[int | None, ...]], ...]:
    if _OUTPUT_SHAPES not in node.attr:
        return ()
    shapes = map(tf.TensorShape, node.attr[_OUTPUT_SHAPES].list.shape)
    return tuple((position, tuple(shape.as_list())) for position, shape in enumerate(shapes) if shape.rank is not None)


def _knows_as_much(shape: tf.TensorShape, wanted: tuple[int | None, ...]) -> bool:
    if shape.rank != len(wanted):
        return False
    for length, wanted_length in zip(shape.as_list(), wanted, strict=True):
        if length is None and wanted_length is not None:
            return False
    return True
