"""The index of a V2 checkpoint: which tensors it holds, of which dtype and shape, and where their values are.

Format: ``tensorflow/core/protobuf/tensor_bundle.proto``. ``<prefix>.index`` is a sorted string table; its empty key holds
the BundleHeaderProto, every other one a BundleEntryProto. The values lie in ``<prefix>.data-NNNNN-of-NNNNN``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubplug.errors import FormatError
from hubplug_format._dtypes import dtype_name, element_bytes
from hubplug_format._files import PROTO_BYTES, read_capped
from hubplug_format._schema import message_class, parse
from hubplug_format._slice_keys import FULL_EXTENT, slice_key
from hubplug_format._table import read_table

if TYPE_CHECKING:
    import numpy as np

_AGAIN = "fetch or export the module again"


@dataclass(frozen=True)
class CheckpointEntry:
    """A tensor in a checkpoint.

    Attributes:
        name: Its key.
        dtype: ``float32``, ``string``, ...
        shape: Of the whole tensor.
        shard: The number of its data file; of no meaning for a partitioned one.
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


@dataclass(frozen=True, eq=False)
class CheckpointIndex:
    """What is in a checkpoint.

    Attributes:
        prefix: Path of the checkpoint without ``.index``.
        num_shards: Number of data files.
        big_endian: Whether the values were written by a big-endian machine.
        entries: Name -> tensor, sorted; a partitioned one once, with its slices.
    """

    prefix: str
    num_shards: int
    big_endian: bool
    entries: Mapping[str, CheckpointEntry]
    _parts: Mapping[bytes, CheckpointEntry] = field(repr=False)

    @classmethod
    def read(cls, prefix: str | os.PathLike[str], check_shards: bool = True) -> CheckpointIndex:
        """Reads and checks the index of a checkpoint.

        Args:
            prefix: Path of the checkpoint without ``.index``: ``<module>/variables/variables``.
            check_shards: Whether to check that every data file has the bytes that the entries need.

        Raises:
            FormatError: The index or a data file is missing, damaged or truncated.
        """
        prefix = os.fspath(prefix)
        path = f"{prefix}.index"
        pairs = read_table(read_capped(Path(path), PROTO_BYTES), path)
        if not pairs or pairs[0][0] != b"":
            raise FormatError(f"{path} is damaged: it has no header", hint=_AGAIN)
        header = parse(message_class("BundleHeaderProto"), pairs[0][1], f"the header of {path}")
        if header.num_shards < 1:
            raise FormatError(f"{path} is damaged: it names {header.num_shards} data files", hint=_AGAIN)
        entries: dict[str, CheckpointEntry] = {}
        parts: dict[bytes, CheckpointEntry] = {}
        for key, value in pairs[1:]:
            entry = _read_entry(key, value, header.num_shards, path)
            if key.startswith(b"\0"):
                parts[key] = entry
            else:
                entries[entry.name] = entry
        index = cls(prefix, header.num_shards, header.endianness == 1, entries, parts)
        for entry in entries.values():
            for extents in entry.slices:
                index._part(entry, extents)
        if check_shards and (error := index.find_shard_error()):
            raise FormatError(error, hint=_AGAIN)
        return index

    @property
    def shards(self) -> tuple[Path, ...]:
        """The data files that the entries need, in order."""
        return tuple(self._shard_path(number) for number in sorted(self._bytes_needed()))

    def find_shard_error(self) -> str | None:
        """Says which data file is missing or too short; None when all are there."""
        for number, needed in sorted(self._bytes_needed().items()):
            path = self._shard_path(number)
            if not path.is_file():
                return f"{path} is missing, and {self.prefix}.index needs {needed} bytes of it"
            if (size := path.stat().st_size) < needed:
                return f"{path} is truncated: it has {size} bytes, and {self.prefix}.index needs {needed}"
        return None

    def bytes_of(self, name: str) -> int:
        """Bytes that the values of a tensor take, those of all its parts together."""
        entry = self.entries[name]
        return sum(self._part(entry, extents).size for extents in entry.slices) if entry.slices else entry.size

    def raw(self, name: str) -> bytes:
        """The bytes of a tensor as they lie in the data file, checksum verified.

        Raises:
            KeyError: The checkpoint has no such tensor.
            FormatError: The bytes are damaged or missing, or the tensor is partitioned: use ``array``.
        """
        entry = self.entries[name]
        if entry.slices:
            raise FormatError(f"{name!r} in {self.prefix} is partitioned", hint="read it with array()")
        return self._verified(entry)

    def strings(self, name: str) -> list[bytes]:
        """The values of a string tensor in row-major order, checksum verified.

        Raises:
            KeyError: The checkpoint has no such tensor.
            FormatError: The bytes are damaged or missing, or it holds no strings.
        """
        from hubplug_format._tensor_bytes import split_strings

        entry = self.entries[name]
        found = split_strings(self.raw(name), prod(entry.shape)) if entry.dtype == "string" else None
        if found is None:
            raise FormatError(f"{name!r} in {self.prefix} is {entry.dtype}, expected string", hint=_AGAIN)
        return found

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """The value of a tensor, checksum verified; needs numpy.

        Returns:
            An array of its dtype and shape. bfloat16 is widened to float32, strings are an object array of bytes, and a
            partitioned tensor is put together.

        Raises:
            KeyError: The checkpoint has no such tensor.
            FormatError: The bytes are damaged or missing, or there is no numpy type for the dtype.
        """
        from hubplug_format._tensor_bytes import decode_tensor

        entry = self.entries[name]
        if not entry.slices:
            return decode_tensor(self._verified(entry), entry, self.big_endian, self.prefix)
        import numpy as np

        whole = None
        for extents in entry.slices:
            part = self._part(entry, extents)
            value = decode_tensor(self._verified(part), part, self.big_endian, self.prefix)
            if whole is None:
                whole = np.zeros(entry.shape, value.dtype)
            whole[tuple(slice(start, start + length) for start, length in _resolved(entry, extents))] = value
        assert whole is not None
        return whole

    def _verified(self, entry: CheckpointEntry) -> bytes:
        from hubplug_format._tensor_bytes import find_checksum_error

        path = self._shard_path(entry.shard)
        try:
            with path.open("rb") as file:
                available = max(0, os.fstat(file.fileno()).st_size - entry.offset)
                if available:
                    file.seek(entry.offset)
                data = file.read(min(entry.size, available))
        except OSError as error:
            raise FormatError(f"{path} cannot be read: {error.strerror}", hint=_AGAIN) from error
        if len(data) < entry.size:
            raise FormatError(
                f"{path} is truncated: {entry.name!r} needs {entry.size} bytes at {entry.offset}, found {len(data)}",
                hint=_AGAIN,
            )
        if error_text := find_checksum_error(data, entry):
            raise FormatError(f"{path} is damaged: {error_text}", hint=_AGAIN)
        return data

    def _part(self, entry: CheckpointEntry, extents: tuple[tuple[int, int], ...]) -> CheckpointEntry:
        part = self._parts.get(slice_key(entry.name, extents))
        wanted = tuple(length for _, length in _resolved(entry, extents))
        if part is None or part.dtype != entry.dtype or part.shape != wanted:
            found = "missing" if part is None else f"{part.dtype} {list(part.shape)}"
            raise FormatError(
                f"{self.prefix}.index is damaged: part {list(extents)} of {entry.name!r} is {found}, "
                f"expected {entry.dtype} {list(wanted)}",
                hint=_AGAIN,
            )
        return part

    def _shard_path(self, number: int) -> Path:
        return Path(f"{self.prefix}.data-{number:05d}-of-{self.num_shards:05d}")

    def _bytes_needed(self) -> dict[int, int]:
        needed: dict[int, int] = {}
        for entry in (*self.entries.values(), *self._parts.values()):
            if not entry.slices:
                needed[entry.shard] = max(needed.get(entry.shard, 0), entry.offset + entry.size)
        return needed


