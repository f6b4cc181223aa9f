"""The index of a V2 checkpoint: which tensors it holds, of which dtype and shape, and where their values are.

Format: ``tensorflow/core/protobuf/tensor_bundle.proto``. ``<prefix>.index`` is a sorted string table; its empty key holds
the BundleHeaderProto, every other one a BundleEntryProto. The values lie in ``<prefix>.data-NNNNN-of-NNNNN``.

Read here, since libraries for LevelDB open databases, not single tables, and TensorFlow's reader ends the process at some damage.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubplug.errors import FormatError
from hubplug_format.checkpoint.entries import AGAIN, CheckpointEntry, EntryReader, read_header
from hubplug_format.checkpoint.slice_keys import FULL_EXTENT, slice_key
from hubplug_format.checkpoint.slices import find_slices_error
from hubplug_format.checkpoint.table import MAX_TABLE_BYTES, read_table
from hubplug_format.protos.files import read_capped

if TYPE_CHECKING:
    import numpy as np


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
            check_shards: Whether to check that every data file has the bytes that the entries need, and that strings are as
                long as there are bytes for.

        Raises:
            FormatError: The index or a data file is missing, damaged or truncated.
        """
        prefix = os.fspath(prefix)
        index = cls.parse(read_capped(Path(f"{prefix}.index"), MAX_TABLE_BYTES), prefix)
        if check_shards and (error := index.find_shard_error() or index._find_lengths_error()):
            raise FormatError(error, hint=AGAIN)
        return index

    @classmethod
    def parse(cls, data: bytes, prefix: str) -> CheckpointIndex:
        """Checks an index that was read from somewhere; ``find_shard_error`` is the caller's to ask.

        Raises:
            FormatError: The index is damaged.
        """
        path = f"{prefix}.index"
        pairs = read_table(data, path)
        if not pairs or pairs[0][0] != b"":
            raise FormatError(f"{path} is damaged: it has no header", hint=AGAIN)
        header = read_header(pairs[0][1], path)
        entries: dict[str, CheckpointEntry] = {}
        parts: dict[bytes, CheckpointEntry] = {}
        reader = EntryReader(path, header.num_shards, len(pairs))
        for key, value in pairs[1:]:
            entry = reader.read(key, value)
            if key.startswith(b"\0"):
                parts[key] = entry
            else:
                entries[entry.name] = entry
        index = cls(prefix, header.num_shards, header.big_endian, entries, parts)
        if len(index._named_parts()) != len(parts):
            raise FormatError(f"{path} is damaged: it has parts of tensors that no tensor has", hint=AGAIN)
        stored = sorted(index._stored(), key=lambda entry: (entry.shard, entry.offset, entry.size))
        for one, next_one in pairwise(stored):
            if one.shard == next_one.shard and one.offset + one.size > next_one.offset:
                raise FormatError(
                    f"{path} is damaged: {one.name[:200]!r} and {next_one.name[:200]!r} have bytes in common",
                    hint=AGAIN,
                )
        return index

    @property
    def shards(self) -> tuple[Path, ...]:
        """The data files that the entries need, in order."""
        return tuple(Path(self._shard_path(number)) for number in sorted(self._bytes_needed()))

    def find_shard_error(self, size_of: Callable[[str], int | None] | None = None) -> str | None:
        """Says which data file is missing or too short; None when all are there.

        Args:
            size_of: From the path of a data file to its size, None where it is missing; None: of local files.
        """
        for number, needed in sorted(self._bytes_needed().items()):
            path = self._shard_path(number)
            size = (size_of or _size_of)(path)
            if size is None:
                return f"{path} is missing, and {self.prefix}.index needs {needed} bytes of it"
            if size < needed:
                return f"{path} is truncated: it has {size} bytes, and {self.prefix}.index needs {needed}"
        return None

    def _find_lengths_error(self) -> str | None:
        """Says which strings are longer than their bytes: TensorFlow makes room for them before it looks."""
        from hubplug_format.checkpoint.tensor_bytes import MOST_LENGTH_BYTES, are_lengths_right

        for entry in self._stored():
            if entry.dtype != "string":
                continue
            count = prod(entry.shape)
            lengths = self._bytes(entry, min(entry.size, MOST_LENGTH_BYTES * count))
            if not are_lengths_right(lengths, count, entry.size):
                return (
                    f"{self._shard_path(entry.shard)} is damaged: the bytes of {entry.name!r} are not {count} strings"
                )
        return None

    def find_slices_error(self, name: str) -> str | None:
        """Says why the parts of a partitioned tensor do not make up the whole; None where they do, or there are none."""
        entry = self.entries[name]
        error = (
            find_slices_error(entry.shape, (_resolved(entry, part) for part in entry.slices)) if entry.slices else None
        )
        return f"of {name!r}, {error}" if error else None

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
        from hubplug_format.checkpoint.tensor_bytes import split_strings

        entry = self.entries[name]
        found = split_strings(self.raw(name), prod(entry.shape)) if entry.dtype == "string" else None
        if found is None:
            raise FormatError(f"{name!r} in {self.prefix} is {entry.dtype}, expected string", hint=AGAIN)
        return found

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """The value of a tensor, checksum verified; needs numpy.

        Returns:
            An array of its dtype and shape. bfloat16 is widened to float32, strings are an object array of bytes, and a
            partitioned tensor is put together.

        Raises:
            KeyError: The checkpoint has no such tensor.
            FormatError: The bytes are damaged or missing, parts are missing or overlap, or there is no numpy type for the
                dtype.
        """
        from hubplug_format.checkpoint.tensor_bytes import decode_tensor

        entry = self.entries[name]
        if not entry.slices:
            return decode_tensor(self._verified(entry), entry, self.big_endian, self.prefix)
        import numpy as np

        if error := self.find_slices_error(name):
            raise FormatError(f"{self.prefix}.index is damaged: {error}", hint=AGAIN)
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
        from hubplug_format.checkpoint.tensor_bytes import find_checksum_error

        data = self._bytes(entry, entry.size)
        if error_text := find_checksum_error(data, entry):
            raise FormatError(f"{self._shard_path(entry.shard)} is damaged: {error_text}", hint=AGAIN)
        return data

    def _bytes(self, entry: CheckpointEntry, count: int) -> bytes:
        """The first bytes of a tensor, as they lie in the data file."""
        path = self._shard_path(entry.shard)
        try:
            with open(path, "rb") as file:
                available = max(0, os.fstat(file.fileno()).st_size - entry.offset)
                if available:
                    file.seek(entry.offset)
                data = file.read(min(count, available))
        except OSError as error:
            raise FormatError(f"{path} cannot be read: {error.strerror}", hint=AGAIN) from error
        if len(data) < count:
            raise FormatError(
                f"{path} is truncated: {entry.name!r} needs {entry.size} bytes at {entry.offset}, found {len(data)}",
                hint=AGAIN,
            )
        return data

    def _part(self, entry: CheckpointEntry, extents: tuple[tuple[int, int], ...]) -> CheckpointEntry:
        return self._part_at(slice_key(entry.name, extents), entry, extents)

    def _part_at(self, key: bytes, entry: CheckpointEntry, extents: tuple[tuple[int, int], ...]) -> CheckpointEntry:
        part = self._parts.get(key)
        wanted = tuple(length for _, length in _resolved(entry, extents))
        if part is None or part.dtype != entry.dtype or part.shape != wanted:
            found = "missing" if part is None else f"{part.dtype} {list(part.shape)}"
            raise FormatError(
                f"{self.prefix}.index is damaged: part {list(extents)} of {entry.name!r} is {found}, "
                f"expected {entry.dtype} {list(wanted)}",
                hint=AGAIN,
            )
        return part

    def _named_parts(self) -> set[bytes]:
        """The keys of the parts that tensors say they have; all of them are there and fit."""
        keys = set()
        for entry in self.entries.values():
            for extents in entry.slices:
                key = slice_key(entry.name, extents)
                self._part_at(key, entry, extents)
                keys.add(key)
        return keys

    def _shard_path(self, number: int) -> str:
        return f"{self.prefix}.data-{number:05d}-of-{self.num_shards:05d}"

    def _bytes_needed(self) -> dict[int, int]:
        needed: dict[int, int] = {}
        for entry in self._stored():
            needed[entry.shard] = max(needed.get(entry.shard, 0), entry.offset + entry.size)
        return needed

    def _stored(self) -> Iterator[CheckpointEntry]:
        """Whatever has bytes of its own in a data file."""
        return (entry for entry in (*self.entries.values(), *self._parts.values()) if not entry.slices)


def _size_of(path: str) -> int | None:
    return os.stat(path).st_size if os.path.isfile(path) else None


def _resolved(entry: CheckpointEntry, extents: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    return [
        (0, size) if length == FULL_EXTENT else (start, length)
        for (start, length), size in zip(extents, entry.shape, strict=True)
    ]
