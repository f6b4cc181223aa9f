"""The lock that saves double work: one process fills an entry, the others wait for it.

Nothing depends on it. Where it cannot be had (a file system without locks, a lock file of another user) several processes
may fill one entry at once, and the first to publish wins. It dies with its holder.
"""

from __future__ import annotations

import inspect
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hubplug.errors import CacheError
from hubplug.files.owners import read_owner
from hubplug.shown.logs import logger
from hubplug_cache._layout import FILLING, lock_of

if TYPE_CHECKING:
    from filelock import BaseFileLock

_LOG = logger("hubplug.cache")
_POLL_SECONDS = 0.05
_SILENT_SECONDS = 1.0

T = TypeVar("T")


@contextmanager
def lock_or_result(entry: Path, timeout: float, result: Callable[[], T | None]) -> Iterator[T | None]:
    """Waits until no other process fills an entry.

    Args:
        entry: The place of the entry.
        timeout: Seconds after which to give up.
        result: Returns the filled entry, or None while there is none. Asked while waiting and again under the lock.

    Yields:
        What ``result`` returned; or None: the caller is to fill the entry, and no other process does until the block ends.

    Raises:
        CacheError: Another process held the lock all the time; says which.
    """
    lock = _lock(lock_of(entry))
    if lock is None:
        yield result()
        return
    held, found = _wait(lock, entry, timeout, result)
    try:
        yield found if found is not None or not held else result()
    finally:
        if held:
            try:
                lock.release(force=True)
            except OSError as error:
                _LOG.info("the lock on %s ends with this process: %s", entry, error)


def describe_holder(entry: Path) -> str:
    """Who fills an entry at the moment, since when, and how far it is, for people."""
    try:
        work = [
            (owner, name)
            for name in os.listdir(entry.parent)
            if (owner := read_owner(name, FILLING)) and owner.label == entry.name
        ]
    except OSError:
        work = []
    if not work:
        return "another process, which has not begun to write"
    owner, name = max(work, key=lambda pair: pair[0].began)
    age = max(time.time() - owner.began, 0)
    so_far = _size_of(entry.with_name(name)) / 1e6
    return f"process {owner.pid} on {owner.host}, since {age:.0f} s, {so_far:.1f} MB so far"


def _size_of(directory: Path) -> int:
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def _wait(lock: BaseFileLock, entry: Path, timeout: float, result: Callable[[], T | None]) -> tuple[bool, T | None]:
    """Whether the lock is held, and the result that made it needless."""
    from filelock import Timeout

    began = time.monotonic()
    told = False
    while True:
        try:
            lock.acquire(timeout=0)
            return True, None
        except Timeout:
            pass
        except (OSError, NotImplementedError) as error:
            _LOG.info("going on without a lock on %s: %s", entry, error)
            return False, result()
        if (found := result()) is not None:
            return False, found
        waited = time.monotonic() - began
        if waited >= timeout:
            raise CacheError(
                f"Gave up after {waited:.0f} s of waiting for {entry} to be filled by {describe_holder(entry)} "
                f"(lock {lock_of(entry)})",
                hint="end that process if it hangs, or raise lock_timeout of the cache in hubplug.yaml",
            )
        if not told and waited >= min(_SILENT_SECONDS, timeout / 2):
            told = True
            _LOG.warning(
                "waiting for %s, which is being filled by %s; gives up in %.0f s",
                entry,
                describe_holder(entry),
                timeout - waited,
            )
        time.sleep(min(_POLL_SECONDS, max(timeout - waited, 0.001)))


def _lock(path: Path) -> BaseFileLock | None:
    from filelock import FileLock

    try:
        path.parent.mkdir(exist_ok=True)
        if not stat.S_ISDIR(os.lstat(path.parent).st_mode):
            raise NotADirectoryError(f"{path.parent} is not a directory")
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            raise OSError(f"{path} is not a file")
    except OSError as error:
        _LOG.info("going on without the lock %s: %s", path, error)
        return None
    # Newer releases would take a mere file for a lock where there is no flock, and that outlives its holder.
    has_fallback = "fallback_to_soft" in inspect.signature(type(FileLock).__call__).parameters
    return FileLock(path, fallback_to_soft=False) if has_fallback else FileLock(path)
