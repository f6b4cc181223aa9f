"""Sorted string tables as LevelDB defines them, which is the container of a checkpoint's index.

Layout: data blocks, a meta index block (empty here), an index block, and a footer of 48 bytes that says where the two
indexes are. Each block is followed by its compression type (1 byte) and the masked CRC-32C of both (4 bytes). Source:
LevelDB's ``doc/table_format.md`` and ``tensorflow/core/lib/io``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise

from hubplug.errors import FormatError
from hubplug_format._crc32c import crc32c, masked
from hubplug_format._snappy import decompress
from hubplug_format._varints import get_varint, put_varint

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_TRAILER_BYTES = 5
_BLOCK_BYTES = 4096
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
        FormatError: It is damaged, truncated, or no table at all.
    """
    try:
        pairs = [pair for block in _data_blocks(data) for pair in _block_pairs(block)]
        for (key, _), (following, _) in pairwise(pairs):
            if not key < following:
                raise _Damage(f"its keys are out of order: {following[:80]!r} after {key[:80]!r}")
    except _Damage as damage:
        raise FormatError(f"{what} is damaged: {damage}", hint="fetch or export the module again") from None
    return pairs


def write_table(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A table, uncompressed.

    Args:
        pairs: Keys and values, in the order of the keys.
    """
    out = bytearray()
    index: list[tuple[bytes, bytes]] = []
    pending: list[tuple[bytes, bytes]] = []
    size = 0
    for position, (key, value) in enumerate(pairs):
        pending.append((key, value))
        size += len(key) + len(value)
        if size >= _BLOCK_BYTES or position == len(pairs) - 1:
            index.append((key, _append_block(out, pending, _RESTART_INTERVAL)))
            pending, size = [], 0
    meta_index = _append_block(out, [], _RESTART_INTERVAL)
    footer = meta_index + _append_block(out, index, 1)
    return bytes(out) + footer.ljust(_FOOTER_BYTES - 8, b"\0") + struct.pack("<Q", _MAGIC)


def _data_blocks(data: bytes) -> Iterator[bytes]:
    if len(data) < _FOOTER_BYTES:
        raise _Damage(f"it has {len(data)} bytes, fewer than the {_FOOTER_BYTES} of a footer")
    footer = data[-_FOOTER_BYTES:]
    if struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise _Damage("it does not end as the index of a checkpoint does (truncated, or another kind of file)")
    _, position = _get_handle(footer, 0)
    handle, position = _get_handle(footer, position)
    if any(footer[position:-8]):
        raise _Damage("its footer has stray bytes")
    for _, value in _block_pairs(_block(data, handle)):
        yield _block(data, _get_handle(value, 0)[0])


def _get_handle(data: bytes, position: int) -> tuple[tuple[int, int], int]:
    try:
        offset, position = get_varint(data, position)
        size, position = get_varint(data, position)
    except ValueError:
        raise _Damage("it does not say where a block is") from None
    return (offset, size), position


def _block(data: bytes, handle: tuple[int, int]) -> bytes:
    offset, size = handle
    end = offset + size
    if end + _TRAILER_BYTES > len(data) - _FOOTER_BYTES:
        raise _Damage(f"a block reaches to byte {end + _TRAILER_BYTES} of {len(data) - _FOOTER_BYTES}")
    compression, stored = struct.unpack("<BI", data[end : end + _TRAILER_BYTES])
    found = masked(crc32c(data[offset : end + 1]))
    if found != stored:
        raise _Damage(f"the checksum of the block at byte {offset} is {found:#010x}, expected {stored:#010x}")
    if compression == _SNAPPY:
        try:
            return decompress(data[offset:end])
        except ValueError as error:
            raise _Damage(f"the Snappy block at byte {offset} does not decompress: {error}") from None
    if compression != _PLAIN:
        raise _Damage(f"the block at byte {offset} has the compression type {compression}, which no checkpoint has")
    return data[offset:end]


def _block_pairs(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    if len(block) < 4:
        raise _Damage("a block is too short")
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 - 4 * restarts
    if end < 0:
        raise _Damage(f"a block of {len(block)} bytes claims {restarts} restart points")
    position, key = 0, b""
    while position < end:
        try:
            shared, position = get_varint(block, position)
            fresh, position = get_varint(block, position)
            length, position = get_varint(block, position)
        except ValueError:
            raise _Damage("an entry of a block is cut short") from None
        if shared > len(key) or position + fresh + length > end:
            raise _Damage("an entry of a block reaches beyond it")
        key = key[:shared] + block[position : position + fresh]
        position += fresh
        yield key, block[position : position + length]
        position += length


def _append_block(out: bytearray, pairs: Sequence[tuple[bytes, bytes]], interval: int) -> bytes:
    block, restarts, previous = bytearray(), [0], b""
    for position, (key, value) in enumerate(pairs):
        shared = 0
        if position % interval:
            while shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
                shared += 1
        elif position:
            restarts.append(len(block))
        block += put_varint(shared) + put_varint(len(key) - shared) + put_varint(len(value)) + key[shared:] + value
        previous = key
    block += struct.pack(f"<{len(restarts)}I", *restarts) + struct.pack("<I", len(restarts))
    handle = put_varint(len(out)) + put_varint(len(block))
    block.append(0)
    out += block + struct.pack("<I", masked(crc32c(bytes(block))))
    return handle
