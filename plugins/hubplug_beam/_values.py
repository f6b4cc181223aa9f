"""From the columns of a block to what the inputs of a signature take, without TensorFlow as far as that goes.

What does not fit is a ValueError that says what was found and what is expected: of a block, some row is then looked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from hubplug.types import TensorInfo

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sparse:
    """A sparse tensor of TensorFlow, as arrays."""

    indices: Array
    values: Array
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Ragged:
    """A ragged tensor of TensorFlow, as nested lists."""

    rows: Sequence[Any]


@dataclass(frozen=True)
class Images:
    """Encoded pictures, to be decoded to what an input takes."""

    contents: Sequence[bytes]


Value = Array | Sparse | Ragged | Images


def convert(column: Any, info: TensorInfo, *, flat: bool = False) -> Value:
    """What an input takes, of a column.

    Args:
        column: A value for each row: a list, or an Arrow array.
        info: The input.
        flat: Whether each value is a flat list of what it is made of.

    Raises:
        ValueError: Something in it does not fit.
    """
    if info.kind == "sparse":
        return _sparse(_listed(column), info)
    if info.kind == "composite":
        return _ragged(_listed(column), info)
    if info.dtype == "string":
        return _shaped(_texts(_listed(column)), info, flat)
    if _takes_images(info):
        listed = _listed(column)
        first = next(iter(listed), None)
        if flat and isinstance(first, list) and len(first) == 1 and isinstance(first[0], bytes):
            listed = [row[0] for row in listed]
        if isinstance(first, bytes) or (flat and listed and isinstance(listed[0], bytes)):
            _demand_values(listed)
            return Images(listed)
    return _shaped(_numbers(column, info.dtype), info, flat)


def rows_of(column: Any, rows: Sequence[int]) -> Any:
    """Some rows of a column, by their places in it; one may be there several times."""
    return (
        column.take(_arrow_indices(rows))
        if hasattr(column, "take") and not isinstance(column, list)
        else [column[row] for row in rows]
    )


def _arrow_indices(rows: Sequence[int]) -> Any:
    import pyarrow as pa

    return pa.array(list(rows), pa.int64())


def _listed(column: Any) -> list[Any]:
    return list(column.to_pylist()) if hasattr(column, "to_pylist") else list(column)


def _demand_values(rows: Sequence[Any]) -> None:
    if type(None) in set(map(type, rows)):
        raise ValueError("there is no value")


def _takes_images(info: TensorInfo) -> bool:
    return (
        info.shape is not None
        and len(info.shape) == 4
        and info.dtype in ("float16", "bfloat16", "float32", "float64", "uint8")
    )


def _texts(rows: list[Any]) -> Array:
    _demand_values(rows)
    array = np.array(rows, object) if set(map(type, rows)) - {str, bytes} else _of_objects(rows)
    kinds = set(map(type, array.flat))
    if wrong := kinds - {str, bytes}:
        raise ValueError(f"expected a text, got {min(kind.__name__ for kind in wrong)}")
    if str not in kinds:
        return array
    try:
        return _of_objects([text.encode() if isinstance(text, str) else text for text in array.flat]).reshape(
            array.shape
        )
    except UnicodeEncodeError:
        raise ValueError("a text has half a surrogate pair, which UTF-8 does not have") from None


def _of_objects(values: Sequence[Any]) -> Array:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _numbers(column: Any, dtype: str) -> Array:
    array = _arrow_numbers(column)
    if array is None:
        array = _listed_numbers(_listed(column), dtype)
    return _cast(array, dtype)


def _listed_numbers(rows: list[Any], dtype: str) -> Array:
    """An array of numbers in lists; each is what it would be alone, whatever the others are."""
    kinds = _kinds(rows)
    if type(None) in kinds:
        raise ValueError("there is no value")
    if bool in kinds and dtype != "bool":
        raise ValueError(f"expected {dtype}, got true or false")
    try:
        array = np.array(rows)
    except ValueError:
        raise ValueError("the rows have values of different shapes") from None
    if array.dtype.kind not in "fO" or not kinds <= {int, float}:
        return array
    # Among others, whole numbers become floats, which do not have all of them; and what is larger than any integer an object.
    exact = np.array(rows, object)
    return (
        np.array([_whole(one, dtype) for one in exact.flat], dtype).reshape(exact.shape)
        if _is_whole(dtype)
        else exact.astype(np.float64)
    )


def _is_whole(dtype: str) -> bool:
    return np.dtype("float32" if dtype == "bfloat16" else dtype).kind in "iu"


def _whole(number: float, dtype: str) -> int:
    if isinstance(number, float) and not number.is_integer():
        raise ValueError(f"expected {dtype}, got a number that is not whole")
    limits = np.iinfo(dtype)
    if not limits.min <= number <= limits.max:
        raise ValueError(f"expected {dtype}, got a number that is too large for it")
    return int(number)


def _kinds(rows: Sequence[Any]) -> set[type]:
    """The types of what nested lists hold."""
    kinds = set(map(type, rows))
    if list in kinds:
        kinds = (kinds - {list}) | _kinds([*chain.from_iterable(row for row in rows if type(row) is list)])
    return kinds


def _arrow_numbers(column: Any) -> Array | None:
    """An Arrow array of numbers, or of lists of the same length of them, without a Python object for each; else None."""
    if not hasattr(column, "null_count"):
        return None
    import pyarrow as pa

    shape: list[int] = [len(column)]
    while (
        pa.types.is_list(column.type) or pa.types.is_large_list(column.type) or pa.types.is_fixed_size_list(column.type)
    ):
        flat = column.flatten()
        if column.null_count or not len(column) or len(flat) % len(column):
            return None
        length = len(flat) // len(column)
        if not pa.types.is_fixed_size_list(column.type):
            lengths = np.diff(column.offsets.to_numpy())
            if not (lengths == length).all():
                return None
        shape.append(length)
        column = flat
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    if column.null_count or not any(is_kind(column.type) for is_kind in kinds):
        return None
    return np.asarray(column.to_numpy(zero_copy_only=False)).reshape(shape)


def _cast(array: Array, dtype: str) -> Array:
    wanted = np.dtype("float32" if dtype == "bfloat16" else dtype)
    if array.dtype == wanted:
        return array
    if array.dtype.kind == "O":
        raise ValueError(f"expected {dtype}, got something that is no number")
    is_text = array.dtype.kind in "SU"
    if wanted.kind == "b":
        lowered = np.char.lower(array.astype(str)) if is_text else array
        if is_text and np.isin(lowered, ["true", "false"]).all():
            return np.asarray(lowered == "true")
        raise ValueError(f"expected true or false, got {'another text' if is_text else array.dtype.name}")
    if is_text:
        try:
            array = array.astype(np.float64 if wanted.kind == "f" else wanted)
        except ValueError as error:
            raise ValueError(f"expected {dtype}: {error}") from None
    elif array.dtype.kind == "b":
        raise ValueError(f"expected {dtype}, got true or false")
    if wanted.kind in "iu" and array.size:
        limits = np.iinfo(wanted)
        if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.floor(array)).all()):
            raise ValueError(f"expected {dtype}, got a number that is not whole")
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise ValueError(f"expected {dtype}, got a number that is too large for it")
    with np.errstate(over="ignore"):
        cast = array.astype(wanted)
    if wanted.kind == "f" and not np.array_equal(np.isinf(cast), np.isinf(array)):
        raise ValueError(f"expected {dtype}, got a number that is too large for it")
    return cast


def _shaped(array: Array, info: TensorInfo, flat: bool) -> Array:
    if info.shape is None:
        return array
    wanted = info.shape[1:]
    if flat and array.ndim == 2:
        known = [length for length in wanted if length is not None]
        if len(known) == len(wanted) and array.shape[1] == prod(known):
            return array.reshape((len(array), *known))
    found = array.shape[1:]
    fits = len(found) == len(wanted) and all(
        length in (None, other) for length, other in zip(wanted, found, strict=True)
    )
    if not fits and len(array):
        said = [length if length is not None else "?" for length in wanted]
        raise ValueError(f"expected values of shape {_in_words(said)}, got {_in_words(found)}")
    return array


def _in_words(shape: Sequence[Any]) -> str:
    return f"[{', '.join(map(str, shape))}]" if shape else "[] (single values)"


def _ragged(rows: list[Any], info: TensorInfo) -> Ragged:
    """Rows of lists; how deep they have to be is for whoever knows the input."""
    _demand_values(rows)
    if not all(isinstance(row, (list, tuple, np.ndarray)) for row in rows):
        raise ValueError("expected a list in each row, for a ragged input")
    listed = [row.tolist() if isinstance(row, np.ndarray) else list(row) for row in rows]
    leaves = listed
    while list in set(map(type, leaves)):
        if not set(map(type, leaves)) <= {list}:
            raise ValueError("expected lists of one depth, for a ragged input")
        leaves = [*chain.from_iterable(leaves)]
    _ = _texts(leaves) if info.dtype == "string" else _numbers(leaves or np.empty(0, "int8"), info.dtype)
    return Ragged(listed)


def _sparse(rows: list[Any], info: TensorInfo) -> Sparse:
    """A matrix: of each row a list of values, or ``{"indices": [...], "values": [...]}``."""
    _demand_values(rows)
    if info.shape is not None and len(info.shape) != 2:
        raise ValueError(f"expected a sparse input of rank 2, and this one has rank {len(info.shape)}")
    places: list[list[int]] = []
    values: list[Any] = []
    for number, row in enumerate(rows):
        if isinstance(row, dict):
            if set(row) != {"indices", "values"} or len(row["indices"]) != len(row["values"]):
                raise ValueError("expected 'indices' and as many 'values', for a sparse input")
            whole = [_whole(place, "int64") for place in row["indices"]]
            pairs = sorted(zip(whole, row["values"], strict=True), key=lambda pair: pair[0])
        elif isinstance(row, (list, tuple, np.ndarray)):
            pairs = list(enumerate(row))
        else:
            raise ValueError(f"expected a list in each row, for a sparse input, got {type(row).__name__}")
        if len({place for place, _ in pairs}) < len(pairs):
            raise ValueError("expected each of 'indices' once, for a sparse input")
        places.extend([number, place] for place, _ in pairs)
        values.extend(value for _, value in pairs)
    indices = np.array(places, np.int64).reshape(-1, 2)
    width = info.shape[1] if info.shape is not None else None
    used = int(indices[:, 1].max()) + 1 if len(indices) else 0
    if (width is not None and used > width) or (len(indices) and indices.min() < 0):
        raise ValueError(f"expected indices from 0{f' to {width - 1}' if width else ''}")
    array = _texts(values) if info.dtype == "string" else _numbers(values or np.empty(0, "int8"), info.dtype)
    if array.ndim != 1:
        raise ValueError("expected single values in the list of a sparse input")
    return Sparse(indices, array, (len(rows), used if width is None else width))
