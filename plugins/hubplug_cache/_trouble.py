"""What to say when the system refuses: which object, whose it is, who is asking, and what to do next."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from hubplug.errors import CacheError
from hubplug.files.space import FULL, how_to_make_room, nearest_existing, reason_of

_REFUSED = {errno.EACCES, errno.EPERM}
_TOO_MANY_FILES = {errno.EMFILE, errno.ENFILE}
_DISK = {*FULL, *_REFUSED, *_TOO_MANY_FILES, errno.EIO, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.ENOTEMPTY}
_ELSEWHERE = "set TFHUB_CACHE_DIR, or the option dir of the cache in hubplug.yaml, to a directory of your own"


def is_disk_error(error: OSError) -> bool:
    """Whether a system error is about the disk, and not about a network connection, which is an OSError as well."""
    return error.errno in _DISK


def cache_error(doing: str, path: Path, error: OSError, *, hint: str | None = None) -> CacheError:
    """A system error as a CacheError.

    Args:
        doing: What was tried: ``write``, ``read``, ...
        path: On what.
        error: What the system said.
        hint: What to do next; None: what helps where ``path`` is in a cache.
    """
    reason = reason_of(error, path)
    if error.errno in FULL:
        made = CacheError(f"Cannot {doing} {path}: {reason}", hint=f"{how_to_make_room(reason)}, or {_ELSEWHERE}")
    elif error.errno in _REFUSED:
        nearest = nearest_existing(path)
        whose = f"{path} is {ownership(path)}" if nearest == path else f"{nearest} is {ownership(nearest)}"
        made = CacheError(f"Cannot {doing} {path}: {reason}; {whose}; {who_asks()}", hint=_ELSEWHERE)
    elif error.errno == errno.EROFS:
        made = CacheError(
            f"Cannot {doing} {path}: {reason}; {who_asks()}",
            hint=f"{_ELSEWHERE}; or set read_only: true for this one and put a writable cache behind it",
        )
    elif error.errno in _TOO_MANY_FILES:
        made = CacheError(f"Cannot {doing} {path}: {reason}", hint="close files, or raise the limit with ulimit -n")
    elif error.errno == errno.ENOTDIR:
        nearest = nearest_existing(path)
        made = CacheError(f"Cannot {doing} {path}: {nearest} is not a directory", hint=_ELSEWHERE)
    elif error.errno == errno.ENOENT and not os.path.lexists(path):  # of /proc, /sys and the like, which takes nothing
        nearest = nearest_existing(path)
        made = CacheError(f"Cannot {doing} {path}: {reason}; {nearest} takes no new directory", hint=_ELSEWHERE)
    else:
        made = CacheError(f"Cannot {doing} {path}: {reason}", hint=_ELSEWHERE)
    made.errno = error.errno
    made.hint = hint or made.hint
    return made


def ownership(path: Path) -> str:
    """Owner and mode of something: ``owned by alice (uid 1000), mode 0755``."""
    try:
        status = os.lstat(path)
    except OSError as error:
        return f"unreadable ({error.strerror})"
    return f"owned by {user_name(status.st_uid)}, mode {stat.S_IMODE(status.st_mode):04o}"


def who_asks() -> str:
    """Who this process is: ``you are bob (uid 1001)``."""
    return f"you are {user_name(os.geteuid())}" if hasattr(os, "geteuid") else "you are another user"


def user_name(uid: int) -> str:
    """A user for people: ``alice (uid 1000)``."""
    try:
        import pwd

        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except (ImportError, KeyError):
        return f"uid {uid}"
