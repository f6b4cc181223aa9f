"""A proxy before a store on loopback that loses replies: the store does what it is asked, and its client never hears of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

_NOT_PASSED_ON = {"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"}


@dataclass(frozen=True)
class Asked:
    """One request: ``target`` is unquoted, ``body`` as it came."""

    method: str
    target: str
    body: bytes

    def sends(self, name: str) -> bool:
        """Whether it brings a file whole: S3 has its name in the target, Google's store in the body."""
        if self.method == "POST" and "/upload/" in self.target:
            return f'"{name}"'.encode() in self.body
        return self.method == "PUT" and self.target.partition("?")[0].endswith(f"/{name}")


Condition = Callable[[Asked], bool]


class LossyProxy:
    """What goes to a store and comes back.

    Attributes:
        url: Where it listens.
        asked: Each request that came, in order.
        loses: Whether the reply to a request is lost; asked when the store has answered.
        refuses: A status to be answered in the store's place, or None; asked before the store sees the request.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.loses: Condition = lambda asked: False
        self.refuses: Callable[[Asked], int | None] = lambda asked: None

    def count(self, condition: Condition) -> int:
        return sum(condition(asked) for asked in self.asked)


def once(condition: Condition) -> Condition:
    """What is true for the first request that fits, and no other."""
    lock = threading.Lock()
    seen: list[Asked] = []

    def fits(asked: Asked) -> bool:
        with lock:
            if seen or not condition(asked):
                return False
            seen.append(asked)
            return True

    return fits


def once_each(condition: Condition) -> Condition:
    """What is true for the first request of each target that fits."""
    lock = threading.Lock()
    seen: set[tuple[str, str]] = set()

    def fits(asked: Asked) -> bool:
        with lock:
            if (asked.method, asked.target) in seen or not condition(asked):
                return False
            seen.add((asked.method, asked.target))
            return True

    return fits


@contextmanager
def lossy_proxy(store: str) -> Iterator[LossyProxy]:
    """Runs one before a store at an http URL."""
    address = urlsplit(store).netloc
    proxy: LossyProxy

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, unquote(self.path), body)
            proxy.asked.append(asked)
            if status := proxy.refuses(asked):
                self._answer(status, {}, b"<Error><Code>x</Code><Message>no</Message></Error>")
                return
            connection = HTTPConnection(address, timeout=60)
            try:
                connection.request(self.command, self.path, body, dict(self.headers))
                reply = connection.getresponse()
                content = reply.read()
                headers = dict(reply.getheaders())
            finally:
                connection.close()
            if proxy.loses(asked):
                self.close_connection = True
                return
            # What the store says of itself leads past the proxy.
            content = content.replace(store.encode(), proxy.url.encode())
            headers = {name: value.replace(store, proxy.url) for name, value in headers.items()}
            self._answer(reply.status, headers, content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

        def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in _NOT_PASSED_ON:
                    self.send_header(name, value)
            length = {key.lower(): value for key, value in headers.items()}.get("content-length", "0")
            self.send_header("Content-Length", length if self.command == "HEAD" else str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                with suppress(ConnectionError):  # the client may have seen enough
                    self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        proxy = LossyProxy(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
