"""The bytes of an archive: a function of names and contents, and of nothing else.

Around the tar file is one gzip member (RFC 1952) with a fixed header: no name, no time, the operating system "unknown".

By default its deflate stream (RFC 1951) is made of stored blocks. Compressors do not agree: zlib, zlib-ng, ISA-L, and
versions of each, turn the same input into different bytes, and so a digest would only hold where the same library is.
Weights hardly compress (float32 by some 8 %), and stored blocks unpack at the speed of memory.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator

from hubplug.files.tar.writing import END, member_bytes
from hubplug_hosting._members import ListedMember

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_STORED = 0xFFFF
_LAST_STORED = b"\x01\x00\x00\xff\xff"
_LEVEL = 6


def tar_bytes(members: Iterable[ListedMember], read: Callable[[ListedMember], Iterable[bytes]]) -> Iterator[bytes]:
    """Yields a tar file of the members in the given order; ``read`` gives the content of each file."""
    for member in members:
        yield from member_bytes(f"./{member.name}", member.size, () if member.size is None else read(member))
    yield END


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
