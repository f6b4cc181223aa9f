"""How things are put into words for people: suggestions, and text from outside made harmless."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hubplug.errors import printable as printable


def nearest(name: object, names: Sequence[str] | Mapping[str, Any]) -> str:
    """A hint for a name that is not one of ``names``."""
    from difflib import get_close_matches

    close = get_close_matches(str(name), names, n=1)
    possible = "possible: " + ", ".join(sorted(names)) if names else "there are none"
    return f"did you mean {close[0]!r}? {possible}" if close else possible
