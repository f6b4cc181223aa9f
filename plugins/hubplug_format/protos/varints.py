"""Numbers of variable length: groups of seven bits, lowest first, the top bit set on all but the last."""

from __future__ import annotations


def put_varint(value: int) -> bytes:
    """The encoding of a number that is not negative."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def get_varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """A number, and the position behind it.

    Raises:
        ValueError: The data ends within it, or it has more than 64 bits.
    """
    value = 0
    for shift in range(0, 64, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("not a varint")
