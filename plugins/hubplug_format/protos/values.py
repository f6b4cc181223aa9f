"""Values of a tensor, given as Python numbers, strings, nested lists or a numpy array."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from hubplug_format.protos.dtypes import dtype_number

_STRUCT_CODES = {
    "float16": "e",
    "float32": "f",
    "float64": "d",
    "int8": "b",
    "int16": "h",
    "int32": "i",
    "int64": "q",
    "uint8": "B",
    "uint16": "H",
    "uint32": "I",
    "uint64": "Q",
    "bool": "?",
}


@dataclass(frozen=True)
class Values:
    """A tensor's dtype, shape and values in row-major order; strings are bytes."""

    dtype: str
    shape: tuple[int, ...]
    items: tuple[Any, ...]

    @classmethod
    def of(cls, value: Any, dtype: str | None = None) -> Values:
        """Takes a number, bool, string, nested list of one of them, or a numpy array.

        Args:
            value: The values. Lists must be rectangular.
            dtype: None takes it from the values: float32 for float, int32 for int, bool, string.

        Raises:
            ValueError: The lists are ragged, or the values are of different kinds.
        """
        if isinstance(value, Values):
            return value
        if hasattr(value, "tolist") and hasattr(value, "dtype"):
            name = str(value.dtype)
            dtype = dtype or (name if name == "bool" or (name[-1].isdigit() and name[0] in "fiu") else None)
            value = value.tolist()
        shape = _shape_of(value)
        items = tuple(item.encode() if isinstance(item, str) else item for item in _flat(value, len(shape)))
        if len(items) != prod(shape):
            raise ValueError(f"Lists of different lengths: {len(items)} values do not make a shape of {list(shape)}")
        dtype = dtype or _dtype_of(items)
        dtype_number(dtype)
        return cls(dtype, shape, items)

    def zeros(self) -> Values:
        """Values of the same dtype and shape that are all zero or empty."""
        zero: Any = {"string": b"", "bool": False}.get(self.dtype, 0)
        return Values(self.dtype, self.shape, (zero,) * len(self.items))

    def put(self, tensor: Any) -> None:
        """Writes them into a TensorProto message."""
        tensor.dtype = dtype_number(self.dtype)
        tensor.tensor_shape.SetInParent()
        for size in self.shape:
            tensor.tensor_shape.dim.add(size=size)
        if self.dtype == "string":
            tensor.string_val.extend(self.items)
        else:
            tensor.tensor_content = encode_numbers(self.dtype, self.items)


def encode_numbers(dtype: str, values: Sequence[Any]) -> bytes:
    """Numbers in row-major order, little-endian, as messages and data files have them.

    Raises:
        ValueError: A value is out of range, or the dtype is not numeric.
    """
    if dtype not in _STRUCT_CODES:
        raise ValueError(f"Values of dtype {dtype} cannot be written; these can: {', '.join(_STRUCT_CODES)}, string")
    try:
        return struct.pack(f"<{len(values)}{_STRUCT_CODES[dtype]}", *values)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"The values do not fit dtype {dtype}: {error}") from None


def _shape_of(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)):
        return ()
    return (len(value), *(_shape_of(value[0]) if value else ()))


def _flat(value: Any, rank: int) -> Iterator[Any]:
    if rank == 0:
        if isinstance(value, (list, tuple)):
            raise ValueError("Lists of different depths do not make a tensor")
        yield value
        return
    if not isinstance(value, (list, tuple)):
        raise ValueError("Lists of different depths do not make a tensor")
    lengths = {len(item) if isinstance(item, (list, tuple)) else -1 for item in value}
    if len(lengths) > 1:
        raise ValueError(f"Lists of different lengths do not make a tensor: {sorted(lengths)}")
    for item in value:
        yield from _flat(item, rank - 1)


def _dtype_of(items: Sequence[Any]) -> str:
    kinds = {type(item) for item in items}
    if kinds <= {bytes} and kinds:
        return "string"
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "int32"
    if kinds <= {int, float}:
        return "float32"
    raise ValueError(f"Values of these types do not make a tensor: {sorted(kind.__name__ for kind in kinds)}")
