"""Hands items from one thread to the next, a few at a time; a failure on either side reaches the other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_CAPACITY = 8


class Broken(Exception):
    """The thread on the other side has given up; its own error says why."""


class Relay(Generic[T]):
    """A bounded queue with an end."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._broken = False

    def put(self, item: T) -> None:
        """Waits for room, then hands the item on.

        Raises:
            Broken: The other side has given up.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._broken or len(self._items) < _CAPACITY)
            if self._broken:
                raise Broken
            self._items.append(item)
            self._changed.notify()

    def close(self) -> None:
        """Says that all has been handed on."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def give_up(self) -> None:
        """Ends the relay on both sides; what is in it is dropped."""
        with self._changed:
            self._broken = True
            self._items.clear()
            self._changed.notify()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._broken or self._items or self._closed)
                if self._broken:
                    raise Broken
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify()
            yield item


class Worker:
    """A thread that consumes a relay, and breaks it when it fails."""

    def __init__(self, work: Callable[[Relay[T]], None], relay: Relay[T]) -> None:
        """Starts ``work(relay)``."""
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work, relay), name="hubplug-unpack", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Waits for the end; ``error`` is then what it failed with, or None."""
        self._thread.join()

    def _run(self, work: Callable[[Relay[T]], None], relay: Relay[T]) -> None:
        try:
            work(relay)
        except BaseException as error:
            self.error = error
            relay.give_up()
