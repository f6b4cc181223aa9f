"""How long a client may take, and how many there may be: what uvicorn has no settings for.

A connection has a deadline until a request has arrived whole, another for each piece of an answer that it does not take, and is
ended when there are too many and it is the one that has waited for longest. Everything here runs in the thread of the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from dataclasses import dataclass, field
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from hubplug.shown.logs import logger

BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 21\r\n"
    b"Retry-After: 5\r\nConnection: close\r\n\r\nToo many connections\n"
)
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\n[ \t]")
_LOG = logger("hubplug.hosting.connections")
_LOG.addHandler(logging.NullHandler())


@dataclass(eq=False)
class Patience:
    """What the connections of one server share; see ``ModuleServer``."""

    header_timeout: float
    body_timeout: float
    max_connections: int
    tls: ssl.SSLContext | None = None
    waiting: dict[Any, None] = field(default_factory=dict)  # in the order in which they began to wait
    count: int = 0

    def protocol(self, *args: Any, **options: Any) -> asyncio.Protocol:
        """Makes the protocol of a connection; what uvicorn takes as its class of protocols."""
        spoken = PatientProtocol(self, *args, **options)
        return spoken if self.tls is None else Handshake(self, self.tls, spoken)

    def admit(self) -> bool:
        """Counts a connection; with too many, the one that has waited for longest is ended. False where none waits."""
        self.count += 1
        if self.count > self.max_connections:
            if not self.waiting:
                return False
            next(iter(self.waiting)).end()
        return True


class PatientProtocol(H11Protocol):
    """HTTP/1.1 with an end to every wait."""

    def __init__(self, patience: Patience, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # What uvicorn says of each odd request must not fill the standard error of a program that has set up no logging.
        self.logger = _LOG
        self._patience = patience
        self._refused = False
        self._request: asyncio.TimerHandle | None = None
        self._answer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if not self._patience.admit():
            self._refused = True
            transport.write(BUSY)
            self.end()
            return
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience.count -= 1
        self._cancel_request()
        self._cancel_answer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            super().data_received(data)

    def handle_events(self) -> None:
        # To go on in the next line is obsolete, and what servers make of it differs: nothing may hide there.
        if self.conn.their_state is h11.IDLE and _has_fold(self.conn.trailing_data[0]):
            self._refused = True
            self.send_400_response("A header goes on in the next line.")
            self.end()
            return
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._cancel_request()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """A client that has said all that it wants to say still gets its answer."""
        if self.scheme == "http" and self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return True
        return None

    def on_response_complete(self) -> None:
        self._await_request()
        super().on_response_complete()
        if self.transport.is_closing():
            self.end()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._allow_answer()

    def resume_writing(self) -> None:
        self._cancel_answer()
        super().resume_writing()

    def _await_request(self) -> None:
        self._cancel_request()
        self._patience.waiting[self] = None
        self._request = self.loop.call_later(self._patience.header_timeout, self.end)

    def end(self) -> None:
        """Closes the connection; what has not been sent by then gets as long as any piece of an answer."""
        self._cancel_request()
        self.transport.close()
        self._allow_answer()

    def _allow_answer(self) -> None:
        self._cancel_answer()
        self._answer = self.loop.call_later(self._patience.body_timeout, self.transport.abort)

    def _cancel_request(self) -> None:
        self._patience.waiting.pop(self, None)
        if self._request is not None:
            self._request.cancel()
            self._request = None

    def _cancel_answer(self) -> None:
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None


class Handshake(asyncio.Protocol):
    """The beginning of a connection with TLS: it counts, has to end in time, and goes over to HTTP."""

    def __init__(self, patience: Patience, context: ssl.SSLContext, spoken: PatientProtocol) -> None:
        self._patience = patience
        self._context = context
        self._spoken = spoken
        self._early = b""  # what came with the end of the handshake
        self._has_ended = False
        self._transport: asyncio.Transport | None = None
        self._work: asyncio.Task[asyncio.Transport | None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        if not self._patience.admit():
            self._patience.count -= 1
            transport.abort()
            return
        self._patience.waiting[self] = None
        loop = asyncio.get_running_loop()
        seconds = self._patience.header_timeout
        self._work = loop.create_task(
            loop.start_tls(transport, self, self._context, server_side=True, ssl_handshake_timeout=seconds)
        )
        self._work.add_done_callback(self._go_over)

    def data_received(self, data: bytes) -> None:
        self._early += data

    def eof_received(self) -> None:
        self._has_ended = True

    def end(self) -> None:
        """Gives the client up."""
        self._patience.waiting.pop(self, None)
        if self._work is not None:
            self._work.cancel()

    def _go_over(self, work: asyncio.Task[asyncio.Transport | None]) -> None:
        self._patience.count -= 1
        self._patience.waiting.pop(self, None)
        secure = None if work.cancelled() or work.exception() is not None else work.result()
        if secure is None or secure.is_closing() or self._has_ended:
            if self._transport is not None:
                self._transport.abort()
            return
        secure.set_protocol(self._spoken)
        self._spoken.connection_made(secure)
        if self._early:
            self._spoken.data_received(self._early)


def _has_fold(pending: bytes) -> bool:
    """Whether a line of the head that ``pending`` begins with goes on in the next one."""
    fold = _FOLD.search(pending)
    end = _END_OF_HEAD.search(pending) if fold else None
    return fold is not None and (end is None or fold.start() < end.start())
