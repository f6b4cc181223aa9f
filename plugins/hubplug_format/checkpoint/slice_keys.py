"""The keys under which a checkpoint's index keeps the parts of a partitioned tensor.

A key is made with the order-preserving code of ``tensorflow/core/lib/strings/ordered_code``: a zero, the name, the rank,
then start and length of every dimension; a length of -1 is the whole dimension.
"""

from __future__ import annotations

from collections.abc import Iterable

FULL_EXTENT = -1


def slice_key(name: str, extents: Iterable[tuple[int, int]]) -> bytes:
    """The key of one part.

    Args:
        name: Of the whole tensor.
        extents: Start and length for each dimension.
    """
    parts = list(extents)
    text = name.encode(errors="surrogatepass").replace(b"\0", b"\0\xff")
    key = _unsigned(0) + text + b"\0\x01" + _unsigned(len(parts))
    return key + b"".join(_signed(start) + _signed(length) for start, length in parts)


def _unsigned(value: int) -> bytes:
    digits = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(digits)]) + digits


def _signed(value: int) -> bytes:
    magnitude = ~value if value < 0 else value
    length = magnitude.bit_length() // 7 + 1
    # The header is as many ones as there are bytes, then a zero; it is flipped into the sign extension.
    header = ((1 << length) - 1) << (8 * length - length)
    encoded = (value & ((1 << (8 * length)) - 1)) ^ header
    return encoded.to_bytes(length, "big")
