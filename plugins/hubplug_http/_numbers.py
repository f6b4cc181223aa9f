"""Numbers that a server sends: decimal digits and nothing else, as RFC 9110 writes them, and not without end."""

from __future__ import annotations

import re

# int() takes "+1", "1_0", blanks and the digits of every script, and refuses more than 4,300 of them with a ValueError.
_DIGITS = re.compile(r"0*([0-9]{1,18})")


def whole_number(text: str) -> int | None:
    """The number, or None for what is none or has more than 18 digits."""
    match = _DIGITS.fullmatch(text)
    return int(match[1]) if match else None


def length_in(value: str | None) -> int | None:
    """The number in a Content-Length header, which may repeat it (RFC 9110, section 8.6); None where there is no header.

    Raises:
        ValueError: It is not a number, or different ones.
    """
    if value is None:
        return None
    numbers = {whole_number(one.strip()) for one in value.split(",")}
    number = numbers.pop()
    if number is None or numbers:
        raise ValueError("Content-Length is not a number of bytes")
    return number
