"""What lies at a place: told apart over time, and taken away."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def identity_of(path: Path) -> tuple[int, int, int] | None:
    """Tells apart what lay at one place at different times; None where there is nothing."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_ctime_ns


def empty(directory: Path) -> None:
    """Deletes everything in a directory."""
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
