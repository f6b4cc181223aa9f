"""How many clients there may be, and how long each may take: neither idle nor dripping ones keep others out."""

from __future__ import annotations

import io
import socket
import threading
import time
from contextlib import suppress


class Connections:
    """The open connections, up to a number; a new one beyond it takes the place of the one that has waited longest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        # In the order in which they began to wait for a request; a busy one is None.
        self._since: dict[socket.socket, float | None] = {}

    def admit(self, connection: socket.socket) -> bool:
        """Takes a new connection in; False when all others are busy."""
        with self._lock:
            if len(self._since) >= self._most:
                waiting = {other: since for other, since in self._since.items() if since is not None}
                if not waiting:
                    return False
                self._end(min(waiting, key=lambda other: waiting[other]))
            self._since[connection] = time.monotonic()
            return True

    def set_busy(self, connection: socket.socket, busy: bool) -> None:
        """Notes that a request has arrived whole, or that the next one is waited for."""
        with self._lock:
            if connection in self._since:
                self._since[connection] = None if busy else time.monotonic()

    def leave(self, connection: socket.socket) -> None:
        """Forgets a connection that has ended."""
        with self._lock:
            self._since.pop(connection, None)

    def end_all(self) -> None:
        """Ends every connection, in whatever it is."""
        with self._lock:
            for connection in list(self._since):
                self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        del self._since[connection]
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


class DeadlineReader(io.RawIOBase):
    """Reads from a socket until a point in time, however the bytes come."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline = 0.0

    def allow(self, seconds: float) -> None:
        """Sets the deadline, from now."""
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        rest = self._deadline - time.monotonic()
        if rest <= 0:
            raise TimeoutError("the request took too long")
        self._connection.settimeout(rest)
        return self._connection.recv_into(buffer)  # type: ignore[arg-type]
