"""The bytes of a tar file: a function of names and contents, and of nothing else, so that digests can be recorded.

Format: ``ustar`` (POSIX.1-1988), with a pax record where a name or size does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hubplug.files.tar.headers import BLOCK, LARGEST_SIZE, header_bytes
from hubplug.files.tar.pax import pax_record

END = bytes(2 * BLOCK)
"""What stands behind the last member."""


def member_bytes(name: str, size: int | None, content: Iterable[bytes] = ()) -> Iterator[bytes]:
    """Yields a member of a tar file.

    Args:
        name: As it is to be stored, without a slash at its end.
        size: Of the file in bytes; None for a directory.
        content: As many bytes.
    """
    stored = f"{name}/".encode() if size is None else name.encode()
    flag = b"5" if size is None else b"0"
    size = size or 0
    fields = _split(stored)
    records = b"" if fields else pax_record(b"path", stored)
    if size > LARGEST_SIZE:
        records += pax_record(b"size", b"%d" % size)
    if records:
        yield header_bytes(b"./PaxHeaders", len(records), b"x") + records + bytes(-len(records) % BLOCK)
    prefix, short = fields or (b"", stored[:100].rstrip(b"/"))
    yield header_bytes(short, size if size <= LARGEST_SIZE else 0, flag, prefix)
    yield from content
    yield bytes(-size % BLOCK)


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Prefix and name for a header; None where no slash divides them well."""
    if len(name) <= 100:
        return b"", name
    slash = name.rfind(b"/", 0, 156)
    if slash > 0 and 0 < len(name) - slash - 1 <= 100:
        return name[:slash], name[slash + 1 :]
    return None
