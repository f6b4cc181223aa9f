"""The variables of a module: how they start from its checkpoint, and the map that users see.

Values are restored in batches: one ``RestoreV2`` for some tens of MiB, in the order of names, so that reading all of
them is a few sequential reads, and initializing a single variable reads little more than that variable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from hubplug_tf1._errors import CheckpointMismatch, MissingCheckpointError
from hubplug_tf1._graph.protos import VariableDef
from hubplug_tf1._graph.subgraph import op_name
from hubplug_tf1._state.checkpoint_index import read_index

BATCH_BYTES = 32 << 20

# Strings have no fixed size; one of them counts as this many bytes.
_STRING_BYTES = 64

_CPU = "/device:CPU:0"


@dataclass(frozen=True)
class StoredVariable:
    """A variable of the module's graph, or one part of a partitioned one.

    Attributes:
        key: Its name in the module and in the checkpoint; all parts of a partitioned one have the same.
        op: The op that holds it.
        initializer: The op that assigns its first value.
        offset: Where a part lies in the whole; None for a variable that is not partitioned.
        slice_spec: The part in RestoreV2's notation; empty for a variable that is not partitioned.
        is_resource: Whether the op is a resource handle, not a reference.
        dtype: Of the values.
        shape: Of this part, or None where the graph does not tell.
        full_shape: Of the whole, or None.
    """

    key: str
    op: str
    initializer: str
    offset: tuple[int, ...] | None
    slice_spec: str
    is_resource: bool
    dtype: tf.DType
    shape: tuple[int, ...] | None
    full_shape: tuple[int, ...] | None

    @classmethod
    def parse(cls, definition: VariableDef, nodes: Mapping[str, Any]) -> StoredVariable:
        """Reads a VariableDef; ``nodes`` are the NodeDefs by name."""
        op = op_name(definition.variable_name)
        dtype, shape = tf.as_dtype(nodes[op].attr["dtype"].type), _known_shape(nodes[op])
        initializer, resource = op_name(definition.initializer_name), definition.is_resource
        if not definition.HasField("save_slice_info_def"):
            return cls(op, op, initializer, None, "", resource, dtype, shape, shape)
        part = definition.save_slice_info_def
        extents = ":".join(f"{start},{length}" for start, length in zip(part.var_offset, part.var_shape, strict=True))
        spec = " ".join(str(size) for size in part.full_shape) + " " + extents
        return cls(
            part.full_name,
            op,
            initializer,
            tuple(part.var_offset),
            spec,
            resource,
            dtype,
            tuple(part.var_shape),
            tuple(part.full_shape),
        )

    @property
    def size(self) -> int:
        """Bytes of this part, as far as the graph tells."""
        count = 1
        for length in self.shape or ():
            count *= length
        return count * (self.dtype.size if self.dtype != tf.string else _STRING_BYTES)


def find_variable_map_error(variables: Iterable[StoredVariable]) -> str | None:
    """Says which key of the variable map two variables would claim, if any."""
    seen: set[tuple[str, int | None]] = set()
    for variable in variables:
        # Only partitions along the first axis can be told apart in a list of parts.
        place = (variable.key, variable.offset[0] if variable.offset else None)
        if place in seen:
            what = (
                f"duplicate offset {place[1]} for variable [{place[0]}]" if variable.offset else f"[{place[0]}] twice"
            )
            return f"Variable map contains {what}"
        seen.add(place)
    return None


def make_variable_map(stored: Sequence[StoredVariable], variables: Sequence[Any]) -> dict[str, Any]:
    """Name in the module -> Variable, or list of Variables for a partitioned one.

    Args:
        stored: The variables as the module defines them.
        variables: The Variables of the graph, in the same order.
    """
    found: dict[str, Any] = {}
    parts: dict[str, list[tuple[tuple[int, ...], int, Any]]] = {}
    for position, (definition, variable) in enumerate(zip(stored, variables, strict=True)):
        if definition.offset is None:
            found[definition.key] = variable
        else:
            found.setdefault(definition.key, [])
            parts.setdefault(definition.key, []).append((definition.offset, position, variable))
    for key, entries in parts.items():
        found[key] = [variable for *_, variable in sorted(entries, key=lambda entry: entry[:2])]
    return found


def check_checkpoint(checkpoint: str, variables: Iterable[StoredVariable]) -> None:
    """Compares the variables with the index of a checkpoint.

    Raises:
        MissingCheckpointError: There is no checkpoint.
        DamagedCheckpointError: Its index cannot be read.
        CheckpointMismatch: It lacks a variable, or has it in another shape or dtype.
    """
    index = read_index(checkpoint)
    if not tf.io.gfile.glob(f"{checkpoint}.index"):
        raise MissingCheckpointError(
            f"The module's variables are missing: TensorFlow finds no checkpoint at {checkpoint!r}",
            hint="the files are there, but it takes [ ] and \\ in a path for a pattern; move the module",
        )
    shapes = {name: entry.shape for name, entry in index.entries.items()}
    dtypes = {name: entry.dtype for name, entry in index.entries.items()}
    for variable in variables:
        if problem := find_mismatch(variable, shapes, dtypes):
            raise CheckpointMismatch(
                f"{problem} (checkpoint {checkpoint!r})",
                hint="the module's graph and its variables/ do not belong together; export the module again",
            )


def find_mismatch(
    variable: StoredVariable, shapes: Mapping[str, Any], dtypes: Mapping[str, Any], stored_as: str | None = None
) -> str | None:
    """Says how a variable and the shapes and dtypes of a checkpoint by name disagree; None if they fit.

    Args:
        variable: The variable.
        shapes: Name in the checkpoint -> shape.
        dtypes: Name in the checkpoint -> dtype.
        stored_as: Its name in the checkpoint; None: its key.
    """
    key, stored = variable.key, variable.key if stored_as is None else stored_as
    if stored not in shapes:
        return f"Tensor {stored} is not found in the checkpoint, though the graph has a variable {key}"
    if variable.full_shape is not None and list(variable.full_shape) != list(shapes[stored]):
        return (
            f"Shape of variable {key} ({list(variable.full_shape)}) doesn't match with shape of tensor {stored} "
            f"({list(shapes[stored])}) in the checkpoint"
        )
    if variable.dtype != tf.as_dtype(dtypes[stored]):
        return (
            f"Dtype of variable {key} ({variable.dtype.name}) doesn't match with dtype of tensor {stored} "
            f"({tf.as_dtype(dtypes[stored]).name}) in the checkpoint"
        )
    return None


def restore_batches(variables: Iterable[StoredVariable], batch_bytes: int = BATCH_BYTES) -> list[list[StoredVariable]]:
    """Divides variables into batches to be restored together, in the order of their names and offsets."""
    batches: list[list[StoredVariable]] = []
    size = 0
    for variable in sorted(variables, key=lambda each: (each.key, each.offset or (), each.op)):
        if not batches or (size and size + variable.size > batch_bytes):
            batches.append([])
            size = 0
        batches[-1].append(variable)
        size += variable.size
    return batches


def restore_nodes(checkpoint: str, name: str, batch: Sequence[StoredVariable]) -> list[Any]:
    """The NodeDefs that restore a batch: three constants and a RestoreV2 op of this name, one output per variable."""
    graph_def = tf.compat.v1.GraphDef()
    restore = graph_def.node.add(name=name, op="RestoreV2", device=_CPU)
    for suffix, value in (
        ("prefix", checkpoint),
        ("tensor_names", [variable.key for variable in batch]),
        ("shape_and_slices", [variable.slice_spec for variable in batch]),
    ):
        constant = graph_def.node.add(name=f"{name}/{suffix}", op="Const", device=_CPU)
        constant.attr["dtype"].type = tf.string.as_datatype_enum
        constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.string))
        restore.input.append(constant.name)
    restore.attr["dtypes"].list.type.extend(variable.dtype.as_datatype_enum for variable in batch)
    for variable in batch:
        restore.attr["_output_shapes"].list.shape.append(tf.TensorShape(variable.shape).as_proto())
    return list(graph_def.node)


def restoring_initializer(variable: StoredVariable, node: Any, value: str, free_name: str) -> Any:
    """The NodeDef that initializes a variable from a restored value.

    Args:
        variable: The variable.
        node: The NodeDef of its own initializer.
        value: The restored tensor.
        free_name: What to call the new op where its own initializer is not a plain assignment.
    """
    rewritten = tf.compat.v1.NodeDef()
    if node.op in ("Assign", "AssignVariableOp") and op_name(node.input[0]) == variable.op:
        rewritten.CopyFrom(node)
        rewritten.input[:] = [node.input[0], value]
        return rewritten
    rewritten.name = free_name
    rewritten.input[:] = [variable.op, value]
    kind = "dtype" if variable.is_resource else "T"
    rewritten.op = "AssignVariableOp" if variable.is_resource else "Assign"
    rewritten.attr[kind].type = variable.dtype.as_datatype_enum
    return rewritten


def _known_shape(node: Any) -> tuple[int, ...] | None:
    shape = tf.TensorShape(node.attr["shape"].shape)
    return tuple(shape.as_list()) if shape.is_fully_defined() else None
