"""How sizes and spans of time are written on a command line: ``10GB``, ``512MiB``, ``30d``, ``12h``."""

from __future__ import annotations

import re

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_DECIMAL = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(iB|B)?", re.IGNORECASE)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Bytes: ``10GB`` is decimal, ``10GiB`` and ``10G`` are binary, a mere number is bytes.

    Raises:
        ValueError: It is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3] and match[3].lower() == "ib" and not match[2]):
        raise ValueError(f"{text!r} is not a size: write it as 500MB, 10GB or 2GiB")
    unit = match[2].upper()
    decimal = unit and match[3] and match[3].lower() == "b"
    return int(float(match[1]) * (_DECIMAL[unit] if decimal else _UNITS[unit]))


def parse_span(text: str) -> float:
    """Seconds: a number with ``s``, ``m`` (minutes), ``h``, ``d`` or ``w``.

    Raises:
        ValueError: It is not a span of time.
    """
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a span of time: write it as 12h, 30d or 4w")
    return float(match[1]) * _SECONDS[match[2].lower()]


def size_in_words(size: int) -> str:
    """Bytes for people: ``3.2 MB``."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
