"""The directory in which an entry is filled, and how others tell whether somebody is still at it.

Its name says who fills it: host, process, when that process started, and on which machine that number means something.
Where the owner is on this machine, that decides. Otherwise the owner holds a flock on the directory, which dies with it;
and where flock cannot be relied on (network file systems), a tree that has not changed for ten minutes is nobody's.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import socket
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hubplug.files.staging import last_change
from hubplug_cache._layout import FILLING

_NAME = re.compile(
    r"(?P<entry>[0-9a-f]{40})\.(?P<host>[A-Za-z0-9_-]*)\.(?P<pid>[0-9]+)\.(?P<start>[0-9]+)"
    rf"\.(?P<machine>[0-9a-f]{{8}})\.(?P<began>[0-9]+)\.[0-9a-f]{{8}}\.{FILLING}"
)
_QUIET_SECONDS = 600.0
_PF_EXITING = 0x4  # of the kernel's sched.h
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True)
class Owner:
    """Who fills an entry, as read from the name of a staging directory.

    Attributes:
        host: The host name, for people.
        pid: The process id there.
        start: When that process started, in the kernel's ticks since boot; 0 where nobody can say.
        machine: Tells apart the systems (and containers) in which ``pid`` and ``start`` mean something.
        began: When the filling began, in seconds since the epoch.
    """

    host: str
    pid: int
    start: int
    machine: str
    began: int


class Staging:
    """An empty directory beside an entry, made and held by this process."""

    def __init__(self, entry: Path) -> None:
        """Makes the directory.

        Raises:
            OSError: The system could not make it.
        """
        self.path = entry.with_name(staging_name(entry.name))
        os.mkdir(self.path, 0o755)
        self._descriptor = _hold(self.path)

    def close(self) -> None:
        """Lets go of the directory, wherever it is now."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read_owner(name: str) -> tuple[str, Owner] | None:
    """The entry that a staging directory is for and who owns it; None if the name is not that of a staging directory."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    host = match["host"].replace("_", ".")
    return match["entry"], Owner(host, int(match["pid"]), int(match["start"]), match["machine"], int(match["began"]))


def is_abandoned(path: Path, owner: Owner) -> bool:
    """Whether nobody is at a staging directory any more."""
    if owner.machine == machine_id():
        start = process_start(owner.pid)
        if start is None:
            return True
        if start and owner.start:
            return start != owner.start
    held = _is_held(path)
    if held or (held is False and owner.machine == machine_id()):
        return not held
    return time.time() - last_change(path) > _QUIET_SECONDS


def process_start(pid: int) -> int | None:
    """When a process of this system started, in ticks; 0 if it runs and nobody can say; None if there is none."""
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
    except OSError:
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


def size_of(path: Path) -> int:
    """Bytes in all files below a directory."""
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(directory, name)).st_size
            except OSError:
                continue
    return total


def staging_name(entry: str) -> str:
    """A fresh name for what this process writes for an entry; ``read_owner`` reads it."""
    host = re.sub("[^A-Za-z0-9-]", "_", socket.gethostname())[:60]
    start = process_start(os.getpid()) or 0
    owner = f"{host}.{os.getpid()}.{start}.{machine_id()}.{int(time.time())}"
    return f"{entry}.{owner}.{os.urandom(4).hex()}.{FILLING}"


def _hold(path: Path) -> int | None:
    try:
        import fcntl

        descriptor = os.open(path, _DIRECTORY)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _is_held(path: Path) -> bool | None:
    """Whether a process holds a staging directory; None where nobody can say."""
    try:
        import fcntl

        descriptor = os.open(path, _DIRECTORY)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return True if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN) else None
    finally:
        os.close(descriptor)
    return False
