"""A module in this process: values of a batch in, values for each row out.

It is applied under eager execution, not by a session: a call takes 0.78 to 0.84 of the time of one by a session callable
(docs/performance.md), several threads may call it, and no graph grows.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from hubplug.errors import FormatError, HubplugError, InputError, needs
from hubplug.hub import Hub
from hubplug.module import Module
from hubplug.spec import ModuleSpec
from hubplug.types import TensorInfo
from hubplug_beam import _values
from hubplug_beam._calls import Call


class NotForEachRow(InputError):
    """An output has one value for a batch, as it turns out when it is computed."""


class Model:
    """One copy of a module, for all threads of a process. It can be weakly referenced, as Beam demands.

    Attributes:
        load_seconds: How long resolving and loading took.
        bytes: The size of its variables in memory.
    """

    def __init__(self, hub: Hub, handle: str, tags: tuple[str, ...] = ()) -> None:
        """Resolves a handle and loads the module.

        Raises:
            HubplugError: As ``hubplug.Module``; or eager execution is switched off in this process.
        """
        with needs("tensorflow", "tensorflow"):
            import tensorflow as tf
        if not tf.compat.v2.executing_eagerly():
            raise HubplugError(
                "Modules are applied to files under eager execution, which this program has switched off",
                hint="take out tf.compat.v1.disable_eager_execution() or disable_v2_behavior(), or use another process",
            )
        started = time.monotonic()
        self._tf = tf
        with hub.activate():
            self._loaded = hub.use_spec(handle, lambda spec: _load(spec, tags))
        self.load_seconds = time.monotonic() - started
        self.bytes = sum(
            variable.dtype.size * variable.shape.num_elements() for variable in getattr(self._loaded, "variables", ())
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
        """
        fed = {key: self._tensor(value, call.inputs[key]) for key, value in values.items()}
        outputs = self._loaded(fed, call.signature)
        return {key: self._rows(key, outputs[key], rows, next(iter(values.values()))) for key in call.outputs}

    def _tensor(self, value: _values.Value, info: TensorInfo) -> Any:
        tf = self._tf
        dtype = tf.as_dtype(info.dtype)
        if isinstance(value, _values.Images):
            return self._pictures(value, info, dtype)
        if isinstance(value, _values.Sparse):
            return tf.sparse.SparseTensor(value.indices, tf.compat.v2.constant(value.values, dtype), value.shape)
        if isinstance(value, _values.Ragged):
            return tf.ragged.constant(value.rows, dtype)
        return (
            tf.compat.v2.constant(value, None if dtype == tf.string else value.dtype)
            if dtype != tf.bfloat16
            else tf.cast(value, dtype)
        )

    def _pictures(self, value: _values.Images, info: TensorInfo, dtype: Any) -> Any:
        """Pictures decoded to [0, 1] for floats, and resized where the input says to what."""
        tf = self._tf
        _, height, width, channels = info.shape or (None, None, None, None)
        found = []
        for content in value.contents:
            picture = tf.io.decode_image(content, channels or 3, dtype=dtype, expand_animations=False)
            if height and width and picture.shape[:2] != (height, width):
                picture = tf.cast(tf.compat.v2.image.resize(picture, [height, width], antialias=True), dtype)
            found.append(picture)
        return tf.stack(found)

    def _rows(self, key: str, output: Any, rows: int, fed: _values.Value) -> Any:
        tf = self._tf
        if isinstance(output, tf.RaggedTensor):
            found: Any = output.to_list()
        elif isinstance(output, tf.SparseTensor):
            found = _sparse_rows(output)
        else:
            found = output.numpy()
        filled = _length(fed)
        if getattr(found, "ndim", 1) == 0 or len(found) != filled:
            shape = list(getattr(output, "shape", ()))
            raise NotForEachRow(
                f"The output {key!r} has shape {shape} for {filled} rows: it is not one value for each row",
                hint="choose other outputs with --select (select=)",
            )
        return found[:rows]


def _load(spec: ModuleSpec, tags: tuple[str, ...]) -> Any:
    try:
        spec.check_instantiable()
    except FormatError:
        return _Signatures(spec.load_object(list(tags) or None))
    return _Applied(Module(spec, tags=tags))


class _Applied:
    """A module in TF1 Hub format, to be called with a signature."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self.variables = module.variables

    def __call__(self, inputs: dict[str, Any], signature: str) -> Any:
        return self._module(inputs, signature=signature, as_dict=True)


class _Signatures:
    """A SavedModel, to be called with a signature."""

    def __init__(self, loaded: Any) -> None:
        self._loaded = loaded
        self.variables = list(getattr(loaded, "variables", ()))

    def __call__(self, inputs: dict[str, Any], signature: str) -> Any:
        return self._loaded.signatures[signature](**inputs)


def _length(value: _values.Value) -> int:
    if isinstance(value, _values.Sparse):
        return value.shape[0]
    if isinstance(value, _values.Ragged):
        return len(value.rows)
    return len(value.contents) if isinstance(value, _values.Images) else len(value)


def _sparse_rows(output: Any) -> list[dict[str, list[Any]]]:
    """Of each row the places of its values, and these: what a sparse input takes."""
    rows: list[dict[str, list[Any]]] = [{"indices": [], "values": []} for _ in range(int(output.dense_shape[0]))]
    for place, value in zip(output.indices.numpy(), output.values.numpy().tolist(), strict=True):
        rest = place[1:].tolist()
        row = rows[int(place[0])]
        row["indices"].append(rest[0] if len(rest) == 1 else rest)
        row["values"].append(value)
    return rows
