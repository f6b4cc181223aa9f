"""The pieces of a URL's text, before any parser has read it."""

from __future__ import annotations

import re

DEFAULT_PORTS = {"http": 80, "https": 443}
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
UNRESERVED = frozenset("-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")  # RFC 3986, section 2.3
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def scheme_of(text: str) -> str:
    """The part before ``://`` as written; empty for a path."""
    match = _SCHEME.match(text)
    return match[1] if match else ""


def split_authority(rest: str) -> tuple[str, str]:
    """What names the host, and all that follows; ``rest`` is a URL without its scheme."""
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    return authority, rest[len(authority) :]


def is_place(authority: str) -> bool:
    """Whether it is host and port, by its form: what follows a colon is a port."""
    place = authority.rpartition("@")[2]
    name, colon, port = place.rpartition("]") if place.startswith("[") else place.partition(":")
    if place.startswith("["):
        return bool(colon) and (not port or (port[0] == ":" and not port[1:].strip("0123456789")))
    return bool(name) and not port.strip("0123456789")
