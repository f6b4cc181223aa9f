"""Reading a file of a module whole, with a cap on its size and errors that name it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hubplug.errors import FormatError

# Larger protocol buffers do not exist: the encoding's own limit.
PROTO_BYTES = (1 << 31) - 1


def read_capped(path: Path, max_bytes: int = PROTO_BYTES) -> bytes:
    """The content of a regular file.

    Raises:
        FormatError: It is missing, not a regular file, larger than ``max_bytes``, or cannot be read.
    """
    try:
        # Not blocking, so that a pipe in place of the file cannot hang the reader.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise FormatError(
            f"{path} is missing", hint="check that the path is a module's directory, or fetch it again"
        ) from None
    except (OSError, ValueError) as error:
        raise FormatError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}", hint="check the file's permissions"
        ) from error
    found = os.fstat(descriptor)
    if stat.S_ISDIR(found.st_mode):
        os.close(descriptor)
        raise FormatError(f"{path} is not a regular file but a directory", hint="export or fetch the module again")
    try:
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(found.st_mode):
                raise FormatError(f"{path} is not a regular file", hint="export or fetch the module again")
            if found.st_size > max_bytes:
                raise FormatError(
                    f"{path} has {found.st_size} bytes, more than the {max_bytes} that such a file can have",
                    hint="export or fetch the module again",
                )
            return file.read(found.st_size)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror or error}", hint="check the disk") from error


def names_in(directory: Path, limit: int = 12) -> str:
    """What a directory holds, as a person reads it: ``assets/, saved_model.pb``; ``nothing`` when it is empty."""
    try:
        with os.scandir(directory) as entries:
            names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in entries)
    except OSError:
        return "nothing readable"
    shown = [name if name.isprintable() else ascii(name) for name in names[:limit]]
    return ", ".join(shown + (["..."] if len(names) > limit else [])) or "nothing"
