"""Streaming decompression that takes nothing on trust: checksums are verified, and the stream ends where it says.

gzip goes through ISA-L, whose inflate is about twice as fast as zlib's on float weights; bzip2 and xz through the
standard library. Several streams one after the other are one archive, as parallel compressors write it.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Iterable, Iterator
from typing import Protocol, cast

from isal import igzip_lib

from hubplug.errors import ArchiveError, UnsafeArchiveError
from hubplug.files.tree import Limits
from hubplug_archive._recognition import Compression

_PIECE = 1 << 20
_FEED = 1 << 18
_GZIP_RESERVED_FLAGS = 0xE0
# Twice what `xz -9` needs; the dictionary size is the archive's own claim.
_XZ_MEMORY = 128 << 20
_MAGIC_LENGTH = 6
_HEAD_LENGTH = 8
# bz2 has only OSError and ValueError for damaged data; the stubs of isal call its exception type an instance.
_ISAL_ERROR = cast("type[Exception]", igzip_lib.error)
_DAMAGE = (_ISAL_ERROR, lzma.LZMAError, OSError, ValueError, EOFError, MemoryError)
# Parallel compressors make streams of 64 KiB and more.
_FREE_STREAMS = 1000
_LEAST_PER_STREAM = 16 << 10


class _Decompressor(Protocol):
    """The interface that bz2, lzma and igzip_lib share; an lzma one has ``check`` as well."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: memoryview, max_length: int = -1) -> bytes: ...


def decompress(chunks: Iterable[bytes], compression: Compression, name: str, limits: Limits) -> Iterator[bytes]:
    """Yields the decompressed bytes in pieces of at most 1 MiB.

    Args:
        chunks: The archive's bytes, none of them empty.
        compression: How they are compressed.
        name: What a person calls the archive, for errors.
        limits: ``max_ratio`` and ``ratio_floor`` are applied here.

    Raises:
        ArchiveError: The stream is damaged, cut off, or followed by something else.
        UnsafeArchiveError: It grows out of proportion.
    """
    if compression == "none":
        yield from chunks
        return
    fed = given = 0
    # Bytes that have arrived and that no decompressor has taken yet.
    waiting = memoryview(b"")
    stream: _Decompressor | None = None
    streams = given_before = 0
    for chunk in chunks:
        fed += len(chunk)
        waiting = memoryview(b"".join((waiting, chunk)) if waiting else chunk)
        while waiting:
            if stream is None:
                if len(waiting) < _MAGIC_LENGTH:
                    break
                if streams and given == given_before:
                    raise ArchiveError(f"{name} continues after an empty {compression} stream")
                if streams > _FREE_STREAMS + given // _LEAST_PER_STREAM:
                    raise UnsafeArchiveError(f"{name} is split into {streams:,} {compression} streams")
                stream, given_before = (
                    _begin(compression, bytes(waiting[:_HEAD_LENGTH]), name, first=not streams),
                    given,
                )
                streams += 1
            data, waiting = waiting[:_FEED], waiting[_FEED:]
            while True:
                piece = _inflate(stream, data, compression, name)
                data = waiting[:0]
                given += len(piece)
                if given > limits.ratio_floor and given > limits.max_ratio * fed:
                    raise UnsafeArchiveError(
                        f"{name} grows from {fed:,} to {given:,} bytes, beyond the cap of {limits.max_ratio}:1",
                        hint="if it is to be trusted, raise limits.max_ratio in hubplug.yaml",
                    )
                if piece:
                    yield piece
                if stream.eof:
                    waiting = memoryview(stream.unused_data + waiting)
                    stream = None
                    break
                if stream.needs_input:
                    break
    if stream is not None or not streams:
        raise ArchiveError(
            f"{name} is cut off: its {compression} stream does not end within its {fed:,} bytes",
            hint="fetch it again; if that does not help, it was uploaded incompletely",
        )
    if waiting:
        raise ArchiveError(f"{name} has {len(waiting)} bytes too many after its {compression} stream")


def _begin(compression: Compression, head: bytes, name: str, *, first: bool) -> _Decompressor:
    if compression == "gzip" and head[:3] == b"\x1f\x8b\x08":
        if head[3] & _GZIP_RESERVED_FLAGS:
            raise ArchiveError(f"{name} has a gzip header with reserved flags: {head[3]:#04x}")
        made: _Decompressor = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)
        return made
    if compression == "bzip2" and head[:3] == b"BZh":
        return bz2.BZ2Decompressor()
    if compression == "xz" and head[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    if first:
        raise ArchiveError(f"{name} is damaged: its {compression} header is wrong")
    raise ArchiveError(f"{name} continues after its {compression} stream with something else: {head[:8].hex(' ')}")


def _inflate(stream: _Decompressor, data: memoryview, compression: Compression, name: str) -> bytes:
    try:
        piece = stream.decompress(data, _PIECE)
    except _DAMAGE as error:
        raise ArchiveError(
            f"{name} is damaged: its {compression} stream cannot be decompressed ({error})", hint="fetch it again"
        ) from error
    if getattr(stream, "check", lzma.CHECK_CRC32) == lzma.CHECK_NONE:
        raise ArchiveError(
            f"{name} has no checksum: it was compressed with `xz --check=none`", hint="compress it without that option"
        )
    return piece
