"""The strings of a constant, read as TensorFlow reads them (``Tensor::FromProto``), whatever encoding they have."""

from __future__ import annotations

from math import prod
from typing import Any

from hubplug_format import dtype_number

_STRING = dtype_number("string")
_LONGEST_LENGTH = 5


def strings_of(node: Any) -> frozenset[bytes] | None:
    """The different strings that a Const node holds; None where it holds none, or TensorFlow would refuse it."""
    if node.op != "Const" or "value" not in node.attr or node.attr["dtype"].type != _STRING:
        return None
    return strings_of_tensor(node.attr["value"].tensor)


def strings_of_tensor(tensor: Any) -> frozenset[bytes] | None:
    """The different strings of a TensorProto message; None where TensorFlow reads no strings.

    ``tensor_content`` goes before ``string_val``; of too few strings the last is repeated, and of none at all empty ones
    are made; those beyond the shape are dropped.
    """
    sizes = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.dtype != _STRING or tensor.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
        return None
    count = prod(sizes)
    if tensor.tensor_content:
        return _encoded(tensor.tensor_content, count)
    given = tensor.string_val
    return frozenset(given[:count]) if given else frozenset([b""] if count else ())


def _encoded(data: bytes, count: int) -> frozenset[bytes] | None:
    """Strings that lie as all their lengths, then all their bytes."""
    if count > len(data):
        return None
    lengths, position = [], 0
    for _ in range(count):
        length = shift = 0
        while True:
            if position >= len(data) or shift >= 7 * _LONGEST_LENGTH:
                return None
            byte = data[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    if position + sum(lengths) != len(data):
        return None
    found = set()
    for length in lengths:
        found.add(data[position : position + length])
        position += length
    return frozenset(found)
