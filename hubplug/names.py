"""Which names a member of a module may have.

A good name is relative, in its shortest form, with ``/`` between its components, and means the same on every system.
"""

from __future__ import annotations

import re
import unicodedata

MANIFEST_NAME = ".hubplug.json"
"""The one name that is reserved: at the root of a module it is the manifest that a cache writes."""

_MAX_COMPONENT_BYTES = 255
_MAX_PATH_BYTES = 1024
_DRIVE = re.compile(r"[A-Za-z]:")


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
    if collision_key(name.partition("/")[0]) == MANIFEST_NAME:
        return f"{MANIFEST_NAME} is reserved for the manifest"
    return None


def collision_key(name: str) -> str:
    """Equal for names that a system without case, or with one Unicode normal form, cannot tell apart."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def abridged(name: str) -> str:
    """A name as it may be shown in a message: quoted, and cut in the middle when it is long."""
    return repr(name if len(name) <= 120 else f"{name[:100]}...{name[-15:]}")
