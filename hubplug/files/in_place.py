"""How a directory is filled that is there already: entry by entry, nothing that exists is written over, all of it or nothing.

Of several that fill one directory at once, one succeeds: each entry is made by a call of the system that fails where there is
something of its name, and the first entry of all that publish the same kind of thing is the same one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from hubplug.files.durable import sync_directory


def names_taken(target: Path, names: Iterable[str] | None) -> list[str] | None:
    """What keeps a place from being filled.

    Args:
        target: The place.
        names: The names that are wanted in it; None: it must be empty.

    Returns:
        None: nothing. Otherwise those of the names that are taken; none of them where the place itself is.
    """
    if not os.path.lexists(target):
        return None
    if not target.is_dir():
        return []
    if names is None:
        return [] if target.is_symlink() or any(target.iterdir()) else None
    return sorted(name for name in names if os.path.lexists(target / name)) or None


def is_kept(target: Path) -> bool:
    """Whether a directory stays as it is when it is filled.

    Because it holds something, is a link, is a mount point, is in one that may not be written, or is where this process is.
    """
    if not target.is_dir():
        return False
    try:
        if target.is_symlink() or any(target.iterdir()):
            return True
    except PermissionError:  # it may be written, but not be read to see whether it is empty
        return True
    if os.path.ismount(target) or not os.access(target.absolute().parent, os.W_OK):
        return True
    with suppress(FileNotFoundError):  # where the working directory has been deleted
        return target.samefile(os.curdir)
    return False


def move_contents(staging: Path, target: Path) -> None:
    """Moves what is in a directory to another one on the same file system, all of it or nothing.

    Directories go first, then files by name: of a module's, tfhub_module.pb last, which makes it one.

    Raises:
        FileExistsError: One of the names came to be taken meanwhile; nothing was moved.
    """
    moved: list[Path] = []
    try:
        entries = sorted(staging.iterdir(), key=lambda path: (path.is_file(), path.name))
        for path in entries:
            if path is entries[-1]:
                sync_directory(target)
            there = target / path.name
            _move(path, there)
            moved.append(there)
    except BaseException:
        for there in reversed(moved):
            with suppress(OSError):
                there.rename(staging / there.name)
        raise
    staging.rmdir()


def _move(path: Path, there: Path) -> None:
    """Renames, and fails where something is; a rename alone replaces files and empty directories."""
    try:
        if os.name == "nt":
            path.rename(there)
        elif path.is_dir():
            _move_directory(path, there)
        else:
            _move_file(path, there)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, f"{there.name} came to be there meanwhile") from None


def _move_directory(path: Path, there: Path) -> None:
    there.mkdir()
    try:
        path.rename(there)
    except BaseException:
        with suppress(OSError):
            there.rmdir()
        raise


def _move_file(path: Path, there: Path) -> None:
    try:
        os.link(path, there)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(there):
            raise FileExistsError(errno.EEXIST, "exists") from None
        path.rename(there)
    else:
        path.unlink()
