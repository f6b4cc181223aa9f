"""What code does to the world while it runs: sockets, files, processes, by Python's audit events."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# Not socket.bind: importing urllib3 binds one to see whether there is IPv6, and nothing leaves the machine by that.
_NETWORK = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
            "shutil.rmtree", "tempfile.mkstemp", "tempfile.mkdtemp"}  # fmt: skip
_PROCESSES = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Deed:
    """One thing that was done.

    Attributes:
        kind: ``network``, ``write`` or ``process``.
        what: The audit event and its first argument.
    """

    kind: str
    what: str


class _Watch(threading.local):
    deeds: list[Deed] | None = None


_watch = _Watch()
_installed = threading.Lock()


@contextmanager
def watching() -> Iterator[list[Deed]]:
    """Collects what the body does in this thread; a list that grows.

    Imports may write byte code: what ends in ``.pyc`` or lies in ``__pycache__`` is left out.
    """
    # An audit hook cannot be taken away again, so there is one for the process, silent outside of a watch.
    if _installed.acquire(blocking=False):
        sys.addaudithook(_hear)
    before, _watch.deeds = _watch.deeds, []
    try:
        yield _watch.deeds
    finally:
        _watch.deeds = before


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    deeds = _watch.deeds
    if deeds is None:
        return
    kind = _kind(event, arguments)
    first = str(arguments[0]) if arguments else ""
    if kind and "__pycache__" not in first and not first.endswith(".pyc"):
        deeds.append(Deed(kind, f"{event} {first}"))


def _kind(event: str, arguments: tuple[Any, ...]) -> str | None:
    if event in _NETWORK:
        return "network"
    if event in _CHANGES:
        return "write"
    if event in _PROCESSES:
        return "process"
    if event == "open":
        file, mode, flags = arguments
        if isinstance(file, int):  # it is open already, and was heard of by its name
            return None
        writes = isinstance(flags, int) and flags & _WRITING
        return "write" if writes or (mode and set(mode) & set("wax+")) else None
    return None
