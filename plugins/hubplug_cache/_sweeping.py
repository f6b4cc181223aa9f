"""What may be deleted in a cache directory, and how: nothing that is in use, and nothing outside of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from hubplug.files.unfinished import delete, delete_abandoned
from hubplug_cache._layout import FILLING, NOTE, removal_time, removed_name

GRACE_SECONDS = 60.0


def sweep(root: Path, grace: float = GRACE_SECONDS) -> None:
    """Deletes what dead processes left in a cache directory, and what was removed longer ago than the grace period.

    tensorflow_hub's own temporary directories and locks are not touched.

    Raises:
        OSError: The system could not read the directory.
    """
    delete_abandoned(root, FILLING, NOTE)
    for name in os.listdir(root):
        if (removed := removal_time(name)) is not None and time.time() - removed >= grace:
            delete(root / name)


def set_aside(path: Path, in_use: bool) -> Path:
    """Renames something in a cache directory so that no process finds it any more; those who have it open keep it.

    Args:
        path: What is to go.
        in_use: Whether a process may be reading it, so that ``sweep`` leaves it alone for the grace period.

    Returns:
        Where it is now.

    Raises:
        OSError: The system could not rename it.
    """
    aside = path.with_name(removed_name(path.name, in_use))
    path.rename(aside)
    return aside
