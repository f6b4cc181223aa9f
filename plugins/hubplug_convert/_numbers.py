"""Generated numbers: ordinary ones, and those at the ends of what a dtype can say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_NAMES = {"bfloat16": "float32", "half": "float16"}
# What numbers of a kind are tried, the ordinary first.
FLOATS = (
    "in [0, 1]",
    "normal",
    "halves from -4 to 4",
    "zeros",
    "ones",
    "negative",
    "large",
    "tiny",
    "infinite",
    "not a number",
)
# Of floats: what computes with them gives what no order of a sum, and no library, promises.
EXTREMES = ("large", "infinite", "not a number")
INTEGERS = ("0 to 2", "zeros", "ones", "0 to 9", "-9 to 9", "0 to 999", "negative", "largest", "smallest")
BOOLEANS = ("true and false", "all false", "all true")


def numpy_dtype(dtype: str) -> np.dtype[Any] | None:
    """The dtype that numbers of a TensorFlow dtype travel in; None for one that has no numbers."""
    try:
        found = np.dtype(_NAMES.get(dtype, dtype))
    except TypeError:
        return None
    return found if found.kind in "biufc" else None


def ways_of(dtype: str) -> Sequence[str]:
    """What ``numbers`` can make of a dtype, the ordinary first."""
    found = numpy_dtype(dtype)
    kind = "" if found is None else found.kind
    return FLOATS if kind in "fc" else BOOLEANS if kind == "b" else INTEGERS


def numbers(dtype: str, shape: Sequence[int], way: str, random: np.random.Generator) -> Any:
    """An array of generated numbers."""
    found = numpy_dtype(dtype)
    assert found is not None
    if found.kind == "b":
        return random.integers(0, 2, shape).astype(bool) if way == BOOLEANS[0] else np.full(shape, way == "all true")
    if found.kind == "c":
        part = "float64" if found.itemsize == 16 else "float32"
        made = np.empty(tuple(shape), found)
        made.real, made.imag = (numbers(part, shape, way, random) for _ in range(2))
        return made
    if found.kind == "f":
        return _floats(found, shape, way, random)
    return _integers(found, shape, way, random)


def _floats(dtype: np.dtype[Any], shape: Sequence[int], way: str, random: np.random.Generator) -> Any:
    about = np.finfo(dtype)
    # The range of bfloat16 is that of float32; of each dtype, a large number may still be doubled.
    makers: dict[str, Callable[[], Any]] = {
        "in [0, 1]": lambda: random.random(shape),
        "normal": lambda: random.normal(size=shape),
        # Ties, and what is rounded to even.
        "halves from -4 to 4": lambda: random.integers(-8, 9, shape) / 2,
        "zeros": lambda: np.zeros(shape),
        "ones": lambda: np.ones(shape),
        "negative": lambda: -3 * random.random(shape) - 0.5,
        "large": lambda: random.choice([-1, 1], shape) * (float(about.max) / 4),
        "tiny": lambda: random.choice([-1, 1], shape) * (float(about.tiny) * 2),
        "infinite": lambda: random.choice([-np.inf, np.inf, 1.0], shape),
        "not a number": lambda: random.choice([np.nan, 1.0, -0.5, 2.0], shape),
    }
    return np.asarray(makers[way](), dtype)


def _integers(dtype: np.dtype[Any], shape: Sequence[int], way: str, random: np.random.Generator) -> Any:
    about = np.iinfo(dtype)
    ends = {"0 to 2": 3, "0 to 9": 10, "0 to 999": min(1000, int(about.max))}
    if way in ends:
        return random.integers(0, ends[way], shape).astype(dtype)
    if way == "-9 to 9":
        return random.integers(-9 if about.min else 0, 10, shape).astype(dtype)
    value = {"zeros": 0, "ones": 1, "negative": max(-1, int(about.min)), "largest": about.max, "smallest": about.min}
    return np.full(shape, value[way], dtype)
