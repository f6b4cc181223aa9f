"""Whether the parts of a partitioned tensor make up the whole: TensorFlow refuses parts that overlap or leave a gap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

Extents = Sequence[tuple[int, int]]

# TensorFlow compares each with each; an index has at most some thousands.
_MOST_COMPARISONS = 2_000_000


def find_slices_error(shape: Sequence[int], slices: Iterable[Extents]) -> str | None:
    """Says in which way parts are not a whole: one beyond the end, two that overlap, a gap; None for good ones.

    Args:
        shape: Of the whole.
        slices: Start and length in each dimension, for each part.
    """
    parts = [tuple(extents) for extents in slices if all(length for _, length in extents)]
    for part in parts:
        inside = all(0 <= start <= start + length <= size for (start, length), size in zip(part, shape, strict=False))
        if len(part) != len(shape) or not inside:
            return f"the part {_words(part)} is not one of the shape {list(shape)}"
    if error := _find_overlap(shape, parts):
        return error
    there, wanted = sum(prod(length for _, length in part) for part in parts), prod(shape)
    return None if there == wanted else f"its {len(parts)} parts have {there} of the {wanted} values"


def _find_overlap(shape: Sequence[int], parts: list[tuple[tuple[int, int], ...]]) -> str | None:
    if not shape:
        return "a scalar has more than one part" if len(parts) > 1 else None
    # Along the axis that tells most of them apart, only neighbours have to be compared.
    axis = max(range(len(shape)), key=lambda candidate: len({part[candidate][0] for part in parts}))
    comparisons, current = 0, list[tuple[tuple[int, int], ...]]()
    for part in sorted(parts, key=lambda part: part[axis][0]):
        current = [other for other in current if sum(other[axis]) > part[axis][0]]
        comparisons += len(current) + 1
        if comparisons > _MOST_COMPARISONS:
            return f"it has {len(parts)} parts, more than can be compared with each other"
        for other in current:
            if all(a < c + d and c < a + b for (a, b), (c, d) in zip(part, other, strict=True)):
                return f"the parts {_words(other)} and {_words(part)} overlap"
        current.append(part)
    return None


def _words(part: Extents) -> str:
    return "[" + ", ".join(f"{start}:{start + length}" for start, length in part) + "]"
