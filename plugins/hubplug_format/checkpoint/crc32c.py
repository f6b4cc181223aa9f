"""The CRC-32C checksum of checkpoints, plain and masked.

A checksum that is stored beside the data it covers is masked, so that the checksum of data with checksums in it does not
degenerate (LevelDB's ``util/crc32c.h``, which TensorFlow follows).
"""

from __future__ import annotations

import google_crc32c

_MASK_DELTA = 0xA282EAD8


def crc32c(data: bytes, start: int = 0) -> int:
    """CRC-32C of ``data``, continued from ``start``, the checksum of what comes before it."""
    value: int = google_crc32c.extend(start, bytes(data))
    return value


def masked(checksum: int) -> int:
    """How a checksum is stored."""
    return (((checksum >> 15) | (checksum << 17)) + _MASK_DELTA) & 0xFFFFFFFF
