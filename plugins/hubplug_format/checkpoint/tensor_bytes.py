"""How the values of a tensor lie in the data file of a checkpoint, and their checksum.

Numbers lie in row-major order. A string tensor is the lengths as varints, the masked checksum of the lengths (each as 4
bytes, or 8 where that is not enough), then the strings; its own checksum covers the lengths in that wide form, the
checksum and the strings (``WriteStringTensor`` in ``tensor_bundle.cc``).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Literal

from hubplug.errors import FormatError
from hubplug_format.checkpoint.crc32c import crc32c, masked
from hubplug_format.protos.varints import get_varint, put_varint

if TYPE_CHECKING:
    import numpy as np

    from hubplug_format.checkpoint.entries import CheckpointEntry

# Of the length of one string.
MOST_LENGTH_BYTES = 10
_NUMPY_NAMES = {"qint8": "int8", "quint8": "uint8", "qint16": "int16", "quint16": "uint16", "qint32": "int32"}
_NUMPY_KINDS = "fiubc"


def encode_strings(values: Sequence[bytes]) -> tuple[bytes, int]:
    """Strings as they lie in a data file, and the unmasked checksum."""
    checksum = masked(crc32c(_wide(values)))
    stored = struct.pack("<I", checksum)
    data = b"".join(map(put_varint, map(len, values))) + stored + b"".join(values)
    return data, crc32c(_wide(values) + stored + b"".join(values))


def find_checksum_error(data: bytes, entry: CheckpointEntry) -> str | None:
    """Says in which way the bytes of an entry are not those that were written; None for good ones."""
    if entry.dtype == "string":
        strings = split_strings(data, prod(entry.shape))
        if strings is None:
            return f"the bytes of {entry.name!r} are not {prod(entry.shape)} strings"
        written, checksum = encode_strings(strings)
        if written != data:
            return f"the lengths of the strings of {entry.name!r} do not match their checksum"
    else:
        checksum = crc32c(data)
    if (found := masked(checksum)) != entry.crc32c:
        return f"the checksum of {entry.name!r} is {found:#010x}, expected {entry.crc32c:#010x}"
    return None


def decode_tensor(data: bytes, entry: CheckpointEntry, big_endian: bool, prefix: str) -> np.ndarray[Any, Any]:
    """The numpy array of verified bytes; see ``CheckpointIndex.array``."""
    import numpy as np

    if entry.dtype == "string":
        strings = np.empty(prod(entry.shape), object)
        strings[:] = split_strings(data, prod(entry.shape)) or []
        return strings.reshape(entry.shape)
    order: Literal["<", ">"] = ">" if big_endian else "<"
    if entry.dtype == "bfloat16":
        bits = np.frombuffer(data, f"{order}u2").astype(np.uint32) << 16
        return bits.view(np.float32).reshape(entry.shape)
    try:
        dtype = np.dtype(_NUMPY_NAMES.get(entry.dtype, entry.dtype))
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in _NUMPY_KINDS:
        raise FormatError(
            f"{entry.name!r} in {prefix} has the dtype {entry.dtype}, which numpy does not have",
            hint="read its bytes with raw()",
        )
    values = np.frombuffer(data, dtype.newbyteorder(order)).astype(dtype)
    return values.reshape(entry.shape)


def split_strings(data: bytes, count: int) -> list[bytes] | None:
    """The strings in the bytes of a string tensor; None where they are not that many."""
    found = _lengths(data, count)
    if found is None:
        return None
    lengths, position = found
    position += 4
    if position + sum(lengths) != len(data):
        return None
    strings = []
    for length in lengths:
        strings.append(data[position : position + length])
        position += length
    return strings


def are_lengths_right(data: bytes, count: int, size: int) -> bool:
    """Whether strings fill their place: ``count`` of them, in ``size`` bytes which begin with ``data``."""
    if len(data) >= count and data[:count].isascii():
        # Lengths of one byte each.
        return count + 4 + sum(data[:count]) == size
    found = _lengths(data, count)
    return found is not None and found[1] + 4 + sum(found[0]) == size


def _lengths(data: bytes, count: int) -> tuple[list[int], int] | None:
    if count > len(data):
        return None
    lengths, position = [], 0
    try:
        for _ in range(count):
            length, position = get_varint(data, position)
            lengths.append(length)
    except ValueError:
        return None
    return lengths, position


def _wide(values: Sequence[bytes]) -> bytes:
    return b"".join(struct.pack("<I" if len(value) <= 0xFFFFFFFF else "<Q", len(value)) for value in values)
