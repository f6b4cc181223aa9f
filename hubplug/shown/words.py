"""How things are put into words for people: suggestions, and text from outside made harmless."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hubplug.errors import printable as printable


def nearest(name: object, names: Sequence[str] | Mapping[str, Any]) -> str:
    """A hint for a name that is not one of ``names``."""
    possible = "possible: " + ", ".join(sorted(names)) if names else "there are none"
    close = closest(name, names)
    return possible if close is None else f"did you mean {close!r}? {possible}"


def closest(name: object, names: Sequence[str] | Mapping[str, Any]) -> str | None:
    """The one of ``names`` that was probably meant, if there is one."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(str(name), names, n=1)), None)


def scheme_meant(scheme: str, schemes: Sequence[str]) -> str | None:
    """A hint for a URL whose scheme a plugin does not take, if it is like one of those that it takes."""
    close = closest(scheme, schemes) if scheme else None
    return None if close is None else f"did you mean {close}://?"
