"""What things are called inside a cache directory.

An entry and its note are named as tensorflow_hub names them, so that an existing TFHUB_CACHE_DIR keeps its value. What
hubplug puts there while it works has endings of its own: ``<sha1>.lock`` and ``<sha1>.<uuid>.tmp`` are tensorflow_hub's.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path

LOCKS = ".hubplug-locks"
DAMAGED = ".hubplug.damaged"
DESCRIPTOR_SUFFIX = ".descriptor.txt"
FILLING = "filling"
REMOVED = "removed"
NOTE = f"{FILLING}.note"

_ENTRY = re.compile("[0-9a-f]{40}")
_REMOVED = re.compile(rf"(?P<entry>[0-9a-f]{{40}})\.(?P<time>[0-9]{{1,15}})\.[0-9a-f]{{8}}\.{REMOVED}")


def entry_name(key: str) -> str:
    """The name of the entry for a cache key: 40 hexadecimal digits."""
    return hashlib.sha1(key.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def is_entry_name(name: str) -> bool:
    return _ENTRY.fullmatch(name) is not None


def descriptor_of(entry: Path) -> Path:
    """The note for people beside an entry."""
    return entry.with_name(entry.name + DESCRIPTOR_SUFFIX)


def lock_of(entry: Path) -> Path:
    """The file whose lock keeps two processes from filling an entry at once."""
    return entry.parent / LOCKS / entry.name


def removed_name(entry: str, in_use: bool) -> str:
    """A fresh name for something that is to be deleted; it says since when, or 0 if no process may be using it."""
    return f"{entry}.{int(time.time()) if in_use else 0}.{os.urandom(4).hex()}.{REMOVED}"


def removal_time(name: str) -> int | None:
    """Seconds since the epoch at which something got a ``removed_name``; None for any other name."""
    match = _REMOVED.fullmatch(name)
    return int(match["time"]) if match else None
