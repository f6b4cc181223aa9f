"""The entries of a checkpoint's index, each read and checked on its own, strictly.

What an index says goes into TensorFlow's memory allocations and assertions: one that TensorFlow did not write can end the
process. So the index is read here first, and what no writer of checkpoints writes is damage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from hubplug.errors import FormatError
from hubplug_format.checkpoint.slice_keys import FULL_EXTENT
from hubplug_format.protos.dtypes import dtype_name, element_bytes
from hubplug_format.protos.schema import message_class, parse

AGAIN = "fetch or export the module again"

# Those that TensorFlow's tensors can have.
MAX_RANK = 254
_MAX_ELEMENTS = (1 << 63) - 1
# Of an encoded entry; one with 10,000 parts takes 200 KB.
_MAX_ENTRY_BYTES = 2 << 20
# Of dimensions, and of extents of parts, in a whole index.
_MAX_NUMBERS = 500_000
_STORED_WITHOUT_WIDTH = {"string", "variant"}


@dataclass(frozen=True)
class CheckpointEntry:
    """A tensor in a checkpoint.

    Attributes:
        name: Its key.
        dtype: ``float32``, ``string``, ...
        shape: Of the whole tensor.
        shard: The number of its data file; meaningless for a partitioned one.
        offset: Of its first byte in that file.
        size: In bytes; 0 for a partitioned one.
        crc32c: Masked checksum of its bytes.
        slices: Start and length in each dimension, for each part of a partitioned one.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc32c: int
    slices: tuple[tuple[tuple[int, int], ...], ...] = ()


@dataclass(frozen=True)
class BundleHeader:
    """The number of data files, and whether a big-endian machine wrote them."""

    num_shards: int
    big_endian: bool


def read_header(data: bytes, path: str) -> BundleHeader:
    """The header of an index.

    Raises:
        FormatError: It is damaged, or of an unknown format.
    """
    message = parse(message_class("BundleHeaderProto"), data, f"the header of {path}")
    if not 1 <= message.num_shards <= 100_000:
        raise FormatError(f"{path} is damaged: it names {message.num_shards} data files", hint=AGAIN)
    if message.endianness not in (0, 1):
        raise FormatError(f"{path} is damaged: its byte order is {message.endianness}", hint=AGAIN)
    if message.version.min_consumer > 1:
        raise FormatError(
            f"{path} is for readers of version {message.version.min_consumer}, and there is only version 1",
            hint=AGAIN,
        )
    return BundleHeader(message.num_shards, message.endianness == 1)


class EntryReader:
    """Reads the entries of one index, within caps that hold for all of them together."""

    def __init__(self, path: str, num_shards: int, num_entries: int) -> None:
        self._path = path
        self._num_shards = num_shards
        self._parts_left = num_entries
        self._numbers_left = _MAX_NUMBERS
        self._kind = message_class("BundleEntryProto")

    def read(self, key: bytes, value: bytes) -> CheckpointEntry:
        """The entry of a key.

        Raises:
            FormatError: It is damaged.
        """
        is_part = key.startswith(b"\0")
        name = key.decode(errors="backslashreplace")
        try:
            if not is_part and name.encode() != key:
                raise ValueError("has a name that is not UTF-8")
            if len(value) > _MAX_ENTRY_BYTES:
                raise ValueError(f"has an entry of {len(value)} bytes")
            message = parse(self._kind, value, f"the entry of {name[:200]!r} in {self._path}")
            entry = self._entry(name, message)
            if is_part and entry.slices:
                raise ValueError("is a part of a tensor, and has parts itself")
            if error := _find_entry_error(entry, self._num_shards):
                raise ValueError(error)
        except ValueError as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(f"{self._path} is damaged: {name[:200]!r} {error}", hint=AGAIN) from None
        return entry

    def _entry(self, name: str, message: Any) -> CheckpointEntry:
        shape, slices = message.shape, message.slices
        if shape.unknown_rank or len(shape.dim) > MAX_RANK:
            raise ValueError(f"has {len(shape.dim)} dimensions or an unknown number of them")
        self._numbers_left -= len(shape.dim)
        if slices:
            self._parts_left -= len(slices)
            if self._parts_left < 0:
                raise ValueError("has more parts than there are entries")
            self._numbers_left -= sum(len(part.extent) for part in slices)
        if self._numbers_left < 0:
            raise ValueError(f"brings it to more than {_MAX_NUMBERS} dimensions")
        return CheckpointEntry(
            name,
            dtype_name(message.dtype),
            tuple([dim.size for dim in shape.dim]),
            message.shard_id,
            message.offset,
            message.size,
            message.crc32c,
            tuple(_extents(part) for part in slices) if slices else (),
        )


def _extents(part: Any) -> tuple[tuple[int, int], ...]:
    return tuple(
        (extent.start, extent.length if extent.WhichOneof("has_length") else FULL_EXTENT) for extent in part.extent
    )


def _find_entry_error(entry: CheckpointEntry, num_shards: int) -> str | None:
    elements = prod(entry.shape)
    # An empty tensor may not have other dimensions that overflow, either.
    bound = elements or prod(dim or 1 for dim in entry.shape)
    if bound > _MAX_ELEMENTS or min(entry.shape, default=0) < 0:
        return f"has the shape {list(entry.shape)}"
    width = element_bytes(entry.dtype)
    if width is None and entry.dtype not in _STORED_WITHOUT_WIDTH:
        return f"has the dtype {entry.dtype}, which is not stored"
    if not 0 <= entry.shard < num_shards or entry.offset < 0 or entry.size < 0:
        return f"lies at {entry.offset} of data file {entry.shard} of {num_shards}, {entry.size} bytes"
    if entry.slices:
        return _find_slices_error(entry.slices, entry.shape)
    if width is None:
        # The length of a string takes a byte at least, and all lengths have a checksum of four bytes.
        if entry.dtype == "string" and entry.size < elements + 4:
            return f"has {entry.size} bytes, too few for {elements} strings"
    elif entry.size != width * elements:
        return f"has {entry.size} bytes, where {entry.dtype} {list(entry.shape)} has {width * elements}"
    return None


def _find_slices_error(slices: Sequence[tuple[tuple[int, int], ...]], shape: tuple[int, ...]) -> str | None:
    if len(set(slices)) < len(slices):
        return "has a part twice"
    for extents in slices:
        if len(extents) != len(shape):
            return f"has a part of rank {len(extents)} in a tensor of rank {len(shape)}"
        for (start, length), size in zip(extents, shape, strict=True):
            whole = start == 0 and length == FULL_EXTENT
            if not whole and not (start >= 0 and length >= 0 and start + length <= size):
                return f"has a part from {start}, {length} long, in a dimension of {size}"
    return None
