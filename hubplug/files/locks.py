"""Locks and forks: a child has only the thread that forked, and must not wait for one that held a lock in the parent."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from weakref import WeakSet


class ForkLock:
    """A reentrant lock. In a forked child it is free, unless the thread that forked holds it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _locks.add(self)

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Takes the lock, as ``threading.RLock`` does."""
        return self._lock.acquire(blocking, timeout)

    def release(self) -> None:
        """Gives the lock back."""
        self._lock.release()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()

    def free_in_child(self) -> None:
        """Takes the lock away from a thread that is not there."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            self._lock = threading.RLock()


_locks: WeakSet[ForkLock] = WeakSet()


def _free_locks() -> None:
    for lock in list(_locks):
        lock.free_in_child()


os.register_at_fork(after_in_child=_free_locks)
