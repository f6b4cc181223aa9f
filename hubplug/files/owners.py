"""Names that say who makes a directory or a file, and whether that process is still at work.

Such a name has host, process, when that process started, and on which machine these numbers mean something. Where the
owner is on this machine, that decides. Otherwise the owner holds a flock on what it makes, which dies with it; and where
flock cannot be relied on (network file systems), what has not changed for ten minutes is abandoned.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_QUIET_SECONDS = 600.0
_PF_EXITING = 0x4  # of the kernel's sched.h
_TO_HOLD = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_OWNED = re.compile(
    r"(?P<label>.+)\.(?P<host>[A-Za-z0-9_-]*)\.(?P<pid>[0-9]+)\.(?P<start>[0-9]+)"
    r"\.(?P<machine>[0-9a-f]{8})\.(?P<began>[0-9]+)\.[0-9a-f]{8}\.(?P<suffix>[a-z.]+)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Owner:
    """Who makes something, as read from its name.

    Attributes:
        label: What it is for.
        host: The host name, for people.
        pid: The process id there.
        start: When that process started, in the kernel's ticks since boot; 0 where that is not known.
        machine: Tells apart the systems (and containers) in which ``pid`` and ``start`` mean something.
        began: When the making began, in seconds since the epoch.
    """

    label: str
    host: str
    pid: int
    start: int
    machine: str
    began: int


def owned_name(label: str, suffix: str) -> str:
    """A fresh name for something that this process makes; ``read_owner`` reads it."""
    host = re.sub("[^A-Za-z0-9-]", "_", socket.gethostname())[:60]
    start = process_start(os.getpid()) or 0
    return f"{label}.{host}.{os.getpid()}.{start}.{machine_id()}.{int(time.time())}.{os.urandom(4).hex()}.{suffix}"


def read_owner(name: str, suffix: str) -> Owner | None:
    """Who makes what has a name; None if that was not made by ``owned_name`` with this suffix."""
    match = _OWNED.fullmatch(name)
    if match is None or match["suffix"] != suffix:
        return None
    host = match["host"].replace("_", ".")
    return Owner(match["label"], host, int(match["pid"]), int(match["start"]), match["machine"], int(match["began"]))


def is_abandoned(path: Path, owner: Owner) -> bool:
    """Whether something is abandoned."""
    is_here = owner.machine == machine_id()
    if is_here:
        start = process_start(owner.pid)
        if start is None:
            return True
        if start and owner.start:
            return start != owner.start
    held = _is_held(path)
    if held or (held is False and is_here):
        return not held
    return time.time() - last_change(path) > _QUIET_SECONDS


def hold(path: Path) -> int | None:
    """Takes the lock of something that this process makes.

    Returns:
        The descriptor whose closing ends that; None where nothing can be locked.
    """
    try:
        descriptor = os.open(path, _TO_HOLD)
    except OSError:
        return None
    if try_lock(descriptor):
        return descriptor
    os.close(descriptor)
    return None


def try_lock(descriptor: int) -> bool | None:
    """Takes the lock of an open file or directory: False if another process has it, None where nothing can be locked."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except (ImportError, OSError):
        return None
    return True


def last_change(root: Path) -> float:
    """When a file, or something below a directory, changed last, in seconds since the epoch; 0 if it is gone."""
    latest = 0.0
    below = (os.path.join(directory, name) for directory, _, names in os.walk(root) for name in (".", *names))
    for path in itertools.chain([os.fspath(root)], below):
        with suppress(OSError):  # it has vanished meanwhile: a process is at work there, perhaps on another machine
            latest = max(latest, os.lstat(path).st_mtime)
    return latest


def process_start(pid: int) -> int | None:
    """When a process of this system started, in ticks; 0 if it runs and that is not known; None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return start_in(file.read())
    except (OSError, IndexError, ValueError):
        pass
    if os.name == "nt":  # there, signal 0 is Ctrl-C
        return 0
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except (OSError, OverflowError):
        pass
    return 0


def start_in(stat: bytes) -> int | None:
    """When a process started, in ticks, from its ``/proc/PID/stat``; None if it has ended or begun to.

    A process that ends lets go of its locks while it still counts as running: whoever waited for them finds it so.

    Raises:
        IndexError, ValueError: It is not in the format of Linux (``man 5 proc_pid_stat``).
    """
    # The second field is the program's name, in parentheses, and may hold anything.
    fields = stat.rpartition(b")")[2].split()
    if fields[0] in (b"Z", b"X") or int(fields[6]) & _PF_EXITING:
        return None
    return int(fields[19])


@cache
def machine_id() -> str:
    """Names the system in which process ids mean something: host, boot, and process namespace."""
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        pass
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _is_held(path: Path) -> bool | None:
    """Whether a process holds something; None where that is not known."""
    try:
        descriptor = os.open(path, _TO_HOLD)
    except OSError:
        return None
    try:
        taken = try_lock(descriptor)
        return None if taken is None else not taken
    finally:
        os.close(descriptor)
