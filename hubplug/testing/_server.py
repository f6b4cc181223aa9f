"""A scripted HTTP server on the loopback interface, with a log of what it was asked.

It speaks HTTP over plain sockets, so that a script decides about every byte: which framing a body has, where it is cut, how
slowly headers and bodies arrive. 127.0.0.1 and 127.0.0.2 serve as two hosts. Standard library only.

    with ScriptedServer() as server:
        server.on("/m/1", Reply(503, headers={"Retry-After": "0"}), Reply(body=archive, etag='"v1"'))
        fetch(server.url("/m/1"))
        assert [request.path for request in server.requests] == ["/m/1", "/m/1"]
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

REASONS = {200: "OK", 206: "Partial Content", 303: "See Other", 404: "Not Found", 416: "Range Not Satisfiable"}
_CHUNK = 16 << 10


@dataclass(frozen=True)
class Request:
    """What a client asked.

    Attributes:
        method: ``GET``, ``CONNECT``, ...
        target: As sent: path and query; a whole URL from the client of a proxy.
        headers: In order, as sent.
        peer: Address of the client.
        time: ``time.monotonic()`` when it had arrived.
        body: Its bytes; empty but for POST and the like.
    """

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    peer: tuple[str, int]
    time: float
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for one, value in self.headers if one.lower() == name.lower()), None)

    @property
    def text(self) -> str:
        """Everything that was sent, to look for secrets in."""
        return "\n".join([f"{self.method} {self.target}", *(f"{name}: {value}" for name, value in self.headers)])


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        status: Of HTTP.
        body: Its bytes.
        headers: Sent besides those that the framing and ``etag`` need; a value of None takes one of these away.
        framing: ``length``: HTTP/1.1 with Content-Length. ``chunked``: HTTP/1.1 in chunks. ``none``: HTTP/1.1, the end of
            the connection ends the body. ``http10``: HTTP/1.0 with Content-Length.
        etag: With its quotes.
        ranges: Whether Range is honoured (with If-Range), with 206 or 416.
        cut_at: The connection is closed after this many bytes of the body.
        reset: Whether it is reset then, not closed.
        silence: Seconds of silence before the head.
        stall_at: Silence begins after this many bytes of the body, until the client or the server goes away.
        drip: Bytes and seconds: the body arrives in pieces of that size with that pause.
        drip_from: The body's bytes before this one arrive at once.
        drip_head: Bytes and seconds, for the head.
        tunnel: Whether to answer CONNECT as a proxy does, and to pass bytes both ways until one side ends.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    framing: Literal["length", "chunked", "none", "http10"] = "length"
    etag: str | None = None
    ranges: bool = False
    cut_at: int | None = None
    reset: bool = False
    silence: float = 0.0
    stall_at: int | None = None
    drip: tuple[int, float] | None = None
    drip_from: int = 0
    drip_head: tuple[int, float] | None = None
    tunnel: bool = False


def redirect(location: str, status: int = 302, **headers: str) -> Reply:
    """A redirect."""
    return Reply(status, headers={"Location": location, **headers})


Answer = Reply | Callable[[Request], Reply]


class ScriptedServer:
    """Answers requests as its script says; a path without a script gets 404.

    Attributes:
        host: Where it listens.
        port: Chosen by the system.
        requests: What it was asked, in order.
        connections: How many were accepted.
    """

    def __init__(self, host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None) -> None:
        self.host = host
        self.requests: list[Request] = []
        self.connections = 0
        self._tls = tls
        self._scripts: dict[str, list[Answer]] = {}
        self._default: Answer = Reply(404, b"no such page\n", {"Content-Type": "text/plain"})
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((host, 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    def on(self, path: str, *answers: Answer) -> None:
        """Scripts a path: each request takes the next answer, and the last one stays."""
        with self._lock:
            self._scripts[path] = list(answers)

    def always(self, answer: Answer) -> None:
        """Scripts every path that has no script of its own."""
        self._default = answer

    def url(self, path: str = "/", *, host: str | None = None, userinfo: str = "") -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{userinfo + '@' if userinfo else ''}{host or self.host}:{self.port}{path}"

    def __enter__(self) -> ScriptedServer:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        # Closing a listener does not wake the thread that accepts on it; connecting does.
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1):
            pass
        self._listener.close()
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(one, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, peer = self._listener.accept()
            except OSError:
                return
            if self._closing.is_set():
                connection.close()
                return
            self.connections += 1
            self._start(self._serve, connection, peer)

    def _serve(self, connection: socket.socket, peer: tuple[str, int]) -> None:
        with self._lock:
            self._open.add(connection)
        raw = connection
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                with self._lock:
                    self._open.discard(raw)
                    self._open.add(connection)
            incoming = connection.makefile("rb")
            while (request := _read_request(incoming, peer)) is not None:
                with self._lock:
                    self.requests.append(request)
                    answers = self._scripts.get(request.path)
                    answer = self._default if not answers else answers.pop(0) if len(answers) > 1 else answers[0]
                if not self._send(connection, request, answer(request) if callable(answer) else answer):
                    break
        except (OSError, ValueError):
            pass  # the client has gone away, or did not like our certificate
        finally:
            with self._lock:
                self._open.discard(connection)
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            connection.close()

    def _send(self, connection: socket.socket, request: Request, reply: Reply) -> bool:
        """Sends an answer; whether the connection can be used again."""
        if reply.tunnel:
            self._tunnel(connection, request.target)
            return False
        reply = _for_range(request, reply)
        self._closing.wait(reply.silence)
        self._drip(connection, _head(reply), reply.drip_head)
        whole = _chunked(reply.body) if reply.framing == "chunked" else reply.body
        end = len(whole) if reply.cut_at is None else _offset(reply, reply.cut_at)
        stall = len(whole) if reply.stall_at is None else _offset(reply, reply.stall_at)
        sent = whole[: min(end, stall)]
        if reply.drip is None:
            connection.sendall(sent)
        else:
            connection.sendall(sent[: reply.drip_from])
            self._drip(connection, sent[reply.drip_from :], reply.drip)
        if reply.stall_at is not None:
            self._wait_for_end(connection)
        if reply.reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            connection.close()
        return reply.framing in ("length", "chunked") and reply.cut_at is None and reply.stall_at is None

    def _tunnel(self, connection: socket.socket, target: str) -> None:
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port)), 60) as there:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ends = {connection: there, there: connection}
            while not self._closing.is_set():
                for one in select.select(list(ends), [], [], 0.05)[0]:
                    data = one.recv(1 << 16)
                    if not data:
                        return
                    ends[one].sendall(data)

    def _drip(self, connection: socket.socket, data: bytes, pace: tuple[int, float] | None) -> None:
        if pace is None:
            connection.sendall(data)
            return
        size, pause = pace
        for at in range(0, len(data), size):
            if self._closing.wait(pause):
                return
            connection.sendall(data[at : at + size])

    def _wait_for_end(self, connection: socket.socket) -> None:
        connection.settimeout(0.05)
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                if not connection.recv(1):
                    return


def _read_request(incoming: object, peer: tuple[str, int]) -> Request | None:
    # The greeting of a TLS client need not hold a line break: one would wait for it for ever.
    if not incoming.peek(1)[:1].isalpha():  # type: ignore[attr-defined]
        return None
    read_line: Callable[[int], bytes] = incoming.readline  # type: ignore[attr-defined]
    line = read_line(1 << 16).decode("latin-1").strip()
    if not line:
        return None
    method, target, _ = line.split(" ", 2)
    headers = []
    while line := read_line(1 << 16).decode("latin-1").rstrip("\r\n"):
        name, _, value = line.partition(":")
        headers.append((name.strip(), value.strip()))
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    body: bytes = incoming.read(length)  # type: ignore[attr-defined]
    return Request(method, target, tuple(headers), peer, time.monotonic(), body)


def _for_range(request: Request, reply: Reply) -> Reply:
    wanted = re.fullmatch(r"bytes=(\d+)-", request.header("Range") or "")
    if not reply.ranges or wanted is None or reply.status != 200:
        return reply
    condition = request.header("If-Range")
    if condition is not None and (condition != reply.etag or condition.startswith("W/")):
        return reply
    start, total = int(wanted[1]), len(reply.body)
    if start >= total:
        return replace(reply, status=416, body=b"", headers={"Content-Range": f"bytes */{total}"})
    return replace(
        reply,
        status=206,
        body=reply.body[start:],
        headers={**reply.headers, "Content-Range": f"bytes {start}-{total - 1}/{total}"},
        cut_at=None if reply.cut_at is None else max(reply.cut_at - start, 0),
    )


def _head(reply: Reply) -> bytes:
    headers: dict[str, str | None] = {}
    if reply.framing in ("length", "http10"):
        headers["Content-Length"] = str(len(reply.body))
    elif reply.framing == "chunked":
        headers["Transfer-Encoding"] = "chunked"
    if reply.framing in ("none", "http10"):
        headers["Connection"] = "close"
    if reply.etag is not None:
        headers["ETag"] = reply.etag
    headers.update(reply.headers)
    version = "1.0" if reply.framing == "http10" else "1.1"
    lines = [f"HTTP/{version} {reply.status} {REASONS.get(reply.status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode("utf-8")


def _chunked(body: bytes) -> bytes:
    pieces = [body[at : at + _CHUNK] for at in range(0, len(body), _CHUNK)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _offset(reply: Reply, at: int) -> int:
    """Where the byte ``at`` of the body is in what is sent."""
    if reply.framing != "chunked":
        return at
    return len(_chunked(reply.body[:at])) - len(b"0\r\n\r\n") - (2 if at % _CHUNK else 0) if at else 0
