"""How JSON from outside is read: whatever is wrong with it is a ValueError, and no number is endless."""

from __future__ import annotations

import json
from typing import Any

# Of an integer; none that means something has more.
_MOST_DIGITS = 20


def parse_json(data: bytes) -> Any:
    """The value of a JSON text in UTF-8, UTF-16 or UTF-32; the caller has put a cap on its size.

    Raises:
        ValueError: It is not JSON, is nested deeper than Python allows, or has a number of more than 20 digits.
    """
    try:
        return json.loads(data, parse_int=_as_int)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _as_int(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number has {len(text)} digits")
    return int(text)
