"""Sorted string tables as LevelDB defines them, which is the container of a checkpoint's index.

Layout: data blocks, a meta index block (empty here), an index block, and a footer of 48 bytes that says where the two
indexes are. Each block is followed by its compression type (1 byte) and the masked CRC-32C of both (4 bytes). Source:
LevelDB's ``doc/table_format.md`` and ``tensorflow/core/lib/io``.

A table is read whole and strictly, since TensorFlow ends the process where it finds some kinds of damage; and at a cost
that follows its size, whatever its entries share: blocks lie one behind the other, and there are caps on what they unpack to.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from hubplug.errors import FormatError
from hubplug_format.checkpoint.crc32c import crc32c, masked
from hubplug_format.checkpoint.snappy import decompress
from hubplug_format.protos.varints import get_varint, put_varint

# The index of a checkpoint takes some 60 bytes for each tensor.
MAX_TABLE_BYTES = 32 << 20
MAX_PAIRS = 100_000

# Of all blocks, and of all keys as they are without what they share.
_MAX_UNPACKED = 64 << 20
# A pure Python program does two million steps in a second.
_MAX_SNAPPY_BYTES = 2 << 20

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_TRAILER_BYTES = 5
_BLOCK_BYTES = 262_144
_RESTART_INTERVAL = 16
_PLAIN, _SNAPPY = 0, 1


class _Damage(Exception):
    """What is wrong with the table, as the rest of a sentence."""


def read_table(data: bytes, what: str) -> list[tuple[bytes, bytes]]:
    """Every key and value of a table, in the order of the keys.

    Args:
        data: The whole table.
        what: Its path, for errors.

    Raises:
        FormatError: It is damaged, truncated, not a table at all, or beyond the caps.
    """
    try:
        return _Table(data).read()
    except _Damage as damage:
        raise FormatError(f"{what} is damaged: {damage}", hint="fetch or export the module again") from None


def write_table(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A table, uncompressed, byte for byte as TensorFlow writes it.

    Args:
        pairs: Keys and values, in the order of the keys.
    """
    out = bytearray()
    index: list[tuple[bytes, bytes]] = []
    block, last = _BlockWriter(_RESTART_INTERVAL), b""
    for key, value in pairs:
        if block.is_full:
            index.append((_separator(last, key), block.append_to(out)))
            block = _BlockWriter(_RESTART_INTERVAL)
        block.add(key, value)
        last = key
    if pairs:
        index.append((_successor(last), block.append_to(out)))
    meta_index = _BlockWriter(_RESTART_INTERVAL).append_to(out)
    index_block = _BlockWriter(1)
    for key, handle in index:
        index_block.add(key, handle)
    footer = meta_index + index_block.append_to(out)
    return bytes(out) + footer.ljust(_FOOTER_BYTES - 8, b"\0") + struct.pack("<Q", _MAGIC)


