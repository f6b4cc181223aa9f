"""Writes the values of a module's variables as a V2 checkpoint, from a session, from the variables or from another checkpoint.

The user's graph stays as it is: values are fetched in batches of some tens of MiB and written by ``hubplug_format``, so
that a finalized graph can be exported, there is one data file, and no second copy of all the variables is ever in memory:
one batch is written while the next one is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from hubplug_format import CheckpointWriter, Part
from hubplug_tf1._errors import CheckpointMismatch
from hubplug_tf1._state.checkpoint_index import read_index
from hubplug_tf1._state.variables import BATCH_BYTES, StoredVariable, find_mismatch

VARIABLES_DIRECTORY = "variables"

# Strings have no fixed size; one of them counts as this many bytes.
_STRING_BYTES = 64


@dataclass(frozen=True)
class Tensor:
    """A tensor of the checkpoint, or one slice of it.

    Attributes:
        name: Its name there; all slices of a partitioned variable have the same.
        dtype: Of its values.
        part: Where the slice lies in the whole; None for all of it.
        size: Bytes.
        source: What its value is read from.
    """

    name: str
    dtype: tf.DType
    part: Part | None
    size: int
    source: Any


def save_from_session(directory: Path, variable_map: Mapping[str, Any], session: Any) -> None:
    """Writes ``variables/`` of a module with the values that a session holds.

    Args:
        directory: The module's directory.
        variable_map: Name in the module -> Variable, or list of the Variables of a partitioned one.
        session: A ``tf.compat.v1.Session`` over their graph, which may be finalized.

    Raises:
        tf.errors.FailedPreconditionError: A variable is not initialized.
    """
    tensors = []
    for name, found in variable_map.items():
        for variable in found if isinstance(found, list) else [found]:
            dtype = variable.dtype.base_dtype
            tensors.append(Tensor(name, dtype, _part(variable), _size(dtype, variable.shape), variable))

    def read(batches: Sequence[list[Any]]) -> Iterator[Sequence[Any]]:
        if len(batches) == 1:
            yield session.run(batches[0])
            return
        variables = [variable for batch in batches for variable in batch]
        # An error in a partial run would end the session: what cannot be read is found before.
        session.run([_reading_op(session.graph, variable) for variable in variables])
        # Each ``run`` of other fetches would look at the whole graph of the user anew.
        handle = session.partial_run_setup(variables)
        for batch in batches:
            yield session.partial_run(handle, batch)

    _save(directory, tensors, read)


def save_from_variables(directory: Path, variable_map: Mapping[str, Any]) -> None:
    """Writes ``variables/`` of a module with the values that its variables have under eager execution.

    Args:
        directory: The module's directory.
        variable_map: Name in the module -> Variable, or list of the Variables of one that is partitioned along axis 0.
    """
    tensors = []
    for name, found in variable_map.items():
        if not isinstance(found, list):
            tensors.append(Tensor(name, found.dtype, None, _size(found.dtype, found.shape), found))
            continue
        rows = [int(part.shape[0]) for part in found]
        rest = tuple(int(length) for length in found[0].shape[1:])
        for position, part in enumerate(found):
            place = Part((sum(rows), *rest), (sum(rows[:position]), *(0 for _ in rest)))
            tensors.append(Tensor(name, part.dtype, place, _size(part.dtype, part.shape), part))

    def read(batches: Sequence[list[Any]]) -> Iterator[Sequence[Any]]:
        for batch in batches:
            yield [tf.compat.v2.convert_to_tensor(variable).numpy() for variable in batch]

    _save(directory, tensors, read)


def save_from_checkpoint(
    directory: Path,
    variables: Iterable[StoredVariable],
    checkpoint: str,
    name_transform_fn: Callable[[str], str] | None,
) -> None:
    """Writes ``variables/`` of a module with the values of another checkpoint.

    Args:
        directory: The module's directory.
        variables: Those of the graph variant.
        checkpoint: The prefix of a checkpoint, or a directory of checkpoints of which the latest is taken.
        name_transform_fn: Name in the module -> name in the checkpoint; None: equal.

    Raises:
        tf.errors.NotFoundError: There is no such checkpoint.
        DamagedCheckpointError: It is damaged.
        CheckpointMismatch: It lacks a variable, or has it in another shape or dtype.
    """
    variables = list(variables)
    found = tf.train.latest_checkpoint(checkpoint) if tf.io.gfile.isdir(checkpoint) else checkpoint
    # A checkpoint of version 1 is one file of this name, which TensorFlow alone reads.
    if found and tf.io.gfile.exists(f"{found}.index"):
        read_index(found)
    reader = tf.train.load_checkpoint(checkpoint)
    keys = dict.fromkeys(variable.key for variable in variables)
    names = {key: name_transform_fn(key) if name_transform_fn else key for key in keys}
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    for variable in variables:
        if problem := find_mismatch(variable, shapes, dtypes, names[variable.key]):
            raise CheckpointMismatch(
                f"{problem} (checkpoint {checkpoint!r})",
                hint="give the checkpoint of a training run of this module; name_transform_fn maps the module's names "
                "to those in it",
            )

    def read(batches: Sequence[list[Any]]) -> Iterator[Sequence[Any]]:
        for batch in batches:
            keys = dict.fromkeys(variable.key for variable in batch)
            whole = {key: _as_array(reader.get_tensor(names[key])) for key in keys}
            yield [whole[variable.key][_extent(variable)] for variable in batch]

    _save(directory, [Tensor(v.key, v.dtype, _stored_part(v), v.size, v) for v in variables], read)


def _save(
    directory: Path,
    tensors: Iterable[Tensor],
    read: Callable[[Sequence[list[Any]]], Iterator[Sequence[Any]]],
) -> None:
    target = directory / VARIABLES_DIRECTORY
    target.mkdir()
    prefix = target / VARIABLES_DIRECTORY
    batches = list(_batches(sorted(tensors, key=lambda tensor: tensor.name), BATCH_BYTES))
    if not batches:
        return
    values = read([[tensor.source for tensor in batch] for batch in batches])
    writing: Future[None] | None = None
    with CheckpointWriter(prefix) as writer, ThreadPoolExecutor(1) as thread:
        for batch, read_values in zip(batches, values, strict=True):
            if writing is not None:
                writing.result()
            writing = thread.submit(_write, writer, batch, read_values)
        if writing is not None:
            writing.result()


def _batches(tensors: Iterable[Tensor], limit: int) -> Iterator[list[Tensor]]:
    batch: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if batch and size + tensor.size > limit:
            yield batch
            batch, size = [], 0
        batch.append(tensor)
        size += tensor.size
    if batch:
        yield batch


def _write(writer: CheckpointWriter, batch: Sequence[Tensor], values: Sequence[Any]) -> None:
    for tensor, value in zip(batch, values, strict=True):
        writer.add(tensor.name, tensor.dtype.name, _as_array(value), tensor.part)


def _reading_op(graph: Any, variable: Any) -> Any:
    """An op that the graph has, which fails where the variable is not initialized."""
    element = graph.as_graph_element(variable)
    is_reference = element.dtype != element.dtype.base_dtype
    return variable.value().op if is_reference else element.op


def _as_array(value: Any) -> Any:
    # A string as an object: NumPy's own strings lose zero bytes at their end.
    return np.asarray(value, dtype=object if isinstance(value, (bytes, str)) else None)


def _part(variable: Any) -> Part | None:
    definition = variable.to_proto()
    if not definition.HasField("save_slice_info_def"):
        return None
    info = definition.save_slice_info_def
    return Part(tuple(info.full_shape), tuple(info.var_offset))


def _stored_part(variable: StoredVariable) -> Part | None:
    if variable.offset is None or variable.full_shape is None:
        return None
    return Part(variable.full_shape, variable.offset)


def _size(dtype: tf.DType, shape: tf.TensorShape) -> int:
    count = math.prod(length or 1 for length in shape.as_list()) if shape.rank is not None else 1
    return count * (_STRING_BYTES if dtype == tf.string else dtype.size)


def _extent(variable: StoredVariable) -> tuple[slice, ...]:
    if variable.offset is None or variable.shape is None:
        return ()
    return tuple(slice(start, start + length) for start, length in zip(variable.offset, variable.shape, strict=True))
