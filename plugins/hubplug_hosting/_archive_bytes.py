"""The bytes of an archive: a function of names and contents, and of nothing else.

Format: ``ustar`` (POSIX.1-1988), with a pax record where a name or size does not fit; modes 0644 and 0755, owner and
group 0 without names, time 0. Around it one gzip member (RFC 1952) with a fixed header: no name, no time, the operating
system "unknown".

By default its deflate stream (RFC 1951) is made of stored blocks. Compressors do not agree: zlib, zlib-ng, ISA-L, and
versions of each, turn the same input into different bytes, and so a digest would only hold where the same library is.
Weights hardly compress (float32 by some 8 %), and stored blocks unpack at the speed of memory.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator

from hubplug_hosting._members import ListedMember

_BLOCK = 512
_LARGEST_SIZE = 0o77777777777
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_STORED = 0xFFFF
_LAST_STORED = b"\x01\x00\x00\xff\xff"
_LEVEL = 6


def tar_bytes(members: Iterable[ListedMember], read: Callable[[ListedMember], Iterable[bytes]]) -> Iterator[bytes]:
    """Yields a tar file of the members in the given order; ``read`` gives the content of each file."""
    for member in members:
        yield from _headers(member)
        if member.size is not None:
            yield from read(member)
            yield bytes(-member.size % _BLOCK)
    yield bytes(2 * _BLOCK)


def gzip_stored(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yields a gzip member whose blocks are stored; the division of ``pieces`` does not show in it."""
    yield _GZIP_HEADER
    checksum = size = 0
    rest = b""
    for piece in pieces:
        checksum = zlib.crc32(piece, checksum)
        size += len(piece)
        rest += piece
        if len(rest) >= _STORED:
            whole = len(rest) // _STORED * _STORED
            view = memoryview(rest)
            yield b"".join(
                part for at in range(0, whole, _STORED) for part in (b"\x00\xff\xff\x00\x00", view[at : at + _STORED])
            )
            rest = rest[whole:]
    if rest:
        yield struct.pack("<BHH", 0, len(rest), len(rest) ^ _STORED) + rest
    yield _LAST_STORED + struct.pack("<II", checksum, size & 0xFFFFFFFF)


def gzip_deflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yields a gzip member compressed by this Python's zlib: smaller, and the same only where that is the same."""
    yield _GZIP_HEADER
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    checksum = size = 0
    for piece in pieces:
        checksum = zlib.crc32(piece, checksum)
        size += len(piece)
        if out := compressor.compress(piece):
            yield out
    yield compressor.flush() + struct.pack("<II", checksum, size & 0xFFFFFFFF)


def _headers(member: ListedMember) -> Iterator[bytes]:
    name = f"./{member.name}{'/' if member.size is None else ''}".encode()
    size = member.size or 0
    fields = _split(name)
    records = b""
    if fields is None:
        records += _pax_record(b"path", name)
        fields = b"", name[:100].rstrip(b"/")
    if size > _LARGEST_SIZE:
        records += _pax_record(b"size", b"%d" % size)
    if records:
        yield _header(b"", b"./PaxHeaders", len(records), b"x") + records + bytes(-len(records) % _BLOCK)
    yield _header(*fields, size if size <= _LARGEST_SIZE else 0, b"5" if member.size is None else b"0")


def _header(prefix: bytes, name: bytes, size: int, flag: bytes) -> bytes:
    mode = 0o755 if flag == b"5" else 0o644
    block = struct.pack(
        "100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x",
        name, b"%07o" % mode, b"%07o" % 0, b"%07o" % 0, b"%011o" % size, b"%011o" % 0, b" " * 8, flag, b"",
        b"ustar\x0000", b"", b"", b"%07o" % 0, b"%07o" % 0, prefix,
    )  # fmt: skip
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Prefix and name for a ``ustar`` header; None where no slash divides them well."""
    if len(name) <= 100:
        return b"", name
    slash = name.rfind(b"/", 0, 156)
    if slash > 0 and 0 < len(name) - slash - 1 <= 100:
        return name[:slash], name[slash + 1 :]
    return None


def _pax_record(key: bytes, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)
