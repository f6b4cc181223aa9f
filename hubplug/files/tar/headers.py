"""One 512-byte header of a tar file: written plainly, and read strictly, so that a field that two programs could read
differently is an error.

The layouts are those of POSIX.1-2001 (``ustar`` and ``pax``), of GNU tar's manual ("Basic Tar Format"), and of the
Seventh Edition, which has neither magic nor prefix.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Literal

BLOCK = 512
LARGEST_SIZE = 0o77777777777
"""The largest size that the field of a header has room for."""

_OCTAL = re.compile(rb" *([0-7]+)[ \0]*")
_FLAVOURS: dict[bytes, Literal["ustar", "gnu"]] = {b"ustar\x0000": "ustar", b"ustar  \0": "gnu"}
_REFUSED_TYPES = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"7": "a contiguous file",
    b"D": "a directory with a list of its files (GNU dumpdir)",
    b"K": "a long link name",
    b"M": "a continuation of another volume",
    b"N": "an old GNU long name",
    b"S": "a sparse file",
    b"V": "a volume label",
    b"X": "a Solaris extended header",
    b"A": "a Solaris access control list",
    b"I": "an inode without data (star)",
}


class HeaderFault(Exception):
    """What is wrong with a header; ``unsafe`` where it is well-formed and asks for what no module needs."""

    def __init__(self, fault: str, *, unsafe: bool = False) -> None:
        super().__init__(fault)
        self.unsafe = unsafe


@dataclass(frozen=True)
class Header:
    """What matters of a header.

    Attributes:
        name: With the prefix, as bytes.
        kind: What follows it.
        size: Of what follows, in bytes; padding to the next block is not counted.
        size_is_a_stand_in: Whether ``size`` may be what writers put there when the real one is in a pax record.
    """

    name: bytes
    kind: Literal["file", "directory", "pax", "global pax", "long name"]
    size: int
    size_is_a_stand_in: bool


def header_bytes(name: bytes, size: int, flag: bytes, prefix: bytes = b"") -> bytes:
    """A ``ustar`` header: modes 0644 and 0755, owner and group 0 without names, time 0."""
    mode = 0o755 if flag == b"5" else 0o644
    block = struct.pack(
        "100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x",
        name, b"%07o" % mode, b"%07o" % 0, b"%07o" % 0, b"%011o" % size, b"%011o" % 0, b" " * 8, flag, b"",
        b"ustar\x0000", b"", b"", b"%07o" % 0, b"%07o" % 0, prefix,
    )  # fmt: skip
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def has_right_checksum(block: bytes) -> bool:
    """Whether the checksum of a header is right; old programs added signed bytes."""
    stored = _OCTAL.fullmatch(block[148:156])
    if stored is None:
        return False
    rest = block[:148] + b" " * 8 + block[156:]
    missing = sum(rest) - int(stored[1], 8)
    return missing == 0 or missing == 256 * sum(byte > 127 for byte in rest)


def parse_header(block: bytes) -> Header:
    """Reads a header that is not all zero.

    Raises:
        HeaderFault: It is damaged, or its kind is refused.
    """
    if not has_right_checksum(block):
        raise HeaderFault("its checksum is wrong")
    flavour = _FLAVOURS.get(block[257:265])
    if flavour is None and any(block[257:263]):
        raise HeaderFault(f"its magic is {block[257:265]!r}")
    name = _text(block[0:100])
    prefix = _text(block[345:500]) if flavour == "ustar" else b""
    if prefix:
        name = prefix + b"/" + name
    flag = block[156:157]
    if kind := _REFUSED_TYPES.get(flag):
        raise HeaderFault(f"{shown(name)} is {kind}", unsafe=True)
    size = _size(block[124:136], name, optional=flag == b"5")
    stand_in = size == 0 or block[124:136].startswith(b"77777777777")
    if flag in (b"0", b"\0"):
        if not name.endswith(b"/"):
            return Header(name, "file", size, stand_in)
        flag = b"5"  # how the Seventh Edition's programs wrote a directory
    if flag == b"5":
        if size:
            raise HeaderFault(f"the directory {shown(name)} claims to have {size:,} bytes", unsafe=True)
        return Header(name, "directory", 0, False)
    if flag == b"x":
        return Header(name, "pax", size, False)
    if flag == b"g":
        return Header(name, "global pax", size, False)
    if flag == b"L":
        return Header(name, "long name", size, False)
    raise HeaderFault(f"{shown(name)} is of the unknown type {flag!r}", unsafe=True)


def _size(field: bytes, name: bytes, *, optional: bool) -> int:
    if field[0] == 0xFF or field[0] & 0xC0 == 0xC0:
        raise HeaderFault(f"the size of {shown(name)} is negative", unsafe=True)
    if field[0] & 0x80:
        return int.from_bytes(field, "big") - (0x80 << 88)
    if octal := _OCTAL.fullmatch(field):
        return int(octal[1], 8)
    if optional and not field.strip(b" \0"):
        return 0
    raise HeaderFault(f"the size of {shown(name)} is {field!r}, not an octal number")


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def shown(name: bytes) -> str:
    """A name as it may be shown in a message."""
    text = name.decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= 120 else text[:100] + "..." + text[-15:])
