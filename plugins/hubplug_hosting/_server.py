"""``ModuleServer``: a tree of modules over HTTP, in a thread of this process."""

from __future__ import annotations

import os
import socket
import socketserver
import threading
from contextlib import suppress
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from hubplug.errors import ConfigError
from hubplug_hosting._artifacts import Artifacts
from hubplug_hosting._catalogue import all_places, is_module
from hubplug_hosting._connections import Connections
from hubplug_hosting._handler import Handler, Settings
from hubplug_hosting._members import opened_directory

_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 21\r\n"
    b"Retry-After: 5\r\nConnection: close\r\n\r\nToo many connections\n"
)


class ModuleServer:
    """Serves a directory of modules as hubplug and tensorflow_hub ask for them::

        with ModuleServer("models") as server:
            module = hubplug.Module(f"{server.url}publisher/model/1")

    ``models/publisher/model/1`` is a module directory, which is packed when it is first asked for, or an archive
    ``models/publisher/model/1.tar.gz``. A URL without a version means the newest one; a URL without the query
    ``tf-hub-format=compressed`` is a page for people. Meant for a local network or as the origin behind a proxy: it has
    neither TLS nor authentication.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        gs_location: str | None = None,
        header_timeout: float = 10.0,
        body_timeout: float = 60.0,
        max_connections: int = 128,
    ) -> None:
        """Binds the port; requests are answered between ``with`` and its end.

        Args:
            root: The directory that holds the modules.
            host: The address to listen on.
            port: 0 stands for any free one.
            gs_location: ``gs://bucket/path`` that holds the same tree unpacked: serves ``tf-hub-format=uncompressed``.
            header_timeout: Seconds for a request to arrive whole, and for an idle connection.
            body_timeout: Seconds for each 256 KiB of a response to be taken.
            max_connections: More than that, and the one idle for longest is ended.

        Raises:
            ConfigError: ``root`` is not a directory, or a module itself; the address cannot be used; ``gs_location``
                is not a gs:// location.
        """
        root = os.path.abspath(root)
        if gs_location is not None and not gs_location.startswith("gs://"):
            raise ConfigError(f"{gs_location!r} cannot hold uncompressed modules", hint="give gs://bucket/path")
        try:
            with opened_directory(root) as descriptor:
                if is_module(descriptor):
                    parent = Path(root).parent
                    raise ConfigError(
                        f"{root} is a module itself, and has no name below itself",
                        hint=f"serve {parent}: then {Path(root).name} is its name",
                    )
        except OSError as error:
            raise ConfigError(
                f"{root} cannot be served: {error.strerror}",
                hint="give the directory that has modules below it, each at PUBLISHER/MODEL/VERSION",
            ) from error
        self._connections = Connections(max_connections)
        self._artifacts = Artifacts(root)
        self._settings = Settings(root, self._artifacts, self._connections, gs_location, header_timeout, body_timeout)
        try:
            self._server = _Server((host, port), self._settings)
        except OSError as error:
            self._artifacts.close()
            raise ConfigError(f"Cannot listen on {host}:{port}: {error.strerror or error}") from error
        self._thread: threading.Thread | None = None
        self._root = root

    @property
    def url(self) -> str:
        """``http://host:port/``."""
        host, port = self._server.server_address[:2]
        shown = f"[{host!s}]" if ":" in str(host) else str(host)
        return f"http://{shown}:{port}/"

    def count_modules(self) -> int:
        """How many modules there are now."""
        return sum(1 for _ in all_places(self._root))

    def start(self) -> None:
        """Begins to respond."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="hubplug-serve", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Ends every connection and frees the port."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()
        self._connections.end_all()
        self._artifacts.close()

    def __enter__(self) -> ModuleServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Threads are ended by ending their connections; waiting for them could take as long as a client likes.
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], settings: Settings) -> None:
        self.settings = settings
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        # HTTPServer's own looks up the host's name, which can take long and is of no use here.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self.settings.connections.admit(request):
            request.settimeout(1)
            with suppress(OSError):
                request.sendall(_BUSY)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.settings.connections.leave(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing about clients that go away; the handler has logged what is the server's own."""