def _resolved(entry: CheckpointEntry, extents: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    return [
        (0, size) if length == FULL_EXTENT else (start, length)
        for (start, length), size in zip(extents, entry.shape, strict=True)
    ]


def _read_entry(key: bytes, value: bytes, num_shards: int, path: str) -> CheckpointEntry:
    shown = key.decode(errors="backslashreplace")
    message = parse(message_class("BundleEntryProto"), value, f"the entry of {shown!r} in {path}")
    entry = CheckpointEntry(
        shown,
        dtype_name(message.dtype),
        tuple(dim.size for dim in message.shape.dim),
        message.shard_id,
        message.offset,
        message.size,
        message.crc32c,
        tuple(
            tuple(
                (extent.start, extent.length if extent.WhichOneof("has_length") else FULL_EXTENT)
                for extent in part.extent
            )
            for part in message.slices
        ),
    )
    if error := _find_entry_error(entry, num_shards):
        raise FormatError(f"{path} is damaged: {shown!r} {error}", hint=_AGAIN)
    return entry


def _find_entry_error(entry: CheckpointEntry, num_shards: int) -> str | None:
    if any(dim < 0 for dim in entry.shape):
        return f"has the shape {list(entry.shape)}"
    if not 0 <= entry.shard < num_shards or entry.offset < 0 or entry.size < 0:
        return f"lies at {entry.offset} of data file {entry.shard} of {num_shards}, {entry.size} bytes"
    for extents in entry.slices:
        if len(extents) != len(entry.shape):
            return f"has a part of rank {len(extents)} in a tensor of rank {len(entry.shape)}"
        for (start, length), size in zip(extents, entry.shape, strict=True):
            whole = start == 0 and length == FULL_EXTENT
            if not whole and not (start >= 0 and length >= 0 and start + length <= size):
                return f"has a part from {start}, {length} long, in a dimension of {size}"
    width = element_bytes(entry.dtype)
    if not entry.slices and width is not None and entry.size != width * prod(entry.shape):
        return f"has {entry.size} bytes, where {entry.dtype} {list(entry.shape)} has {width * prod(entry.shape)}"
    return None
