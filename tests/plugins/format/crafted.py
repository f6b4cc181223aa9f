"""Indexes and definitions made to hurt: byte by byte, with right checksums."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence

from hubplug_format import message_class
from hubplug_format.checkpoint.crc32c import crc32c, masked
from hubplug_format.protos.varints import put_varint

PLAIN, SNAPPY = 0, 1
_MAGIC = 0xDB4775248B80FB57


def header(**fields: object) -> bytes:
    """The value of an index's empty key."""
    data: bytes = message_class("BundleHeaderProto")(**{"num_shards": 1, **fields}).SerializeToString()
    return data


def entries(items: Iterable[tuple[int, bytes, bytes]], restarts: Sequence[int] = (0,)) -> bytes:
    """The content of a block: how much of the last key is shared, the rest of the key, the value."""
    out = bytearray()
    for shared, fresh, value in items:
        out += put_varint(shared) + put_varint(len(fresh)) + put_varint(len(value)) + fresh + value
    return bytes(out) + struct.pack(f"<{len(restarts)}I", *restarts) + struct.pack("<I", len(restarts))


def block(content: bytes, compression: int = PLAIN) -> bytes:
    """A block with its trailer."""
    whole = content + bytes([compression])
    return whole + struct.pack("<I", masked(crc32c(whole)))


def table(
    *blocks: bytes, index: Callable[[list[bytes]], Iterable[tuple[int, bytes, bytes]]] | None = None, meta: bytes = b""
) -> bytes:
    """A table of blocks; ``index`` makes the entries of its index block from where the blocks are."""
    out = bytearray()

    def append(part: bytes) -> bytes:
        handle = put_varint(len(out)) + put_varint(len(part) - 5)
        out.extend(part)
        return handle

    handles = [append(part) for part in blocks]
    items = index(handles) if index else [(0, b"\xff" * (i + 1), handle) for i, handle in enumerate(handles)]
    footer = append(meta or block(entries([]))) + append(block(entries(items)))
    return bytes(out) + footer.ljust(40, b"\0") + struct.pack("<Q", _MAGIC)


def field(number: int, content: bytes) -> bytes:
    """A field of a message that holds bytes, a string or another message."""
    return put_varint(number << 3 | 2) + put_varint(len(content)) + content


def variant(*parts: bytes) -> bytes:
    """A field of a SavedModel: a meta graph."""
    return field(2, b"".join(parts))


def tags(*names: bytes) -> bytes:
    """A field of a meta graph."""
    return field(1, b"".join(field(4, name) for name in names))


def collection(name: bytes, kind: int, items: bytes) -> bytes:
    """A field of a meta graph: a collection, of nodes (1), bytes (2) or messages (5)."""
    return field(4, field(1, name) + field(2, field(kind, items)))


def signature(name: bytes, inputs: bytes = b"") -> bytes:
    """A field of a meta graph."""
    return field(5, field(1, name) + field(2, inputs))


def tensor(key: bytes, info: bytes = b"\x10\x01") -> bytes:
    """An input in a signature."""
    return field(1, field(1, key) + field(2, info))
