"""Reads a local archive, provided that it is still the one that was resolved."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hubplug.errors import FetchError, MissingError
from hubplug.types import ArchiveStream, Source
from hubplug_file._paths import key_of


def open_archive(source: Source) -> ArchiveStream:
    """Opens the file of a source.

    Raises:
        MissingError: It has gone.
        FetchError: It cannot be opened, is not a regular file, or has changed since it was resolved.
    """
    path = source.location
    try:
        stream = Path(path).open("rb", buffering=0)  # noqa: SIM115  closed with the ArchiveStream
    except FileNotFoundError as error:
        raise MissingError(f"{path} does not exist.") from error
    except OSError as error:
        raise FetchError(f"Cannot open {path}: {error.strerror}") from error
    status = os.fstat(stream.fileno())
    fault = None
    if not stat.S_ISREG(status.st_mode):
        fault = "is not a regular file"
    elif source.cache_key is not None and " mtime_ns=" in source.cache_key and source.cache_key != key_of(path, status):
        fault = "changed between being found and being read"
    if fault:
        stream.close()
        raise FetchError(f"{path} {fault}", hint="try again once nothing is writing to it")
    return ArchiveStream(stream, name=path, size=status.st_size)
