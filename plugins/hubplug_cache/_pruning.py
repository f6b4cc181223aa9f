"""Which entries go when a cache must shrink, and how they go without disturbing those who read."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from hubplug.errors import CacheError
from hubplug.files.unfinished import delete
from hubplug_cache._catalogue import Listed
from hubplug_cache._layout import descriptor_of
from hubplug_cache._sweeping import set_aside
from hubplug_cache._trouble import cache_error, ownership, who_asks


def choose_victims(
    entries: Sequence[Listed], now: float, max_size: int | None = None, older_than: float | None = None
) -> list[Listed]:
    """Decides which entries a pruning removes.

    Args:
        entries: What there is.
        now: Seconds since the epoch.
        max_size: Bytes that may remain: damaged entries go first, then the least recently used.
        older_than: Seconds: what was not used for longer goes.

    Returns:
        The entries to be removed, in the order in which they go.
    """
    victims = [] if older_than is None else [entry for entry in entries if now - entry.last_used > older_than]
    if max_size is not None:
        rest = [entry for entry in entries if entry not in victims]
        remaining = sum(entry.size for entry in rest)
        for entry in sorted(rest, key=lambda entry: (entry.state != "damaged", entry.last_used)):
            if remaining <= max_size:
                break
            victims.append(entry)
            remaining -= entry.size
    return victims


def remove(paths: Iterable[Path], grace: float) -> dict[Path, CacheError]:
    """Removes entries with their notes: no process finds them any more, and after the grace period they are deleted.

    A process that ends within the grace period leaves the deleting to the next one that fills an entry. An entry that
    this user may not delete stays as it is.

    Returns:
        The entries that could not be removed, and why.
    """
    aside: dict[Path, Path] = {}
    failed: dict[Path, CacheError] = {}
    for path in paths:
        if (foreign := _find_foreign_directory(path)) is not None:
            failed[path] = cache_error("remove", foreign, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
            continue
        try:
            aside[path] = set_aside(path, in_use=True)
        except FileNotFoundError:
            continue
        except OSError as error:
            failed[path] = cache_error("remove", path, error)
            continue
        delete(descriptor_of(path))
    if aside:
        time.sleep(grace)
    for path, moved in aside.items():
        delete(moved)
        if os.path.lexists(moved):
            failed[path] = CacheError(
                f"Cannot remove {path}: it is out of sight, but {moved} could not be deleted; it is {ownership(moved)}; "
                f"{who_asks()}"
            )
    return failed


def _find_foreign_directory(path: Path) -> Path | None:
    """A directory of an entry that belongs to another user and lets no one else delete what is in it."""
    if path.is_symlink() or not hasattr(os, "geteuid"):
        return None
    for folder, _, _ in os.walk(path):
        if not os.access(folder, os.W_OK | os.X_OK) and os.lstat(folder).st_uid != os.geteuid():
            return Path(folder)
    return None
