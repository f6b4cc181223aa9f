"""What to say when a disk is full: of bytes, or of inodes, of which a disk with free bytes may have none left."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
"""Numbers of the system's errors that mean that something does not fit."""


def reason_of(error: OSError, path: Path) -> str:
    """What the system said when it refused to write below ``path``, and how much room there is where there is too little."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno == errno.ENOSPC and reason == os.strerror(errno.ENOSPC):
        reason = f"{reason} ({what_is_free(path)})"
    return reason


def note_room(error: BaseException, path: Path) -> None:
    """Puts into a system error how much room there is, before what was written is deleted and there is more."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        error.strerror = reason_of(error, path)


def what_is_free(path: Path) -> str:
    """How much room the disk of a path has, the path itself or the nearest of its parents that is there."""
    place = nearest_existing(path)
    try:
        free = f"{shutil.disk_usage(place).free:,}"
    except OSError:
        return "how much is free is not known"
    if (inodes := _inodes_of_full(place)) is not None:
        return f"of {inodes:,} inodes, one for each file and directory, none is free; {free} bytes are"
    return f"{free} bytes are free"


def how_to_make_room(reason: str) -> str:
    """What to free, as the beginning of a hint, by the ``reason_of`` a refusal."""
    return "delete files, of whatever size" if is_of_inodes(reason) else "free some space"


def is_of_inodes(reason: str) -> bool:
    """Whether a ``reason_of`` a refusal is that no file can be made, whatever its size."""
    return " inodes, " in reason


def nearest_existing(path: Path) -> Path:
    """The path itself, or the closest of its parents that is there."""
    return next((there for there in (path, *path.parents) if os.path.lexists(there)), path)


def _inodes_of_full(place: Path) -> int | None:
    """How many inodes a file system has whose inodes are all used; None for others, and where they are made as needed."""
    if not hasattr(os, "statvfs"):
        return None
    try:
        status = os.statvfs(place)
    except OSError:
        return None
    return status.f_files if status.f_files and not status.f_favail else None
