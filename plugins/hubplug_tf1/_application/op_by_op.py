"""Adds an application to a graph one op at a time.

``tf.import_graph_def`` looks at every op that the graph has already, so that its cost grows with each application. Making
the ops singly costs the same at every call, and less; but it has to be prepared, and it cannot make loops. It is used where
it gives what the import gives, and the import everywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from hubplug_tf1._graph.colocation import ATTRIBUTE, PREFIX
from hubplug_tf1._graph.protos import OpDef, length_of, registered_op_def
from hubplug_tf1._graph.renaming import FRAMES
from hubplug_tf1._graph.subgraph import op_name, tensor_name
from hubplug_tf1._private_tensorflow.single_ops import making_ops

_OUTPUT_SHAPES = "_output_shapes"
_VALID_NAME = re.compile(r"[\w./>-]*", re.ASCII)

Shape = tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class OpRecipe:
    """One op to be made; names as in the module.

    Attributes:
        name: Its name.
        type: The name of its OpDef.
        device: The device that it asks for, or "".
        attributes: Names and AttrValues of those attributes that are not at their defaults.
        inputs: The tensors that it takes, by the arguments of its OpDef: one, or a list.
        controls: The ops that it has control edges from.
        shapes: Those static shapes of its outputs that the module knows something of, by position.
    """

    name: str
    type: str
    device: str
    attributes: tuple[tuple[str, Any], ...]
    inputs: tuple[str | tuple[str, ...], ...]
    controls: tuple[str, ...]
    shapes: tuple[tuple[int, Shape], ...]


def make_recipe(graph_def: Any, provided: Iterable[str]) -> tuple[OpRecipe, ...] | None:
    """Prepares a subgraph to be made op by op: its ops, each after what it needs.

    Args:
        graph_def: The subgraph.
        provided: The full names of the tensors that its ops take from elsewhere.

    Returns:
        None if that cannot be: it has a loop, or is not well-formed, which only an import can explain.
    """
    order = _sorted(graph_def.node)
    if order is None or any(node.op in FRAMES for node in order):
        return None
    types = {function.signature.name: _OpType(function.signature) for function in graph_def.library.function}
    for op in {node.op for node in order} - set(types):
        definition = registered_op_def(op)
        if definition is None:
            return None
        types[op] = _OpType(definition)
    tensors = set(provided)
    recipe = []
    for node in order:
        op = types[node.op]
        if not op.fits(node):
            return None
        tensors.update(f"{node.name}:{position}" for position in range(op.output_count(node)))
        recipe.append(op.recipe(node))
    taken = (name for op in recipe for argument in op.inputs for name in _names(argument))
    return tuple(recipe) if tensors.issuperset(taken) else None


class _OpType:
    """What of an OpDef tells how to make ops of it."""

    def __init__(self, definition: OpDef) -> None:
        self._inputs = definition.input_arg
        self._outputs = definition.output_arg
        self._defaults = {each.name: each.default_value for each in definition.attr if each.HasField("default_value")}
        lengths = {
            name for each in (*self._inputs, *self._outputs) for name in (each.number_attr, each.type_list_attr) if name
        }
        self._required = {each.name for each in definition.attr} - set(self._defaults) | lengths
        # TensorFlow would take these from the inputs and not from the defaults, if it had to.
        self._told_by_inputs = {each.type_attr for each in self._inputs if each.type_attr in self._defaults}

    def fits(self, node: Any) -> bool:
        """Whether a NodeDef is a well-formed one of this op."""
        data = [element for element in node.input if element[0] != "^"]
        return (
            bool(_VALID_NAME.fullmatch(node.name))
            and all(node.input[position] == element for position, element in enumerate(data))
            and self._required <= set(node.attr)
            and all(value.WhichOneof("value") for value in node.attr.values())
            and len(data) == sum(length_of(argument, node) for argument in self._inputs)
            and (
                _OUTPUT_SHAPES not in node.attr
                or _are_shapes(node.attr[_OUTPUT_SHAPES].list.shape, self.output_count(node))
            )
        )

    def output_count(self, node: Any) -> int:
        return sum(length_of(argument, node) for argument in self._outputs)

    def recipe(self, node: Any) -> OpRecipe:
        data = [tensor_name(element) for element in node.input if element[0] != "^"]
        return OpRecipe(
            name=node.name,
            type=node.op,
            device=node.device,
            attributes=tuple(self._attributes(node)),
            inputs=tuple(self._grouped(node, data)),
            controls=tuple(element[1:] for element in node.input[len(data) :]),
            shapes=tuple(_known_shapes(node)),
        )

    def _attributes(self, node: Any) -> Iterator[tuple[str, Any]]:
        for name in self._told_by_inputs:
            yield name, node.attr[name] if name in node.attr else self._defaults[name]
        for name, value in node.attr.items():
            is_default = name in self._defaults and self._defaults[name] == value
            if not is_default and name not in self._told_by_inputs and name not in (_OUTPUT_SHAPES, ATTRIBUTE):
                yield name, value

    def _grouped(self, node: Any, data: Sequence[str]) -> Iterator[str | tuple[str, ...]]:
        start = 0
        for argument in self._inputs:
            if not argument.number_attr and not argument.type_list_attr:
                yield data[start]
                start += 1
                continue
            length = length_of(argument, node)
            yield tuple(data[start : start + length])
            start += length


def _names(argument: str | tuple[str, ...]) -> Sequence[str]:
    return (argument,) if isinstance(argument, str) else argument


def _are_shapes(shapes: Sequence[Any], count: int) -> bool:
    return len(shapes) == count and all(length.size >= -1 for shape in shapes for length in shape.dim)


def follow_recipe(
    recipe: Iterable[OpRecipe],
    prefix: str,
    provided: Mapping[str, tf.Tensor],
    controls: Mapping[str, tf.Operation],
    classes: Mapping[str, Sequence[bytes]],
) -> None:
    """Makes the ops of an application in the current graph.

    Args:
        recipe: What to make.
        prefix: The reserved absolute name scope, with its ``/``.
        provided: The tensors that stand for tensors of the module, by their full names there.
        controls: The ops that stand for ops of the module that are not made, by their names there.
        classes: By op, named as in the module, the values of its ``_class`` attribute.
    """
    graph = tf.compat.v1.get_default_graph()
    operations = dict(controls)
    tensors = dict(provided)
    neighbours = {name: _others(prefix + name, values) for name, values in classes.items()}
    with making_ops(graph) as make:
        for op in recipe:
            attributes = op.attributes
            if classes.get(op.name):
                constraint = tf.compat.v1.AttrValue()
                constraint.list.s.extend(classes[op.name])
                attributes = (*attributes, (ATTRIBUTE, constraint))
            operation = operations[op.name] = make(
                op.type,
                prefix + op.name,
                [tensors[each] if isinstance(each, str) else [tensors[one] for one in each] for each in op.inputs],
                [operations[each] for each in op.controls],
                attributes,
                op.device,
                neighbours.get(op.name, ()),
            )
            outputs = operation.outputs
            for position, output in enumerate(outputs):
                tensors.setdefault(f"{op.name}:{position}", output)
            for position, shape in op.shapes:
                _add_to_shape(outputs[position], shape, position)


def _others(name: str, classes: Iterable[bytes]) -> list[str]:
    """The ops that the values of the ``_class`` attribute of an op colocate it with."""
    groups = (value[len(PREFIX) :].decode() for value in classes if value.startswith(PREFIX))
    return [group for group in groups if group != name]


def _sorted(nodes: Iterable[Any]) -> list[Any] | None:
    """The nodes with each after its inputs, otherwise in their own order; None if they depend on each other."""
    needs = {node.name: (node, [op_name(edge) for edge in node.input]) for node in nodes}
    # By name of a node whether it is in order already.
    done: dict[str, bool] = {}
    order: list[Any] = []
    waiting = list(reversed(needs))
    while waiting:
        name = waiting[-1]
        if done.get(name):
            waiting.pop()
            continue
        node, needed = needs[name]
        left = [each for each in needed if not done.get(each) and each in needs]
        if name in done and left:
            return None
        done[name] = not left
        if left:
            waiting.extend(left)
        else:
            order.append(node)
    return order


def _known_shapes(node: Any) -> Iterator[tuple[int, Shape]]:
    if _OUTPUT_SHAPES in node.attr:
        for position, shape in enumerate(node.attr[_OUTPUT_SHAPES].list.shape):
            if not shape.unknown_rank:
                yield position, tuple(None if each.size < 0 else each.size for each in shape.dim)


def _add_to_shape(tensor: tf.Tensor, stated: Shape, position: int) -> None:
    """Adds to a static shape what the module's author knew of it and inference does not find by itself.

    Raises:
        ValueError: The two contradict each other; as an import says it.
    """
    shape = tensor.shape
    if shape.rank == len(stated) and all(
        wanted is None or wanted == length for wanted, length in zip(stated, shape.as_list(), strict=True)
    ):
        return
    try:
        tensor.set_shape(stated)
    except ValueError as error:
        raise ValueError(
            f"Node {tensor.op.name!r} has an {_OUTPUT_SHAPES} attribute inconsistent with the GraphDef for output "
            f"#{position}: {error}"
        ) from None
