"""Whether two values are equal: floats within a tolerance, everything else exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hubplug_convert._contract import Ragged, Sparse

TOLERANCE = 1e-5
FORMULA = "|result - source| <= 1e-5 + 1e-5 * |source| for each number; NaN equals NaN; other dtypes exactly"


@dataclass(frozen=True)
class Difference:
    """How two values differ.

    Attributes:
        largest: The largest ``|result - source| / (1 + |source|)`` of all numbers; what is no number counts as 0 or infinity.
        said: What is wrong, in words; None where they are equal within the tolerance.
    """

    largest: float = 0.0
    said: str | None = None


def compare(source: Any, result: Any, tolerance: float = TOLERANCE) -> Difference:
    """Compares what the source gave with what the result gave."""
    if isinstance(source, Sparse) or isinstance(result, Sparse):
        return _compare_parts(Sparse, ("dense_shape", "indices", "values"), source, result, tolerance)
    if isinstance(source, Ragged) or isinstance(result, Ragged):
        return _compare_parts(Ragged, ("row_splits", "values"), source, result, tolerance)
    if source.shape != result.shape:
        return Difference(np.inf, f"has the shape {list(result.shape)}, and {list(source.shape)} in the source")
    if source.dtype != result.dtype:
        return Difference(np.inf, f"has the dtype {result.dtype}, and {source.dtype} in the source")
    if source.dtype.kind in "fc":
        return _compare_floats(source, result, tolerance)
    wrong = np.not_equal(source, result)
    if not np.any(wrong):
        return Difference()
    return Difference(np.inf, _in_words(source, result, _first(wrong), int(np.sum(wrong))))


def _compare_floats(source: Any, result: Any, tolerance: float) -> Difference:
    wide = np.complex128 if source.dtype.kind == "c" else np.float64
    a, b = np.asarray(source, wide), np.asarray(result, wide)
    with np.errstate(all="ignore"):
        relative = np.abs(b - a) / (1 + np.abs(a))
        # Infinities of one sign, and two that are not numbers, are equal.
        relative = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, relative)
    relative = np.where(np.isnan(relative), np.inf, relative)
    largest = float(relative.max()) if relative.size else 0.0
    if largest <= tolerance:
        return Difference(largest)
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(relative)), relative.shape))
    return Difference(largest, _in_words(source, result, where, int(np.sum(relative > tolerance))))


def _compare_parts(kind: Any, names: tuple[str, ...], source: Any, result: Any, tolerance: float) -> Difference:
    if not (isinstance(source, kind) and isinstance(result, kind)):
        said = f"is {_kind_in_words(result)}, and {_kind_in_words(source)} in the source"
        return Difference(np.inf, said)
    largest = 0.0
    for name in names:
        found = compare(getattr(source, name), getattr(result, name), tolerance)
        largest = max(largest, found.largest)
        if found.said is not None:
            return Difference(found.largest, f"differs in its {name.replace('_', ' ')}: {found.said}")
    return Difference(largest)


def _kind_in_words(value: Any) -> str:
    return "sparse" if isinstance(value, Sparse) else "ragged" if isinstance(value, Ragged) else "dense"


def _first(wrong: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), np.shape(wrong)))


def _in_words(source: Any, result: Any, where: tuple[int, ...], count: int) -> str:
    place = f" at {list(where)}" if where else ""
    values = f"{_shown(result[where])}{place}, where the source gives {_shown(source[where])}"
    return f"is {values}" + (f" ({count} of {source.size} values differ)" if source.size > 1 else "")


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return repr(value[:60])
    return f"{value:.9g}" if np.asarray(value).dtype.kind == "f" else str(value)
