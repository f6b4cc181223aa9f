"""When a server is given up on: it sends nothing, drips its headers, or stays below the least rate.

A socket's own timeout ends with every byte that arrives, so a server that drips is never caught by it. A ``Watch`` counts
what arrives while a caller waits for it, and shuts the connection down when that is too little. Time in which no caller
waits (the archive is being unpacked) does not count.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hubplug_http._options import ServerOptions

_LONGEST_NAP = 0.2  # seconds; a verdict may be late by this much


class Watch:
    """Watches the one transfer that runs over a connection.

    Attributes:
        options: The settings of the server.
        verdict: Why the connection was shut down, in words; None while all is well.
    """

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self._sockets: list[socket.socket] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._head_since: float | None = None
        self._body_since: float | None = None
        self._waited = 0.0
        self._received: deque[tuple[float, int]] = deque()
        self._recent = 0
        self.verdict: str | None = None

    def attach(self, connected: socket.socket) -> None:
        """Takes a connection into its care; TLS may be wrapped around it afterwards."""
        # A duplicate shuts down the same connection, whichever object holds the original descriptor by then.
        with self._changed:
            self._sockets.append(connected.dup())
            if self._head_since is not None:  # connecting has a time limit of its own
                self._head_since = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hubplug-http-watch", daemon=True)
                self._thread.start()

    @contextmanager
    def head(self) -> Iterator[None]:
        """Around sending a request and receiving the headers of its response."""
        with self._changed:
            self._head_since = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._head_since = None

    @contextmanager
    def body(self) -> Iterator[None]:
        """Around one read of the response's body."""
        with self._changed:
            self._body_since = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                assert self._body_since is not None
                self._waited += time.monotonic() - self._body_since
                self._body_since = None

    def received(self, size: int) -> None:
        """Counts bytes of the body."""
        with self._changed:
            self._recent += size
            grain = self.options.min_rate_window / 100
            if self._received and self._waited - self._received[-1][0] < grain:
                began, so_far = self._received.pop()
                self._received.append((began, so_far + size))
            else:
                self._received.append((self._waited, size))
            self._forget(self._waited)

    def drop(self) -> None:
        """Ends the connections: the server would not notice that theirs is closed as long as the duplicate is open."""
        with self._changed:
            for one in self._sockets:
                with suppress(OSError):  # the server has closed it already
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
            self._sockets.clear()

    def close(self) -> None:
        """Ends the connections and the watching."""
        self.drop()
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._closed and self.verdict is None:
                now = time.monotonic()
                self.verdict, due = self._judge(now)
                if self.verdict is not None:
                    for one in self._sockets:
                        with suppress(OSError):  # the server has closed it already
                            one.shutdown(socket.SHUT_RDWR)
                else:
                    # Waking this thread at every read would cost more than reading.
                    self._changed.wait(min(max(due - now, 0.001), _LONGEST_NAP))

    def _judge(self, now: float) -> tuple[str | None, float]:
        """The verdict, if it is time for one, and when to look again at the latest."""
        options = self.options
        if self._head_since is not None:
            due = self._head_since + options.read_timeout
            if now >= due:
                return f"did not finish the headers of its response within {options.read_timeout:g} s", now
            return None, due
        if self._body_since is None:
            return None, now + _LONGEST_NAP
        waited = self._waited + now - self._body_since
        window = options.min_rate_window
        if waited < window:
            return None, now + window - waited
        self._forget(waited)
        if self._recent < options.min_rate * window:
            return f"sent {self._recent:,} bytes in {window:g} s, less than {options.min_rate:g} bytes/s", now
        # The rate can only fall below the least one when something is forgotten.
        oldest = self._received[0][0] if self._received else waited
        return None, now + max(oldest + window - waited, window / 50)

    def _forget(self, waited: float) -> None:
        while self._received and self._received[0][0] < waited - self.options.min_rate_window:
            self._recent -= self._received.popleft()[1]
