"""Connections that are watched from their first byte on, or not used at all."""

from __future__ import annotations

import http.client
import socket
from importlib.metadata import version
from ipaddress import ip_address
from typing import Any

from requests.adapters import HTTPAdapter

from hubplug.errors import PluginError
from hubplug.settings.certificates import Bundle
from hubplug_http._failures import PrivateAddress
from hubplug_http._stall import Watch


class WatchedAdapter(HTTPAdapter):
    """An adapter whose connections are handed to a watch as soon as they are made; it sends nothing over others."""

    def __init__(self, watch: Watch, allow_private: bool) -> None:
        self._watch = watch
        self._allow_private = allow_private
        self.bundle: Bundle | None = None
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _watch_pools(self.poolmanager, self._watch, public_only=not self._allow_private)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        _watch_pools(manager, self._watch, public_only=False)  # the address is the proxy's
        return manager

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        if not hasattr(pool, "is_watched"):
            raise _unwatched()
        return pool

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        if verify and self.bundle is not None:  # requests takes a file or a directory, OpenSSL both
            conn.ca_certs, conn.ca_cert_dir = self.bundle.file, self.bundle.directory


class _FinalResponse(http.client.HTTPResponse):
    """The response after the informational ones (RFC 9110, section 15.2); http.client passes over 100 only.

    The watch ends a row of them that does not end.
    """

    def begin(self) -> None:
        super().begin()
        while 101 < self.status < 200:
            self.headers = None  # type: ignore[assignment]  # as at the start
            super().begin()


def _watch_pools(manager: Any, watch: Watch, *, public_only: bool) -> None:
    """Makes a pool manager hand its connections to a watch.

    ``_new_conn``, ``ConnectionCls`` and ``pool_classes_by_scheme`` are urllib3's own affair: where one of them means nothing any
    more, nothing is sent.
    """

    class Watched:
        response_class = _FinalResponse
        is_watched = False

        def _new_conn(self) -> socket.socket:
            sock: socket.socket = super()._new_conn()  # type: ignore[misc]
            # What a name stands for may change between two look-ups: the address that counts is the one connected to.
            if public_only and not is_public(sock.getpeername()[0]):
                sock.close()
                raise PrivateAddress
            watch.attach(sock)
            self.is_watched = True
            return sock

        def connect(self) -> None:
            self.is_watched = False
            super().connect()  # type: ignore[misc]
            if not self.is_watched:
                raise _unwatched()
            self.is_verified = True  # keeps urllib3 from warning a second time; the plugin warns in its own words

    def watched(pool: Any) -> Any:
        if hasattr(pool, "is_watched"):
            return pool
        connection = type("Connection", (Watched, pool.ConnectionCls), {})
        return type("Pool", (pool,), {"ConnectionCls": connection, "is_watched": True})

    try:
        pools = manager.pool_classes_by_scheme
        manager.pool_classes_by_scheme = {scheme: watched(pool) for scheme, pool in pools.items()}
    except AttributeError:
        raise _unwatched() from None


def _unwatched() -> PluginError:
    return PluginError(
        f"The plugin http cannot watch its connections with urllib3 {version('urllib3')} and requests {version('requests')}, "
        "so a server could keep it waiting for ever; nothing was sent",
        hint="upgrade hubplug, or install an older urllib3 (pip install 'urllib3<=2.8')",
    )


def is_public(address: str) -> bool:
    """Whether an address is one that everybody can reach."""
    return ip_address(address.partition("%")[0]).is_global
