"""How a directory or a file comes to be whole or not at all: it is filled beside its place and put there with one rename.

Only a directory that stays takes one rename for each of its entries.

What a dead process left, the next one that is made in the same directory deletes.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from hubplug.errors import HubplugError
from hubplug.files.durable import sync_directory, sync_tree
from hubplug.files.in_place import is_kept, move_contents, names_taken
from hubplug.files.owners import try_lock
from hubplug.files.space import reason_of
from hubplug.files.unfinished import delete_abandoned, unfinished_directory, unfinished_path
from hubplug.urls import redact, scheme_of

_SUFFIX = "partial"
_LABEL_LENGTH = 20
_CONTENTS = "contents"
_POLL_SECONDS = 0.02


@contextmanager
def publish(
    path: str,
    kind: type[HubplugError],
    occupied: type[HubplugError] | None = None,
    names: Collection[str] | None = None,
) -> Iterator[Path]:
    """Yields an empty staging directory, and makes it ``path`` when the body succeeds.

    Args:
        path: A local path. Parents are made; an empty directory there is replaced, or filled entry by entry where it
            cannot be: a mount point, the working directory, a directory whose parent may not be written.
        kind: The error to raise.
        occupied: The one to raise when ``path`` is taken; None: that kind as well.
        names: The entries that the body will make in it. A directory that has none of these, and others, is filled entry
            by entry. None: ``path`` must be empty.

    Raises:
        HubplugError: Of those kinds: ``path`` is taken, is not a local path, or cannot be written; what else the body raises
            goes through.
    """
    if scheme_of(path):
        raise kind(
            f"{redact(path)} is not a local path, and a module is put in its place with one rename",
            hint="give a local path",
        )
    target = Path(path)
    doing = "made"
    try:
        in_place = is_kept(target)
        place = target.absolute() if in_place else target.absolute().parent
        if in_place:
            _delete_abandoned(place)
        if (taken := names_taken(target, names)) is not None:
            there = f" and has {', '.join(taken)} in it" if taken else ""
            raise (occupied or kind)(
                f"{target} exists already{there}; nothing was written",
                hint=f"choose another directory, or remove {'these' if taken else 'that one'}",
            )
        target = target.absolute()
        with suppress(FileNotFoundError):
            target.lstat()  # says whether it can have that name
        target.parent.mkdir(parents=True, exist_ok=True)
        _delete_abandoned(place)
        with unfinished_directory(place, _label(_CONTENTS if in_place else target.name), _SUFFIX, 0o700) as staging:
            doing = "written"
            yield staging
            sync_tree(staging)
            staging.chmod(0o777 & ~_umask())
            try:
                if in_place:
                    move_contents(staging, target)
                else:
                    staging.rename(target)
            except OSError as error:
                came = error.errno in (errno.EEXIST, errno.ENOTEMPTY)
                raise (occupied if came and occupied else kind)(
                    f"{target} cannot be put in its place: {reason_of(error, target)}"
                ) from error
            sync_directory(place)
    except OSError as error:
        if isinstance(error, HubplugError):
            raise
        kept = "" if doing == "made" else "; nothing was kept"
        raise kind(f"{target} cannot be {doing}: {reason_of(error, target)}{kept}") from error


@contextmanager
def replace_file(target: Path) -> Iterator[BinaryIO]:
    """Yields a new file to be written, and makes it ``target`` when the body succeeds; a file that is there is replaced.

    A device or a pipe is written to, since a rename would take ``/dev/stdout`` away from everyone.

    Raises:
        OSError: The system could not write.
    """
    target = target.absolute()
    if _is_no_place(target):
        with open(target, "wb") as file:
            yield file
        return
    _delete_abandoned(target.parent)
    with unfinished_path(target.parent, _label(target.name), _SUFFIX) as partial, open(partial, "xb") as file:
        try_lock(file.fileno())
        yield file
        file.flush()
        os.fsync(file.fileno())
        if os.name == "nt":  # which renames no open file, and locks none either
            file.close()
        partial.replace(target)
    sync_directory(target.parent)


@contextmanager
def taking_turns(directory: Path, seconds: float = 30.0) -> Iterator[None]:
    """Lets one process after the other read a file in a directory and replace it; at once where nothing can be locked.

    Raises:
        TimeoutError: Another one was at it all the time.
        OSError: There is no such directory.
    """
    descriptor = os.open(directory, os.O_RDONLY) if os.name != "nt" else -1
    try:
        until = time.monotonic() + seconds
        while descriptor >= 0 and try_lock(descriptor) is False:
            if time.monotonic() > until:
                raise TimeoutError(errno.ETIMEDOUT, f"another process has held {directory} for {seconds:.0f} s")
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _is_no_place(target: Path) -> bool:
    """Whether a name stands for what is open or a device, and not for a place in a directory."""
    with suppress(OSError):
        mode = target.stat().st_mode
        is_open = target.is_symlink() and str(target.readlink()).startswith("/proc/")  # /dev/stdout is such a link
        return is_open or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return False


def _delete_abandoned(directory: Path) -> None:
    with suppress(OSError):  # one that may be written and not be read
        delete_abandoned(directory, _SUFFIX)


def _label(name: str) -> str:
    return f".{name[:_LABEL_LENGTH]}"


def _umask() -> int:
    # The only way to read it is to set it; a thread that makes a file in between gets the stricter mode.
    current = os.umask(0o077)
    os.umask(current)
    return current
