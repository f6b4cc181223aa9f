"""``ModuleServer``: a tree of modules over HTTP, served by uvicorn in a thread of this process."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from hubplug.errors import ConfigError, needs
from hubplug.in_effect import current_hub
from hubplug.shown.logs import logger
from hubplug_hosting._catalogue import all_places
from hubplug_hosting._members import opened_directory
from hubplug_hosting._tree import ModuleTree

with needs("uvicorn", "serve"), needs("starlette", "serve"), needs("jinja2", "serve"):
    import uvicorn

    from hubplug_hosting._access import Gate
    from hubplug_hosting._access import read_tokens as read_tokens
    from hubplug_hosting._app import ModuleApp, Settings
    from hubplug_hosting._artifacts import Artifacts, WorkFolder
    from hubplug_hosting._descriptions import Descriptions
    from hubplug_hosting._protocol import Patience
with needs("markdown_it", "serve"), needs("nh3", "serve"):
    import markdown_it  # noqa: F401
    import nh3  # noqa: F401

_LOG = logger("hubplug.hosting")
_BACKLOG = 1024


class ModuleServer:
    """Serves a directory of modules as hubplug and tensorflow_hub ask for them::

        with ModuleServer("models") as server:
            module = hubplug.Module(f"{server.url}publisher/model/1")

    ``models/publisher/model/1`` is a module directory, which is packed when it is first asked for, or an archive
    ``models/publisher/model/1.tar.gz``. A URL without a version means the newest one; a URL without the query
    ``tf-hub-format=compressed`` is a page for people, or JSON for ``Accept: application/json``.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        gs_location: str | None = None,
        tokens: Sequence[str] = (),
        certificate: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        root_path: str = "",
        trusted_proxies: Sequence[str] = (),
        work: str | os.PathLike[str] | None = None,
        log: Callable[[str], None] | None = None,
        header_timeout: float = 10.0,
        body_timeout: float = 60.0,
        max_connections: int = 512,
        grace: float = 0.0,
    ) -> None:
        """Binds the port; requests are answered between ``with`` and its end.

        Args:
            root: The directory that holds the modules.
            host: The address to listen on.
            port: 0 stands for any free one.
            gs_location: ``gs://bucket/path`` that holds the same tree unpacked: serves ``tf-hub-format=uncompressed``.
            tokens: Who has one of them gets an answer, as a bearer or as the password of any user; none: everybody does.
            certificate: PEM file with the certificate and its chain: serves https.
            key: PEM file with its key; None: it is in the same file.
            root_path: What the path of every URL begins with behind a proxy: ``/hub``.
            trusted_proxies: Addresses whose ``X-Forwarded-Proto`` and ``X-Forwarded-For`` count.
            work: A directory of this user alone that keeps what was packed and described; None: a temporary one.
            log: Takes one line for each request; None: the logger ``hubplug.hosting`` does, at level INFO.
            header_timeout: Seconds for a request to arrive whole, and for an idle connection.
            body_timeout: Seconds for each 256 KiB of a response to be taken.
            max_connections: More than that, and the one idle for longest is ended.
            grace: Seconds that downloads get to end when the server stops.

        Raises:
            ConfigError: ``root`` is not a directory, or a module itself; the address cannot be used; another argument is
                not what it should be.
            MissingDependencyError: The extra ``serve`` is not installed.
        """
        root = os.path.abspath(root)
        if gs_location is not None and not gs_location.startswith("gs://"):
            raise ConfigError(f"{gs_location!r} cannot hold uncompressed modules", hint="give gs://bucket/path")
        if root_path and (not root_path.startswith("/") or root_path.endswith("/") or "//" in root_path):
            raise ConfigError(f"{root_path!r} is not a root path", hint="give one like /hub")
        hub = current_hub()
        tree = ModuleTree.of(root, hub)
        _check_root(tree)
        context = _tls_context(certificate, key)
        self._tree = tree
        self._scheme = "https" if certificate is not None else "http"
        self._work = WorkFolder(work)
        try:
            self._socket = _bound(host, port)
        except ConfigError:
            self._work.close()
            raise
        self._address = self._socket.getsockname()
        self._descriptions = Descriptions(hub, self._work)
        app = ModuleApp(
            Settings(
                tree,
                Artifacts(tree, self._work),
                self._descriptions,
                Gate(tokens),
                gs_location,
                root_path,
                log or _LOG.info,
            )
        )
        self._patience = Patience(header_timeout, body_timeout, max_connections, context)
        config = uvicorn.Config(
            app,
            http=self._patience.protocol,  # type: ignore[arg-type]
            loop="asyncio",
            ws="none",
            lifespan="off",
            interface="asgi3",
            workers=1,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
            backlog=_BACKLOG,
            timeout_keep_alive=int(header_timeout) + 1,  # the protocol's own comes first
            timeout_graceful_shutdown=max(int(grace), 0),
        )
        logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """``http://host:port/``."""
        host, port = self._address[:2]
        shown = f"[{host!s}]" if ":" in str(host) else str(host)
        return f"{self._scheme}://{shown}:{port}/"

    def count_modules(self) -> int:
        """How many modules there are now."""
        return sum(1 for _ in all_places(self._tree))

    def start(self) -> None:
        """Begins to respond."""
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="hubplug-serve", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Ends every connection, downloads after their grace, and frees the port."""
        if self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._thread = None
        self._socket.close()
        self._descriptions.close()
        self._work.close()

    def stop_at_once(self) -> None:
        """Lets a ``stop`` that is under way wait no longer."""
        self._server.force_exit = True

    def __enter__(self) -> ModuleServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _check_root(tree: ModuleTree) -> None:
    root = tree.root
    try:
        with opened_directory(root) as descriptor:
            if tree.is_module(descriptor):
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


def _tls_context(
    certificate: str | os.PathLike[str] | None, key: str | os.PathLike[str] | None
) -> ssl.SSLContext | None:
    if certificate is None:
        if key is not None:
            raise ConfigError("A key was given without its certificate")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"The certificate {os.fspath(certificate)} cannot be used: {getattr(error, 'reason', None) or error.strerror}",
            hint="give PEM files: the certificate with its chain, and its key",
        ) from error
    return context


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        # Whoever connects from now on is answered when the thread runs.
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise ConfigError(f"Cannot listen on {host}:{port}: {error.strerror or error}") from error
    return bound
