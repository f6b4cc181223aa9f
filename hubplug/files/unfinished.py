"""Directories and files that are not finished: held by the process that makes them, deleted when it fails, and when it died.

For whoever makes something beside its place: an export, a file that is replaced, the entry of a cache.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hubplug.files.owners import hold, is_abandoned, owned_name, read_owner
from hubplug.files.space import note_room
from hubplug.shown.logs import logger

_LOG = logger("hubplug.files")


@contextmanager
def unfinished_directory(parent: Path, label: str, suffix: str, mode: int = 0o755) -> Iterator[Path]:
    """As ``unfinished_path``, and makes an empty directory there, which this process holds.

    Raises:
        OSError: The system could not make it.
    """
    with unfinished_path(parent, label, suffix) as path:
        path.mkdir(mode)
        held = hold(path)
        try:
            yield path
        finally:
            if held is not None:
                os.close(held)


@contextmanager
def unfinished_path(parent: Path, label: str, suffix: str) -> Iterator[Path]:
    """Gives a name under which something is made in a ``with`` block, to be renamed to its place; what remains is deleted.

    Args:
        parent: Where.
        label: What it is for, as the beginning of the name.
        suffix: The end of the name, of small letters; with the same one, ``delete_abandoned`` finds it.
    """
    path = parent / owned_name(label, suffix)
    try:
        yield path
    except BaseException as error:
        note_room(error, path)
        raise
    finally:
        delete(path)


def delete_abandoned(directory: Path, *suffixes: str) -> None:
    """Deletes what dead processes left unfinished in a directory, as far as the system lets us.

    Raises:
        OSError: The system could not read the directory.
    """
    for name in os.listdir(directory):
        for suffix in suffixes:
            if (owner := read_owner(name, suffix)) and is_abandoned(directory / name, owner):
                _LOG.info("deleting %s, which a process that is gone left behind", directory / name)
                delete(directory / name)


def delete(path: Path) -> None:
    """Deletes a file, a link or a tree, as far as the system lets us; what remains is left to the next one."""
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


def _delete_with_one_descriptor(path: Path) -> None:
    """As ``shutil.rmtree``, which needs a descriptor for each level."""
    for name in os.listdir(path):
        member = path / name
        if stat.S_ISDIR(os.lstat(member).st_mode):
            _delete_with_one_descriptor(member)
        else:
            os.unlink(member)
    path.rmdir()
