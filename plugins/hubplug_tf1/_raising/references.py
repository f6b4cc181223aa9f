"""State that TensorFlow 1 passes by reference becomes resources: a rewriting of protos, no TensorFlow graph is touched.

A reference is a tensor of which readers see what is in it when they run. A resource's handle says where the value is, and
whoever wants the value reads it: right before it runs, which is after its control inputs and after the assignment through
which the reference came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError
from typing import Any

import tensorflow as tf

from hubplug_tf1._errors import RaisingError
from hubplug_tf1._graph.colocation import ATTRIBUTE, PREFIX, classes_of
from hubplug_tf1._graph.protos import registered_op_def
from hubplug_tf1._graph.subgraph import op_name, tensor_name
from hubplug_tf1._raising.order import in_order
from hubplug_tf1._raising.reference_ops import is_of_table, makes_references, resource_equal, takes_references

_VARIABLES = frozenset({"Variable", "VariableV2"})
_TABLES = frozenset({"HashTable", "MutableHashTable", "MutableHashTableOfTensors", "MutableDenseHashTable"})
_STATE = _VARIABLES | _TABLES
_ROUTES = {"RefEnter": "Enter", "RefSwitch": "Switch", "RefExit": "Exit", "RefIdentity": "Identity"}


@dataclass(frozen=True, eq=False)
class ResourceGraph:
    """A graph without references.

    Attributes:
        graph_def: The graph; ops have the names that they had.
        elements: For each element that was asked for: where its value is now.
        became: By name of an op that was replaced: the type of the op that is there now.
    """

    graph_def: Any
    elements: Mapping[str, str]
    became: Mapping[str, str]


def resource_graph(graph_def: Any, elements: Iterable[str] = ()) -> ResourceGraph:
    """Rewrites variables, their assignments and tables of TensorFlow 1 to those with resource handles.

    The output of a variable's or table's op is its handle then. Each other op that took a reference takes what a read of
    its own gives.

    Args:
        graph_def: The graph, which is not changed. All of it must have an equal: give what is needed, not more.
        elements: Names of tensors and ops whose values are wanted; a reference among them is read.

    Raises:
        RaisingError: An op takes or makes references and has no equal.
    """
    elements = list(elements)
    if not any(takes_references(node.op) or makes_references(node.op) for node in graph_def.node):
        return ResourceGraph(graph_def, {name: name for name in elements}, {})
    copy = tf.compat.v1.GraphDef()
    copy.CopyFrom(graph_def)
    return _Rewriting(copy).done(elements)


@dataclass(frozen=True, eq=False)
class _Reference:
    """What a tensor that was a reference is now.

    Attributes:
        handle: The tensor that is the handle; None if only the value is known.
        value: The tensor that is the value, where that is all that is known.
        after: Ops that have run when the reference is there.
        outer: For a reference that is conditional: what it was before.
        dtype: Of the values of a variable; None for a table.
    """

    handle: str | None
    after: tuple[str, ...]
    dtype: int | None
    outer: _Reference | None = None
    value: str = ""


class _Rewriting:
    def __init__(self, graph_def: Any) -> None:
        self._graph_def = graph_def
        self._nodes = {node.name: node for node in graph_def.node}
        self._names = set(self._nodes)
        self._found: dict[str, _Reference] = {}
        self._reads: dict[tuple[str, str], str] = {}
        self._added: list[Any] = []
        self._became: dict[str, str] = {}
        self._state = frozenset(name for name, node in self._nodes.items() if node.op in _STATE)

    def done(self, elements: Iterable[str]) -> ResourceGraph:
        for node in self._nodes.values():
            self._drop_what_names_state(node)
        for name in self._in_order_of_references():
            self._rewrite(self._nodes[name])
        wanted = {name: self._element(name) for name in elements}
        self._graph_def.node.extend(self._added)
        return ResourceGraph(self._graph_def, wanted, self._became)

    def _drop_what_names_state(self, node: Any) -> None:
        inputs = [name for name in node.input if not (name[0] == "^" and name[1:] in self._state)]
        if len(inputs) < len(node.input):
            node.input[:] = inputs
        classes = classes_of(node)
        kept = [
            each for each in classes if not (each.startswith(PREFIX) and each[len(PREFIX) :].decode() in self._state)
        ]
        if len(kept) < len(classes):
            node.attr[ATTRIBUTE].list.s[:] = kept
            if not kept:
                del node.attr[ATTRIBUTE]

    def _in_order_of_references(self) -> list[str]:
        """All ops, those that give a reference before those that take it."""
        needs = {
            name: [op_name(each) for each in node.input if each[0] != "^" and self._is_reference(tensor_name(each))]
            for name, node in self._nodes.items()
        }
        try:
            return list(in_order(needs))
        except CycleError as error:
            name = min(error.args[1])
            raise RaisingError(
                f"Op {name!r} ({self._nodes[name].op}) passes a reference to a variable around in a loop, which has no "
                "equal in functions of TensorFlow 2",
                hint="use the module in a graph of TensorFlow 1",
            ) from None

    def _is_reference(self, tensor: str) -> bool:
        name, _, index = tensor.partition(":")
        node = self._nodes.get(name)
        return node is not None and makes_references(node.op) and (index == "0" or node.op == "RefSwitch")

    def _rewrite(self, node: Any) -> None:
        op = node.op
        if op in _STATE:
            self._rewrite_state(node)
        elif op in _ROUTES:
            self._rewrite_route(node)
        elif op == "RefMerge":
            self._rewrite_merge(node)
        elif takes_references(op):
            self._rewrite_user(node)
        elif makes_references(op):
            raise self._no_equal(node)
        else:
            self._read_all(node, range(len(node.input)))

    def _rewrite_state(self, node: Any) -> None:
        name = node.name
        if node.op in _TABLES:
            self._replace(node, node.op + "V2")
            self._found[name + ":0"] = _Reference(name + ":0", (), None)
            return
        dtype = node.attr["dtype"].type
        if node.op == "Variable" and not node.attr["shape"].shape.dim:
            node.attr["shape"].shape.unknown_rank = True  # what this op says where nothing is known
        self._replace(node, "VarHandleOp")
        node.attr["shared_name"].s = node.attr["shared_name"].s or name.encode()
        self._found[name + ":0"] = _Reference(name + ":0", (), dtype)

    def _rewrite_route(self, node: Any) -> None:
        reference = self._reference(node, 0)
        outputs = 2 if node.op == "RefSwitch" else 1
        outer = reference if node.op == "RefSwitch" else None
        node.input[0] = self._handle(reference, node)
        self._after(node, reference)
        self._replace(node, _ROUTES[node.op])
        node.attr["T"].type = tf.resource.as_datatype_enum
        for index in range(outputs):
            tensor = f"{node.name}:{index}"
            self._found[tensor] = _Reference(tensor, (), reference.dtype, outer)

    def _rewrite_merge(self, node: Any) -> None:
        references = [self._reference(node, index) for index in range(node.attr["N"].i)]
        common = _common(references)
        dtype = references[0].dtype
        if dtype is None:
            raise self._no_equal(node)
        for index, reference in enumerate(references):
            node.input[index] = self._read(reference, node, ())
        self._replace(node, "Merge")
        # Whoever reads later sees what was assigned later, if there is one variable that it can be.
        if common is not None and common.handle is not None:
            self._found[node.name + ":0"] = _Reference(common.handle, (node.name,), dtype, common.outer)
        else:
            self._found[node.name + ":0"] = _Reference(None, (), dtype, value=node.name + ":0")

    def _rewrite_user(self, node: Any) -> None:
        definition = registered_op_def(node.op)
        equal = resource_equal(node.op)
        if definition is None or equal is None:
            raise self._no_equal(node)
        positions = {index for index, argument in enumerate(definition.input_arg) if argument.is_ref}
        references = {index: self._reference(node, index) for index in positions}
        self._read_all(node, [index for index in range(len(node.input)) if index not in positions])
        for index, reference in references.items():
            if (reference.dtype is None) != is_of_table(node.op):
                raise self._no_equal(node)
            node.input[index] = self._handle(reference, node)
        for reference in references.values():
            self._after(node, reference)
        if node.op == "Assign" and "validate_shape" not in node.attr:
            node.attr["validate_shape"].b = True
        self._replace(node, equal)
        if definition.output_arg and definition.output_arg[0].is_ref:
            first = references[0]
            self._found[node.name + ":0"] = _Reference(first.handle, (node.name,), first.dtype, first.outer)

    def _read_all(self, node: Any, indices: Iterable[int]) -> None:
        controls = [each for each in node.input if each[0] == "^"]
        for index in indices:
            if node.input[index][0] != "^" and (reference := self._found.get(tensor_name(node.input[index]))):
                node.input[index] = self._read(reference, node, controls)

    def _read(self, reference: _Reference, reader: Any, controls: Iterable[str]) -> str:
        """The tensor that a reader takes instead of a reference."""
        if reference.dtype is None:
            raise RaisingError(
                f"Op {reader.name!r} ({reader.op}) takes the handle of a table for a value",
                hint="use the module in a graph of TensorFlow 1",
            )
        if reference.handle is None:
            return reference.value
        key = (reader.name, f"{reference.handle} {' '.join(reference.after)}")
        if key not in self._reads:
            self._reads[key] = self._add_read(reference, reader.name, controls)
        return self._reads[key]

    def _add_read(self, reference: _Reference, reader: str, controls: Iterable[str]) -> str:
        name = self._free(f"{reader}/ReadVariableOp")
        node = tf.compat.v1.NodeDef(name=name, op="ReadVariableOp")
        after = ["^" + each for each in reference.after]
        node.input.extend([str(reference.handle), *dict.fromkeys([*controls, *after])])
        node.attr["dtype"].type = reference.dtype
        self._added.append(node)
        return name

    def _element(self, element: str) -> str:
        reference = self._found.get(element) if ":" in element else None
        if reference is None or (reference.dtype is None and not reference.after):
            return element
        if reference.handle is None:
            return reference.value
        return self._add_read(reference, op_name(element), ()) + ":0"

    def _reference(self, node: Any, index: int) -> _Reference:
        tensor = tensor_name(node.input[index])
        if tensor not in self._found:
            raise RaisingError(
                f"Op {node.name!r} ({node.op}) takes {tensor!r} for a reference, which it is not",
                hint="the module's graph is damaged; fetch it anew",
            )
        return self._found[tensor]

    def _handle(self, reference: _Reference, node: Any) -> str:
        if reference.handle is None:
            raise RaisingError(
                f"Op {node.name!r} ({node.op}) changes one of several variables by a condition, which has no equal in "
                "functions of TensorFlow 2",
                hint="use the module in a graph of TensorFlow 1",
            )
        return reference.handle

    def _after(self, node: Any, reference: _Reference) -> None:
        there = set(node.input)
        node.input.extend(control for control in ("^" + name for name in reference.after) if control not in there)

    def _replace(self, node: Any, op: str) -> None:
        definition = registered_op_def(op)
        if definition is None:
            raise self._no_equal(node)
        known = {attribute.name for attribute in definition.attr}
        if "dtype" in known and "dtype" not in node.attr and "T" in node.attr:
            node.attr["dtype"].CopyFrom(node.attr["T"])
        for name in [name for name in node.attr if name[0] != "_" and name not in known]:
            del node.attr[name]
        if "_output_shapes" in node.attr:
            del node.attr["_output_shapes"]
        node.op = op
        self._became[node.name] = op

    def _free(self, name: str) -> str:
        free, number = name, 0
        while free in self._names:
            number += 1
            free = f"{name}_{number}"
        self._names.add(free)
        return free

    def _no_equal(self, node: Any) -> RaisingError:
        return RaisingError(
            f"Op {node.name!r} ({node.op}) works on a reference and has no equal in functions of TensorFlow 2",
            hint="use the module in a graph of TensorFlow 1",
        )


def _common(references: list[_Reference]) -> _Reference | None:
    """The innermost reference that all of these are, seen from where their conditions end."""
    chains = [_outward(each) for each in references]
    for candidate in chains[0]:
        if all(any(candidate.handle == other.handle for other in chain) for chain in chains[1:]):
            return candidate if candidate.handle is not None else None
    return None


def _outward(reference: _Reference) -> list[_Reference]:
    chain = [reference]
    while chain[-1].outer is not None:
        chain.append(chain[-1].outer)
    return chain
