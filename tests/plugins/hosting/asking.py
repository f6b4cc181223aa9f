"""Requests over real sockets, exactly as they are given."""

from __future__ import annotations

import http.client
import socket
import ssl

from hubplug_hosting import ModuleServer

COMPRESSED = "?tf-hub-format=compressed"
LIMIT = 200.0  # seconds: more than the busiest machine needs


class Answer:
    """What came back for a request."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.body = response.read()
        self.headers = response.headers

    @property
    def text(self) -> str:
        return self.body.decode()


def ask(
    server: ModuleServer, path: str, method: str = "GET", tls: ssl.SSLContext | None = None, **headers: str
) -> Answer:
    """One request with the path exactly as given."""
    address = server.url.split("/")[2]
    connection = (
        http.client.HTTPConnection(address, timeout=LIMIT)
        if tls is None
        else http.client.HTTPSConnection(address, timeout=LIMIT, context=tls)
    )
    try:
        connection.putrequest(method, path, skip_accept_encoding=True, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        return Answer(connection.getresponse())
    finally:
        connection.close()


def raw(server: ModuleServer, request: bytes) -> bytes:
    """What comes back for any bytes, until the server closes."""
    host, port = server.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=LIMIT) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
        return answer
