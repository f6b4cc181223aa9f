"""How what was written outlasts a loss of power."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def sync_tree(root: Path) -> None:
    """Makes every file and directory under ``root`` durable."""
    for directory, _, names in os.walk(root):
        for name in names:
            descriptor = os.open(os.path.join(directory, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_directory(Path(directory))


def sync_directory(path: Path) -> None:
    """Makes the names in a directory durable, where the system can do so.

    Raises:
        OSError: The disk failed.
    """
    if os.name == "nt":
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # a directory that may be written and not be read
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and user-space file systems have no such thing for directories.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)
