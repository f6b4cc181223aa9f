"""Decompressing Snappy blocks, in which many releases of TensorFlow wrote the index of a checkpoint.

Source: ``format_description.txt`` of google/snappy. An index is small, so this needs no library.
"""

from __future__ import annotations

from hubplug_format.protos.varints import get_varint

# An element of three bytes stands for at most 64 bytes.
_MAX_RATIO = 64


def decompress(data: bytes, max_bytes: int = 1 << 32) -> bytes:
    """The content of a Snappy block.

    Args:
        data: The block.
        max_bytes: One with more content is refused, before anything is decompressed.

    Raises:
        ValueError: It is damaged.
    """
    size, position = get_varint(data, 0)
    if size > min(max_bytes, _MAX_RATIO * len(data)):
        raise ValueError(f"{len(data)} bytes claim to hold {size}, more than they may")
    out = bytearray()
    while position < len(data):
        tag = data[position]
        position += 1
        if tag & 3 == 0:
            length = tag >> 2
            if length >= 60:
                width = length - 59
                length = _number(data, position, width)
                position += width
            position, start = position + length + 1, position
            if position > len(data):
                raise ValueError("a literal reaches beyond the end")
            out += data[start:position]
        else:
            width = (1, 2, 4)[(tag & 3) - 1]
            offset = _number(data, position, width)
            position += width
            length = (tag >> 2) + 1
            if width == 1:
                offset |= tag >> 5 << 8
                length = (tag >> 2 & 7) + 4
            if not 0 < offset <= len(out):
                raise ValueError(f"a copy from {offset} bytes back, of {len(out)}")
            # The source may overlap what is being written: then its bytes repeat.
            source = out[len(out) - offset : len(out) - offset + length]
            out += (source * (length // len(source) + 1))[:length]
        if len(out) > size:
            break
    if len(out) != size:
        raise ValueError(f"{len(out)} bytes came out, expected {size}")
    return bytes(out)


def _number(data: bytes, position: int, width: int) -> int:
    if position + width > len(data):
        raise ValueError("an element is cut short")
    return int.from_bytes(data[position : position + width], "little")
