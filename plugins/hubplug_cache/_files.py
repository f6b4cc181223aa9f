"""Single files of a cache directory: written so that they last, and hashed without a trace."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_CHUNK = 1 << 20


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


def file_sha256(path: Path) -> str:
    """Hexadecimal digest of a file that is not a link.

    Raises:
        OSError: The system could not read it.
    """
    digest = hashlib.sha256()
    with open(_open_quietly(path), "rb", buffering=0) as file:
        while data := file.read(_CHUNK):
            digest.update(data)
    return digest.hexdigest()


def _open_quietly(path: Path) -> int:
    """Opens a file to read it, without leaving the trace of a use where the system allows that."""
    try:
        return os.open(path, _READ | getattr(os, "O_NOATIME", 0))
    except PermissionError:
        return os.open(path, _READ)
