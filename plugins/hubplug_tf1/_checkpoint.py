"""Writes the values of a module's variables as a V2 checkpoint, from a session or from another checkpoint.

The user's graph stays as it is: values are fetched in batches of some tens of MiB and each batch is saved by a graph of
its own, so that a finalized graph can be exported and no second copy of all the variables is ever in memory, only one of
a few batches. One batch gives one data file; several are merged, and stay a data file each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from hubplug_tf1._checkpoint_index import read_index
from hubplug_tf1._errors import CheckpointMismatch
from hubplug_tf1._private_tensorflow import save_slice_spec
from hubplug_tf1._variables import BATCH_BYTES, StoredVariable, add_checkpoint_op, find_mismatch

VARIABLES_DIRECTORY = "variables"

# Up to here, copying a variable together with others is cheaper than an op of its own.
_SMALL_BYTES = 1 << 16

# Batches that are saved at the same time.
_SAVERS = 2

# Strings have no fixed size; one of them counts as this many bytes.
_STRING_BYTES = 64


@dataclass(frozen=True)
class Tensor:
    """A tensor of the checkpoint, or one slice of it.

    Attributes:
        name: Its name there; all slices of a partitioned variable have the same.
        slice_spec: The slice in SaveV2's notation; empty for all of it.
        size: Bytes.
        source: What its value is read from.
    """

    name: str
    slice_spec: str
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
            tensors.append(Tensor(name, save_slice_spec(variable), _size(variable.dtype, variable.shape), variable))

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

    _save(directory, [Tensor(v.key, v.slice_spec, v.size, v) for v in variables], read)


def _save(
    directory: Path,
    tensors: Iterable[Tensor],
    read: Callable[[Sequence[list[Any]]], Iterator[Sequence[Any]]],
) -> None:
    target = directory / VARIABLES_DIRECTORY
    target.mkdir()
    prefix = target / VARIABLES_DIRECTORY
    batches = list(_batches(sorted(tensors, key=lambda tensor: tensor.name), BATCH_BYTES))
    values = read([[tensor.source for tensor in batch] for batch in batches])
    if len(batches) < 2:
        for batch in batches:
            _save_batch(prefix, batch, next(values))
        return
    parts = [target / f"part-{number:05d}" / VARIABLES_DIRECTORY for number in range(len(batches))]
    for part in parts:
        part.parent.mkdir()
    # Batches are saved while the next one is read.
    with ThreadPoolExecutor(_SAVERS) as saver:
        saving: list[Future[None]] = []
        for part, batch, read_values in zip(parts, batches, values, strict=True):
            if len(saving) == _SAVERS:
                saving.pop(0).result()
            saving.append(saver.submit(_save_batch, part, batch, read_values))
        for future in saving:
            future.result()
    with _scratch() as session:
        session.run(
            tf.raw_ops.MergeV2Checkpoints(
                checkpoint_prefixes=[str(part) for part in parts], destination_prefix=str(prefix), delete_old_dirs=True
            )
        )


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


def _save_batch(prefix: Path, batch: Sequence[Tensor], values: Sequence[Any]) -> None:
    arrays = [_as_array(value) for value in values]
    alike: dict[Any, list[int]] = {}
    for position, array in enumerate(arrays):
        group = (_dtype_of(array), array.shape) if array.nbytes <= _SMALL_BYTES else position
        alike.setdefault(group, []).append(position)
    # TensorFlow's own makers of ops would take longer than all the rest. So would an op for each of a thousand small
    # variables, and feeding it: equal ones are fed together.
    graph_def = tf.compat.v1.GraphDef()
    inputs: dict[int, str] = {}
    fed: dict[str, Any] = {}
    for number, positions in enumerate(alike.values()):
        value, name = arrays[positions[0]], f"value_{number}"
        dtype = _dtype_of(value).as_datatype_enum
        inputs[positions[0]] = name
        if len(positions) > 1:
            value = np.stack([arrays[position] for position in positions])
            unpack = graph_def.node.add(name=f"each_{number}", op="Unpack", input=[name])
            unpack.attr["T"].type, unpack.attr["num"].i = dtype, len(positions)
            inputs.update((position, f"each_{number}:{index}") for index, position in enumerate(positions))
        graph_def.node.add(name=name, op="Placeholder").attr["dtype"].type = dtype
        fed[f"{name}:0"] = value
    tensors = [(tensor.name, tensor.slice_spec) for tensor in batch]
    save = add_checkpoint_op(graph_def, "SaveV2", "save", str(prefix), tensors)
    save.input.extend(inputs[position] for position in range(len(batch)))
    save.attr["dtypes"].list.type.extend(_dtype_of(array).as_datatype_enum for array in arrays)
    with _scratch() as session:
        tf.import_graph_def(graph_def, name="")
        session.run("save", fed)


def _reading_op(graph: Any, variable: Any) -> Any:
    """An op that the graph has, which fails where the variable is not initialized."""
    element = graph.as_graph_element(variable)
    is_reference = element.dtype != element.dtype.base_dtype
    return variable.value().op if is_reference else element.op


@contextmanager
def _scratch() -> Iterator[Any]:
    """A session over a new default graph, without GPUs, that runs ops as they are."""
    config = tf.compat.v1.ConfigProto(device_count={"GPU": 0})
    # Graphs that run once are not worth it.
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = tf.compat.v1.OptimizerOptions.L0
    with tf.Graph().as_default(), tf.compat.v2.device("/device:CPU:0"), tf.compat.v1.Session(config=config) as session:
        yield session


def _as_array(value: Any) -> Any:
    # A string as an object: NumPy's own strings lose zero bytes at their end.
    return np.asarray(value, dtype=object if isinstance(value, (bytes, str)) else None)


def _dtype_of(array: Any) -> tf.DType:
    return tf.string if array.dtype.kind in "OSU" else tf.as_dtype(array.dtype)


def _size(dtype: tf.DType, shape: tf.TensorShape) -> int:
    count = math.prod(length or 1 for length in shape.as_list()) if shape.rank is not None else 1
    return count * (_STRING_BYTES if dtype.base_dtype == tf.string else dtype.size)


def _extent(variable: StoredVariable) -> tuple[slice, ...]:
    if variable.offset is None or variable.shape is None:
        return ()
    return tuple(slice(start, start + length) for start, length in zip(variable.offset, variable.shape, strict=True))
