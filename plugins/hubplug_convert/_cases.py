"""The inputs that a conversion is verified with: ordinary ones in several sizes, then extremes of one kind after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from hubplug.types import SignatureInfo, TensorInfo
from hubplug_convert._contract import Ragged, Sparse
from hubplug_convert._numbers import EXTREMES, numbers, numpy_dtype, ways_of
from hubplug_convert._texts import text_groups, texts

_SEED = 14
_MANY = 5
_TURNS = 4
# How many rows, how long the other dimensions are that are not known, and the rank where not even that is.
_SIZES = ((3, 4, 1), (1, 4, 1), (0, 4, 1), (_MANY, 7, 2), (2, 1, 0))


@dataclass(frozen=True, eq=False)
class Case:
    """Inputs for one call.

    Attributes:
        signature: Which one.
        about: What is special about the inputs.
        inputs: By name.
        is_extreme: Whether there are infinities, NaN or numbers near the largest in them, as few inputs have.
    """

    signature: str
    about: str
    inputs: Mapping[str, Any]
    is_extreme: bool = False

    @property
    def has_values(self) -> bool:
        """Whether there is anything in the inputs, or nothing could be in them."""
        return not self.inputs or any(_size(value) for value in self.inputs.values())


def find_unsupported(signature: SignatureInfo) -> list[str]:
    """The inputs that no values can be generated for, with the reason."""
    return [
        f"{key!r} ({info.kind} {info.dtype})"
        for key, info in signature.inputs.items()
        if (info.dtype != "string" and numpy_dtype(info.dtype) is None)
        or (info.kind == "composite" and (len(info.names) < 2 or info.shape is None))
    ]


def cases_of(
    name: str,
    signature: SignatureInfo,
    words: Sequence[bytes],
    image_size: Sequence[int] | None,
    records: Sequence[bytes] = (),
) -> Iterator[Case]:
    """The cases of a signature; the same each time.

    Args:
        name: Of the signature.
        signature: Its inputs; none of them is one of ``find_unsupported``.
        words: Of its vocabulary.
        image_size: Height and width that were attached, or None.
        records: Serialized records that the graph parses.
    """
    if not signature.inputs:
        yield Case(name, "no inputs", {})
        return
    groups = text_groups(words, records)
    makers = {
        key: _Maker(info, groups, image_size, place) for place, (key, info) in enumerate(signature.inputs.items())
    }
    sizes = _SIZES if any(maker.is_open for maker in makers.values()) else _SIZES[:1]
    for rows, length, rank in sizes:
        values = {key: maker.make(0, rows, length, rank) for key, maker in makers.items()}
        yield Case(name, f"ordinary values, {_rows_in_words(rows)}", values)
    for kind in dict.fromkeys(maker.kind for maker in makers.values()):
        ways = next(maker.ways for maker in makers.values() if maker.kind == kind)
        # Of strings of which a call takes one, some of each group; otherwise one call takes many of them.
        turns = _TURNS if kind == "string" and len(sizes) == 1 else 1
        for way, turn in product(range(len(ways)), range(turns)):
            if way or turn:
                values = {
                    key: maker.make(way if maker.kind == kind else 0, _MANY, 4, 1, turn)
                    for key, maker in makers.items()
                }
                yield Case(name, f"{ways[way]} as {kind}", values, kind != "string" and ways[way] in EXTREMES)


class _Maker:
    """Makes values for one input, others than for the inputs in other places."""

    def __init__(
        self, info: TensorInfo, groups: Mapping[str, Sequence[bytes]], image_size: Sequence[int] | None, place: int
    ) -> None:
        self._info = info
        self._groups = groups
        self._image_size = image_size
        self._place = place
        self._turn = 0
        self._random = np.random.default_rng([_SEED, place])
        # Where sparse and ragged inputs have values is the same in all: ids and their weights belong together.
        self._where = np.random.default_rng(_SEED)
        self.ways = list(groups) if info.dtype == "string" else list(ways_of(info.dtype))
        self.kind = info.dtype
        self.is_open = info.shape is None or None in info.shape or info.kind != "dense"

    def make(self, way: int, rows: int, length: int, rank: int, turn: int = 0) -> Any:
        self._turn = turn
        shape = self._shape(rows, length, rank)
        if self._info.kind == "sparse":
            return self._sparse(way, shape)
        if self._info.kind == "composite":
            return self._ragged(way, rows, shape, len(self._info.names) - 1)
        return self._dense(way, shape)

    def _shape(self, rows: int, length: int, rank: int) -> tuple[int, ...]:
        declared = self._info.shape
        if declared is None:
            declared = (None,) * rank
        found = [rows if i == 0 else length if dim is None else dim for i, dim in enumerate(declared)]
        if declared and declared[0] is not None:
            found[0] = declared[0]
        if len(declared) == 4 and declared[1] is None and declared[2] is None:  # images
            found[1:3] = self._image_size or (8 * length, 6 * length)
        return tuple(found)

    def _dense(self, way: int, shape: Sequence[int]) -> Any:
        if self._info.dtype == "string":
            group = list(self._groups[self.ways[way]])
            start = (self._turn + self._place) % len(group)
            return texts(group[start:] + group[:start], shape)
        return numbers(self._info.dtype, shape, self.ways[way], self._random)

    def _sparse(self, way: int, shape: Sequence[int]) -> Sparse:
        there = self._where.random(shape) < 0.6
        indices = np.argwhere(there).astype(np.int64).reshape(-1, len(shape))
        return Sparse(indices, self._dense(way, (len(indices),)), np.asarray(shape, np.int64))

    def _ragged(self, way: int, rows: int, shape: Sequence[int], rank: int) -> Ragged:
        count = rows
        splits = []
        for _ in range(rank):
            lengths = self._where.integers(0, 4, count)
            splits.append(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
            count = int(splits[-1][-1])
        value: Any = self._dense(way, (count, *shape[rank + 1 :]))
        for split in reversed(splits):
            value = Ragged(value, split)
        return value


def _rows_in_words(rows: int) -> str:
    return {0: "an empty batch", 1: "a batch of one"}.get(rows, f"a batch of {rows}")


def _size(value: Any) -> int:
    while isinstance(value, (Sparse, Ragged)):
        value = value.values
    return int(np.size(value))