class _Table:
    """A table that is being read, and what is left of its caps."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._unpacked = 0
        self._snappy = 0
        self._pairs = 0
        self._read_up_to = 0

    def read(self) -> list[tuple[bytes, bytes]]:
        data = self._data
        if len(data) < _FOOTER_BYTES:
            raise _Damage(f"it has {len(data)} bytes, fewer than the {_FOOTER_BYTES} of a footer")
        footer = data[-_FOOTER_BYTES:]
        if struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
            raise _Damage("it does not end as the index of a checkpoint does (truncated, or another kind of file)")
        meta_index, position = _get_handle(footer, 0)
        index, position = _get_handle(footer, position)
        if any(footer[position:-8]):
            raise _Damage("its footer has stray bytes")
        pairs: list[tuple[bytes, bytes]] = []
        # Of the index block before the data blocks, although it lies behind them.
        separators = list(self._block_pairs(self._block(index)))
        self._read_up_to = 0
        last_separator = b""
        for separator, value in separators:
            first = len(pairs)
            handle, end = _get_handle(value, 0)
            if end != len(value):
                raise _Damage("it does not say where a block is")
            pairs.extend(self._block_pairs(self._block(handle)))
            # What is found by a search must be what is found by reading all.
            if len(pairs) == first or separator < pairs[-1][0] or (first and not last_separator < pairs[first][0]):
                raise _Damage(f"its own index is wrong about the block at byte {handle[0]}")
            last_separator = separator
        if list(self._block_pairs(self._block(meta_index))):
            raise _Damage("it has meta blocks, which no checkpoint has")
        if not index[0] >= self._read_up_to:
            raise _Damage("its blocks overlap")
        previous = b""
        for position, (key, _) in enumerate(pairs):
            if position and not previous < key:
                raise _Damage(f"its keys are out of order: {key[:80]!r} after {previous[:80]!r}")
            previous = key
        return pairs

    def _block(self, handle: tuple[int, int]) -> bytes:
        offset, size = handle
        data, end = self._data, offset + size
        if end + _TRAILER_BYTES > len(data) - _FOOTER_BYTES:
            raise _Damage(f"a block reaches to byte {end + _TRAILER_BYTES} of {len(data) - _FOOTER_BYTES}")
        if offset < self._read_up_to:
            raise _Damage(f"the block at byte {offset} begins before the end of another at {self._read_up_to}")
        self._read_up_to = end + _TRAILER_BYTES
        compression, stored = struct.unpack("<BI", data[end : end + _TRAILER_BYTES])
        found = masked(crc32c(data[offset : end + 1]))
        if found != stored:
            raise _Damage(f"the checksum of the block at byte {offset} is {found:#010x}, expected {stored:#010x}")
        if compression == _PLAIN:
            return data[offset:end]
        if compression != _SNAPPY:
            raise _Damage(f"the block at byte {offset} has the compression type {compression}, which no checkpoint has")
        self._snappy += size
        if self._snappy > _MAX_SNAPPY_BYTES:
            raise _Damage(f"more than {_MAX_SNAPPY_BYTES} bytes of its blocks are compressed")
        try:
            block = decompress(data[offset:end], _MAX_UNPACKED - self._unpacked)
        except ValueError as error:
            raise _Damage(f"the Snappy block at byte {offset} does not decompress: {error}") from None
        self._unpacked += len(block)
        return block

    def _block_pairs(self, block: bytes) -> Iterator[tuple[bytes, bytes]]:
        if len(block) < 8:
            raise _Damage("a block is too short")
        (count,) = struct.unpack("<I", block[-4:])
        end = len(block) - 4 - 4 * count
        if end < 0 or not count:
            raise _Damage(f"a block of {len(block)} bytes claims {count} restart points")
        restarts = struct.unpack(f"<{count}I", block[end:-4])
        position, key, restart = 0, b"", 0
        while position < end:
            start = position
            try:
                shared, fresh, length = block[position : position + 3]
                if shared | fresh | length < 0x80:
                    position += 3
                else:
                    shared, position = get_varint(block, position)
                    fresh, position = get_varint(block, position)
                    length, position = get_varint(block, position)
            except ValueError:
                raise _Damage("an entry of a block is cut short") from None
            if shared > len(key) or position + fresh + length > end:
                raise _Damage("an entry of a block reaches beyond it")
            if restart < count and restarts[restart] == start:
                restart += 1
                if shared:
                    raise _Damage("the key of an entry at a restart point is not whole")
            self._pairs += 1
            self._unpacked += shared + fresh
            if self._unpacked > _MAX_UNPACKED or self._pairs > 2 * MAX_PAIRS:
                raise _Damage(f"it unpacks to more than {_MAX_UNPACKED} bytes, or to more than {MAX_PAIRS} entries")
            key = key[:shared] + block[position : position + fresh]
            position += fresh
            yield key, block[position : position + length]
            position += length
        if restart < count and not (count == 1 and restarts == (0,) and end == 0):
            raise _Damage("a restart point of a block is not where an entry begins")


def _get_handle(data: bytes, position: int) -> tuple[tuple[int, int], int]:
    try:
        offset, position = get_varint(data, position)
        size, position = get_varint(data, position)
    except ValueError:
        raise _Damage("it does not say where a block is") from None
    return (offset, size), position


class _BlockWriter:
    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._block = bytearray()
        self._restarts = [0]
        self._count = 0
        self._last = b""

    @property
    def is_full(self) -> bool:
        return len(self._block) + 4 * len(self._restarts) + 4 >= _BLOCK_BYTES

    def add(self, key: bytes, value: bytes) -> None:
        shared = 0
        if self._count % self._interval:
            shared = _shared(key, self._last)
        elif self._count:
            self._restarts.append(len(self._block))
        self._block += (
            put_varint(shared) + put_varint(len(key) - shared) + put_varint(len(value)) + key[shared:] + value
        )
        self._count += 1
        self._last = key

    def append_to(self, out: bytearray) -> bytes:
        """Appends the block with its trailer, and says where it is."""
        restarts = self._restarts
        block = self._block + struct.pack(f"<{len(restarts)}I", *restarts) + struct.pack("<I", len(restarts))
        handle = put_varint(len(out)) + put_varint(len(block))
        block.append(_PLAIN)
        out += block + struct.pack("<I", masked(crc32c(bytes(block))))
        return handle


def _shared(one: bytes, other: bytes) -> int:
    """How many bytes are the same at the beginning."""
    most = min(len(one), len(other))
    return next((position for position in range(most) if one[position] != other[position]), most)


def _separator(last: bytes, following: bytes) -> bytes:
    """A short key from ``last`` on, below ``following``."""
    same = _shared(last, following)
    if same < min(len(last), len(following)) and last[same] < 0xFF and last[same] + 1 < following[same]:
        return last[:same] + bytes([last[same] + 1])
    return last


def _successor(last: bytes) -> bytes:
    """A short key from ``last`` on."""
    for position, byte in enumerate(last):
        if byte < 0xFF:
            return last[:position] + bytes([byte + 1])
    return last
