"""How a directory or a file comes to be whole or not at all: it is filled beside its place and put there with one rename.

Only a directory that stays takes one rename for each of its entries.

Who fills one holds a flock on it, which dies with its process: what can be locked is left over, and the next one that is
made in the same directory deletes it.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import re
import secrets
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from hubplug.errors import HubplugError
from hubplug.files.durable import sync_directory, sync_tree
from hubplug.files.in_place import is_kept, move_contents, names_taken
from hubplug.files.space import note_room, reason_of
from hubplug.urls import redact, scheme_of

_SUFFIX = ".partial"
_CONTENTS = "contents"
_QUIET_SECONDS = 600.0
_POLL_SECONDS = 0.02
_LEFT_OVER = re.compile(rf"\..+\.([0-9a-f]{{8}})\.\w{{8}}{re.escape(_SUFFIX)}", re.DOTALL)
_TO_HOLD = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


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
        HubplugError: Of those kinds: ``path`` is taken, is no local path, or cannot be written; what else the body raises
            goes through.
    """
    if scheme_of(path):
        raise kind(
            f"{redact(path)} is no local path, and a module is put in its place with one rename",
            hint="give a local path",
        )
    target = Path(path)
    try:
        in_place = is_kept(target)
        beside = target.absolute() / _CONTENTS if in_place else target.absolute()
        if in_place:
            _delete_abandoned(target.absolute())
        if (taken := names_taken(target, names)) is not None:
            there = f" and has {', '.join(taken)} in it" if taken else ""
            raise (occupied or kind)(
                f"{target} exists already{there}; nothing was written",
                hint=f"choose another directory, or remove {'these' if taken else 'that one'}",
            )
        target = target.absolute()
        target.parent.mkdir(parents=True, exist_ok=True)
        _delete_abandoned(beside.parent)
        staging, held = _make_staging(beside)
    except OSError as error:
        if isinstance(error, HubplugError):
            raise
        raise kind(f"{target} cannot be made: {reason_of(error, target)}") from error
    try:
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
        sync_directory(beside.parent)
    except BaseException as error:
        note_room(error, staging)
        shutil.rmtree(staging, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, HubplugError):
            raise kind(f"{target} cannot be written: {reason_of(error, target)}; nothing was kept") from error
        raise
    finally:
        if held is not None:
            os.close(held)


@contextmanager
def replace_file(target: Path) -> Iterator[BinaryIO]:
    """Yields a new file to be written, and makes it ``target`` when the body succeeds; a file that is there is replaced.

    Raises:
        OSError: The system could not write.
    """
    target = target.absolute()
    _delete_abandoned(target.parent)
    partial, file = _make_partial(target)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if os.name == "nt":  # which renames no open file, and locks none either
                file.close()
            partial.replace(target)
    except BaseException as error:
        note_room(error, partial)
        with suppress(OSError):
            partial.unlink()
        raise
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
        while descriptor >= 0 and _is_taken(descriptor):
            if time.monotonic() > until:
                raise TimeoutError(errno.ETIMEDOUT, f"another process has held {directory} for {seconds:.0f} s")
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def last_change(root: Path) -> float:
    """When a file, or something below a directory, changed last, in seconds since the epoch; 0 if it is gone."""
    latest = 0.0
    below = (os.path.join(directory, name) for directory, _, names in os.walk(root) for name in (".", *names))
    for path in itertools.chain([os.fspath(root)], below):
        with suppress(OSError):  # it has vanished meanwhile: somebody is at work there, perhaps on another machine
            latest = max(latest, os.lstat(path).st_mtime)
    return latest


def _make_staging(target: Path) -> tuple[Path, int | None]:
    """A new directory beside ``target``, and the descriptor that holds it; None where nothing can be held."""
    while True:
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.{_host()}.", suffix=_SUFFIX, dir=target.parent))
        held = _hold(staging, wait=True)
        if held is None or _is_there(staging, held):
            return staging, held
        os.close(held)  # somebody took it for abandoned before it was held


def _make_partial(target: Path) -> tuple[Path, BinaryIO]:
    """A new file beside ``target``, held where that can be."""
    while True:
        partial = target.with_name(f".{target.name}.{_host()}.{secrets.token_hex(4)}{_SUFFIX}")
        file = open(partial, "xb")  # noqa: SIM115 (the caller closes it)
        if not _lock(file.fileno(), wait=True) or _is_there(partial, file.fileno()):
            return partial, file
        file.close()


def _is_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _delete_abandoned(directory: Path) -> None:
    """Deletes what dead processes left of their attempts at anything in a directory, as far as the system lets us."""
    try:
        names = os.listdir(directory)
    except OSError:  # one that may be written and not be read
        return
    for name in names:
        if (match := _LEFT_OVER.fullmatch(name)) is None:
            continue
        path = directory / name
        held = _hold(path, wait=False)
        if held is None:
            continue
        try:
            # A network file system may keep locks to the machine that took them.
            if match[1] == _host() or time.time() - last_change(path) > _QUIET_SECONDS:
                _delete(path, held)
        finally:
            os.close(held)


def _delete(path: Path, held: int) -> None:
    mode = os.fstat(held).st_mode
    if stat.S_ISDIR(mode):
        shutil.rmtree(path, ignore_errors=True)
    elif stat.S_ISREG(mode) and _is_there(path, held):  # and not renamed to its place a moment ago
        with suppress(OSError):
            path.unlink()


def _hold(path: Path, wait: bool) -> int | None:
    try:
        descriptor = os.open(path, _TO_HOLD)
    except OSError:
        return None
    if _lock(descriptor, wait):
        return descriptor
    os.close(descriptor)
    return None


def _lock(descriptor: int, wait: bool) -> bool:
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (ImportError, OSError):
        return False
    return True


def _is_taken(descriptor: int) -> bool:
    """Whether somebody else holds the lock; if not, it is ours now, unless nothing can be locked there."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):
        pass
    return False


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _umask() -> int:
    # The only way to read it is to set it; a thread that makes a file in between gets the stricter mode.
    current = os.umask(0o077)
    os.umask(current)
    return current
