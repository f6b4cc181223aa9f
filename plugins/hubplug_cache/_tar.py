"""Reads the tar archives that ``hubplug cache export`` writes, and no others.

POSIX ustar headers with files and directories; extended headers for the path and the size only. Anything else (links,
devices, sparse files, vendor extensions) is refused, so there is nothing to be clever about. Format: POSIX.1-2017, pax.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from hubplug.errors import ArchiveError, UnsafeArchiveError

_BLOCK = 512
_MAX_EXTENDED = 1 << 16
_CHUNK = 1 << 20
_MOST_DIGITS = 19


@dataclass(eq=False)
class Member:
    """A file of an archive. What is not read of it before the next member is asked for is passed over.

    Attributes:
        name: As stored.
        size: In bytes.
    """

    name: str
    size: int
    _stream: BinaryIO
    _left: int = 0

    def __post_init__(self) -> None:
        self._left = self.size

    def chunks(self) -> Iterator[bytes]:
        """The bytes of the file.

        Raises:
            ArchiveError: The archive ends before the file does.
        """
        while self._left:
            data = self._stream.read(min(self._left, _CHUNK))
            if not data:
                raise ArchiveError(f"The archive ends {self._left:,} bytes before {self.name!r} does")
            self._left -= len(data)
            yield data


def read_members(stream: BinaryIO) -> Iterator[Member]:
    """The files of an archive in their order; directories are passed over.

    Raises:
        ArchiveError: The archive is damaged or truncated.
        UnsafeArchiveError: It has a member that no export has.
    """
    path: str | None = None
    size: int | None = None
    while any(header := _exactly(stream, _BLOCK)):
        if _number(header[148:156]) != sum(header[:148]) + 8 * 32 + sum(header[156:]):
            raise ArchiveError("A header of the archive does not have the checksum that it names")
        kind, stored = header[156:157], _number(header[124:136])
        if kind == b"x" and path is None and size is None:
            path, size = _extended(stream, stored)
            continue
        member = Member(path or _name(header), stored if size is None else size, stream)
        path = size = None
        if kind == b"0":
            yield member
            for _ in member.chunks():
                pass
            _exactly(stream, -member.size % _BLOCK)
        elif kind != b"5" or member.size:
            raise UnsafeArchiveError(f"{member.name!r} is neither a file nor a directory (type {kind!r})")
    if any(_exactly(stream, _BLOCK)):
        raise ArchiveError("The archive does not end with two empty blocks")


def _extended(stream: BinaryIO, size: int) -> tuple[str | None, int | None]:
    if size > _MAX_EXTENDED:
        raise UnsafeArchiveError(f"An extended header has {size:,} bytes, more than {_MAX_EXTENDED:,}")
    data = _exactly(stream, size + -size % _BLOCK)[:size]
    values: dict[bytes, bytes] = {}
    while data:
        length, _, _ = data.partition(b" ")
        if not _is_decimal(length) or not len(length) + 1 < int(length) <= len(data) or data[int(length) - 1] != 10:
            raise ArchiveError("An extended header of the archive is damaged")
        name, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        values[name] = value
        data = data[int(length) :]
    if unknown := values.keys() - {b"path", b"size"}:
        raise UnsafeArchiveError(f"An extended header has {sorted(unknown)!r}, which no export writes")
    if not _is_decimal(values.get(b"size", b"0")):
        raise ArchiveError("An extended header of the archive is damaged")
    return (
        _text(values[b"path"]) if b"path" in values else None,
        int(values[b"size"]) if b"size" in values else None,
    )


def _name(header: bytes) -> str:
    name, prefix = (part.partition(b"\0")[0] for part in (header[:100], header[345:500]))
    return _text(prefix + b"/" + name if prefix else name)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnsafeArchiveError(f"A name in the archive is not UTF-8: {data[:80]!r}") from error


def _is_decimal(data: bytes) -> bool:
    # Python reads no number of thousands of digits.
    return data.isdigit() and len(data) <= _MOST_DIGITS


def _number(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not digits or digits.strip(b"01234567"):
        raise ArchiveError("A header of the archive is damaged: a number is not octal")
    return int(digits, 8)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise ArchiveError("The archive is truncated")
    return data
