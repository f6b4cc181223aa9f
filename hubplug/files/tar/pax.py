"""The records of a pax extended header (POSIX.1-2001, "pax Extended Header"): ``<length> <key>=<value>\\n`` in decimal."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hubplug.files.tar.headers import HeaderFault

_LENGTH = re.compile(rb"([1-9][0-9]{0,8}) ")
_SPARSE = ("GNU.sparse.", "SCHILY.realsize", "SUN.holesdata")
_UTF8 = ("ISO-IR 10646 2000 UTF-8", "UTF-8")


@dataclass(frozen=True)
class PaxRecords:
    """What matters of the records; times, owners and comments do not.

    Attributes:
        path: Instead of the name in the header that follows, or None.
        size: Instead of its size, in bytes, or None.
        count: How many records there are, those that do not matter among them.
    """

    path: bytes | None = None
    size: int | None = None
    count: int = 0


def pax_record(key: bytes, value: bytes) -> bytes:
    """One record; its length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def parse_pax(data: bytes, *, is_global: bool = False) -> PaxRecords:
    """Reads all records of one extended header.

    Raises:
        HeaderFault: They are malformed, or ask for a link, a sparse file or another character set; or a header for all
            members gives a name or size.
    """
    found: dict[str, bytes] = {}
    at = count = 0
    while at < len(data):
        length = _LENGTH.match(data, at, at + 10)
        end = at + int(length[1]) if length else 0
        if length is None or end <= length.end() or end > len(data) or data[end - 1 : end] != b"\n":
            raise HeaderFault(f"the pax record at byte {at} is malformed")
        key, equals, value = data[length.end() : end - 1].partition(b"=")
        if not equals or not key:
            raise HeaderFault(f"the pax record at byte {at} has no keyword")
        word = key.decode("utf-8", "backslashreplace")
        if word.startswith(_SPARSE):
            raise HeaderFault(f"the pax record {word[:80]!r} makes it a sparse file", unsafe=True)
        if word == "linkpath":
            raise HeaderFault("the pax record 'linkpath' makes it a link", unsafe=True)
        if word == "hdrcharset" and value.decode("utf-8", "replace") not in _UTF8:
            raise HeaderFault(f"the pax record says that names are in {value[:40]!r}, not UTF-8")
        if word in ("path", "size"):
            if is_global:
                raise HeaderFault(f"a pax header for all members gives one {word}", unsafe=True)
            if word in found:
                raise HeaderFault(f"the pax records give two values of {word!r}", unsafe=True)
            if not value or b"\0" in value:
                raise HeaderFault(f"the pax record {word!r} is {value[:40]!r}", unsafe=True)
            found[word] = value
        at = end
        count += 1
    return PaxRecords(found.get("path"), _decimal(found["size"]) if "size" in found else None, count)


def _decimal(value: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,19}", value):
        raise HeaderFault(f"the pax size is {value[:40]!r}, not a decimal number", unsafe=True)
    return int(value)
