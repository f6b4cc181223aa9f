"""Which names a member of a module may have.

A good name is relative, in its shortest form, with ``/`` between its components, and means the same on every system.
"""

from __future__ import annotations

import re
import unicodedata

MANIFEST_NAME = ".hubplug.json"
"""The manifest that a cache writes at the root of a module."""

RESERVED_PREFIX = ".hubplug"
"""Names at the root of a module that begin so are a cache's own, however a system spells them."""

_MAX_COMPONENT_BYTES = 255
_MAX_PATH_BYTES = 1024
_DRIVE = re.compile(r"[A-Za-z]:")
# What file systems that compare by Unicode pass over: its Default_Ignorable_Code_Point, as of Unicode 15.
_IGNORED = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def find_name_error(name: str) -> str | None:
    """What is wrong with the name of a member of a module, or None."""
    if not name:
        return "it is empty"
    if name.startswith("/"):
        return "it is absolute"
    if _DRIVE.match(name):
        return "it begins with a drive letter"
    if "\\" in name:
        return "it has a backslash"
    if any(unicodedata.category(character) == "Cc" for character in name):
        return "it has a control character"
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    if len(encoded) > _MAX_PATH_BYTES:
        return f"it has {len(encoded)} bytes, more than {_MAX_PATH_BYTES}"
    for component in encoded.split(b"/"):
        if component == b"..":
            return "it has the component '..'"
        if component in (b"", b"."):
            return f"it has the component {component.decode()!r}"
        if len(component) > _MAX_COMPONENT_BYTES:
            return f"a component of it has {len(component)} bytes, more than {_MAX_COMPONENT_BYTES}"
    if unicodedata.normalize("NFKC", collision_key(name)).startswith(RESERVED_PREFIX):
        return f"names that begin with {RESERVED_PREFIX} are reserved for caches"
    return None


def is_of_a_cache(name: str) -> bool:
    """Whether a file of a module directory was put there by a cache: a copy of an entry has such files, a module has none."""
    return name.startswith(RESERVED_PREFIX) and "/" not in name


def collision_key(name: str) -> str:
    """Equal for names that a system without case, or with one Unicode normal form, cannot tell apart."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", _IGNORED.sub("", name)).casefold())


def abridged(name: str) -> str:
    """A name as it may be shown in a message: quoted, and cut in the middle when it is long."""
    return repr(name if len(name) <= 120 else f"{name[:100]}...{name[-15:]}")
