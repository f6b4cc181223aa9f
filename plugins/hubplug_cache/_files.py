"""Single files of a cache directory, written so that they last."""

from __future__ import annotations

import os
from pathlib import Path

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Writes a new file and makes it durable.

    Raises:
        OSError: It exists, or the system refused.
    """
    descriptor = os.open(path, _CREATE, mode)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
