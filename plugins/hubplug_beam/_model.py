"""A module in this process: values of a batch in, values for each row out.

A session applies it, not eager execution: for batches of 256 rows the session is faster (docs/performance.md), above all where each process
has one thread, since the session then runs in the thread that calls it. Several threads may share one copy.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

import hubplug
from hubplug.errors import FormatError, HubplugError, InputError, needs
from hubplug.spec import ModuleSpec
from hubplug.types import TensorInfo
from hubplug_beam import _values
from hubplug_beam._calls import Call
from hubplug_beam._content import demand_content
from hubplug_beam._shipping import Shipment, hub_of


class NotForEachRow(InputError):
    """An output has one value for a batch, as it turns out when it is computed."""


class Model:
    """One copy of a module, for all threads of a process. It can be weakly referenced, as Beam demands.

    Attributes:
        load_seconds: How long resolving and loading took.
        bytes: The size of its variables in memory.
    """

    def __init__(self, shipment: Shipment) -> None:
        """Resolves the handle and loads the module.

        Raises:
            DigestMismatch: It is not what it was when the pipeline was made.
            HubplugError: As ``hubplug.Module``; or it is a SavedModel, and eager execution is switched off in this process.
        """
        with needs("tensorflow", "tensorflow"):
            import tensorflow as tf
        started = time.monotonic()
        self._tf = tf
        hub = hub_of(shipment.config)
        with hub.activate():
            self._loaded = hub.use_spec(shipment.handle, lambda spec: _load(spec, shipment))
        self.load_seconds = time.monotonic() - started
        self.bytes = sum(
            variable.dtype.size * (variable.shape.num_elements() or 0) for variable in self._loaded.variables
        )

    def apply(self, call: Call, values: Mapping[str, _values.Value], rows: int) -> dict[str, Any]:
        """Applies a signature.

        Args:
            call: Which one, and which outputs are kept.
            values: By input.
            rows: How many rows these are; what is beyond was filled up.

        Returns:
            By output an array, or a list, with a value for each row.

        Raises:
            NotForEachRow: An output does not have a value for each row.
            tf.errors.OpError: The module refuses the values.
            ValueError: A value has a shape that the module does not take.
        """
        fed = {key: self._fed(value, call.inputs[key], call.signature, key) for key, value in values.items()}
        outputs = self._loaded(fed, call.signature, call.outputs)
        return {key: _rows(key, outputs[key], rows, next(iter(values.values()))) for key in call.outputs}

    def _fed(self, value: _values.Value, info: TensorInfo, signature: str, key: str) -> Any:
        v1 = self._tf.compat.v1
        dtype = self._tf.as_dtype(info.dtype)
        if isinstance(value, _values.Images):
            return self._pictures(value, info, dtype)
        if isinstance(value, _values.Sparse):
            return v1.SparseTensorValue(value.indices, value.values.astype(dtype.as_numpy_dtype), value.shape)
        if isinstance(value, _values.Ragged):
            rank, inner = self._loaded.depth(signature, key)
            return v1.ragged.constant_value(value.rows, dtype.as_numpy_dtype, rank, inner)
        return value.astype(dtype.as_numpy_dtype) if info.dtype == "bfloat16" else value

    def _pictures(self, value: _values.Images, info: TensorInfo, dtype: Any) -> Any:
        """Pictures decoded to [0, 1] for floats, and resized where the input says to what."""
        _demand_eager(self._tf, "Images are decoded")
        tf = self._tf
        _, height, width, channels = info.shape or (None, None, None, None)
        found = []
        for content in value.contents:
            kind = tf.uint8 if dtype == tf.uint8 else tf.float32
            picture = tf.io.decode_image(content, channels or 3, dtype=kind, expand_animations=False)
            if height and width and picture.shape[:2] != (height, width):
                picture = tf.compat.v2.image.resize(picture, [height, width], antialias=True)
            found.append(tf.cast(picture, dtype))
        return tf.stack(found).numpy()


def _load(spec: ModuleSpec, shipment: Shipment) -> _InSession | _Signatures:
    assert spec.module is not None  # a Hub read it
    demand_content(spec.module, shipment.content)
    tags = shipment.call.tags
    try:
        spec.check_instantiable()
    except FormatError:
        return _Signatures(spec, tags)
    return _InSession(spec, tags, shipment.threads)


class _InSession:
    """A module in TF1 Hub format, to be called with a signature."""

    def __init__(self, spec: ModuleSpec, tags: tuple[str, ...], threads: int | None) -> None:
        import tensorflow as tf

        config = None
        if threads is not None:
            # -1: in the thread that calls.
            between = -1 if threads == 1 else threads
            config = tf.compat.v1.ConfigProto(
                intra_op_parallelism_threads=threads, inter_op_parallelism_threads=between
            )
        self._function = hubplug.EvalFunction(spec, tags, config=config)
        self.variables = self._function.module.variables

    def __call__(self, inputs: dict[str, Any], signature: str, outputs: Collection[str]) -> Any:
        return self._function(inputs, signature=signature, as_dict=True, select=outputs)

    def depth(self, signature: str, key: str) -> tuple[int | None, tuple[int, ...] | None]:
        """Of a ragged input how many dimensions are ragged, and the shape of what is within, where that is known."""
        spec = self._function.module.get_input_info_dict(signature)[key].type_spec
        inner = spec.shape[spec.ragged_rank + 1 :]
        return spec.ragged_rank, tuple(inner) if inner.is_fully_defined() else None


class _Signatures:
    """A SavedModel, to be called with a signature."""

    def __init__(self, spec: ModuleSpec, tags: tuple[str, ...]) -> None:
        import tensorflow as tf

        _demand_eager(tf, "SavedModels are applied")
        self._tf = tf
        self._loaded = spec.load_object(list(tags) or None)
        # The attribute `variables` is whatever the exporter made it; Keras 2 has tables in it, too.
        signatures = self._loaded.signatures.values()
        self.variables = list({id(one): one for signature in signatures for one in signature.variables}.values())

    def __call__(self, inputs: dict[str, Any], signature: str, outputs: Collection[str]) -> Any:
        return self._loaded.signatures[signature](**{key: self._tensor(value) for key, value in inputs.items()})

    def depth(self, signature: str, key: str) -> tuple[int | None, tuple[int, ...] | None]:
        """Not known."""
        return None, None

    def _tensor(self, value: Any) -> Any:
        tf = self._tf
        if isinstance(value, tf.compat.v1.SparseTensorValue):
            return tf.SparseTensor.from_value(value)
        if isinstance(value, tf.compat.v1.ragged.RaggedTensorValue):
            return tf.RaggedTensor.from_nested_row_splits(value.flat_values, value.nested_row_splits)
        return tf.compat.v2.convert_to_tensor(value)


def _demand_eager(tf: Any, what: str) -> None:
    if not tf.compat.v2.executing_eagerly():
        raise HubplugError(
            f"{what} under eager execution, which this program has switched off",
            hint="take out tf.compat.v1.disable_eager_execution() or disable_v2_behavior(), or use another process",
        )


def _rows(key: str, output: Any, rows: int, fed: _values.Value) -> Any:
    if hasattr(output, "to_list"):
        found: Any = output.to_list()
    elif hasattr(output, "dense_shape"):
        found = _sparse_rows(output)
    else:
        found = np.asarray(output)
    filled = _length(fed)
    if getattr(found, "ndim", 1) == 0 or len(found) != filled:
        shape = list(getattr(output, "shape", ()))
        raise NotForEachRow(
            f"The output {key!r} has shape {shape} for {filled} rows: it is not one value for each row",
            hint="choose other outputs with --select (select=)",
        )
    return found[:rows]


def _length(value: _values.Value) -> int:
    if isinstance(value, _values.Sparse):
        return value.shape[0]
    if isinstance(value, _values.Ragged):
        return len(value.rows)
    return len(value.contents) if isinstance(value, _values.Images) else len(value)


def _sparse_rows(output: Any) -> list[dict[str, list[Any]]]:
    """Of each row the places of its values, and these: what a sparse input takes."""
    rows: list[dict[str, list[Any]]] = [{"indices": [], "values": []} for _ in range(int(output.dense_shape[0]))]
    for place, value in zip(np.asarray(output.indices), np.asarray(output.values).tolist(), strict=True):
        rest = place[1:].tolist()
        row = rows[int(place[0])]
        row["indices"].append(rest[0] if len(rest) == 1 else rest)
        row["values"].append(value)
    return rows
