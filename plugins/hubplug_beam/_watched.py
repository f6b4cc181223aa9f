"""How workers on this machine say how far they are: a file to which each appends a record for each batch."""

from __future__ import annotations

import os
from struct import Struct

_RECORD = Struct("<qqq")


def note(path: str, rows: int, failed: int, size: int) -> None:
    """Appends a record: rows that were written, rows that failed, bytes that were read."""
    with open(path, "ab", buffering=0) as file:  # one write, which is not torn where it is appended
        file.write(_RECORD.pack(rows, failed, size))


def read(path: str, offset: int) -> tuple[list[tuple[int, int, int]], int]:
    """The records since, and where to go on reading."""
    if not os.path.exists(path):
        return [], offset
    with open(path, "rb") as file:
        file.seek(offset)
        data = file.read()
    data = data[: len(data) // _RECORD.size * _RECORD.size]
    return list(_RECORD.iter_unpack(data)), offset + len(data)
