"""What may be deleted in a cache directory, and how: nothing that anybody uses, and nothing outside of it."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from pathlib import Path

from hubplug.shown.logs import logger
from hubplug_cache._layout import NOTE, removal_time, removed_name
from hubplug_cache._staging import is_abandoned, read_owner

GRACE_SECONDS = 60.0
_LOG = logger("hubplug.cache")


def sweep(root: Path, grace: float = GRACE_SECONDS) -> None:
    """Deletes what dead processes left in a cache directory, and what was removed longer ago than the grace period.

    tensorflow_hub's own temporary directories and locks are not touched.

    Raises:
        OSError: The system could not read the directory.
    """
    with os.scandir(root) as scan:
        names = [member.name for member in scan]
    for name in names:
        path = root / name
        if (removed := removal_time(name)) is not None:
            if time.time() - removed >= grace:
                delete(path)
        elif (read := read_owner(_staging_name(name))) is not None and is_abandoned(path, read[1]):
            _LOG.info("deleting %s, which a process that is gone left behind", path)
            delete(path)


def set_aside(path: Path, in_use: bool) -> Path:
    """Renames something in a cache directory so that nobody finds it any more; those who have it open keep it.

    Args:
        path: What is to go.
        in_use: Whether somebody may be reading it, so that ``sweep`` leaves it alone for the grace period.

    Returns:
        Where it is now.

    Raises:
        OSError: The system could not rename it.
    """
    aside = path.with_name(removed_name(path.name, in_use))
    path.rename(aside)
    return aside


def delete(path: Path) -> None:
    """Deletes a file, a link or a tree, as far as the system lets us; what remains is left to the next sweep."""
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
            return
        try:
            shutil.rmtree(path)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            _delete_with_one_descriptor(path)
    except FileNotFoundError:
        return
    except OSError as error:
        _LOG.info("cannot delete %s: %s", path, error.strerror or error)


def _staging_name(name: str) -> str:
    # A note is written under its staging directory's name first.
    return name.removesuffix(f".{NOTE}")


def _delete_with_one_descriptor(path: Path) -> None:
    """As ``shutil.rmtree``, which needs a descriptor for each level."""
    for name in os.listdir(path):
        member = path / name
        if stat.S_ISDIR(os.lstat(member).st_mode):
            _delete_with_one_descriptor(member)
        else:
            os.unlink(member)
    path.rmdir()
