"""What hangs on names of urllib3 that are its own affair: where one of them is gone, nothing is sent."""

from __future__ import annotations

import inspect
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import FunctionType

import pytest
import urllib3.connection
import urllib3.connectionpool
import urllib3.poolmanager

from hubplug.errors import FetchError, PluginError
from tests.plugins.http.driving import ARCHIVE, bring
from tests.servers import Reply, ScriptedServer

MODULES = (urllib3.connection, urllib3.connectionpool, urllib3.poolmanager)


def rename(monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    """Makes of urllib3 one that calls something otherwise, wherever it uses it, and works as before."""
    for module in MODULES:
        for owner in (module, *(kind for _, kind in inspect.getmembers(module, inspect.isclass))):
            for name, value in list(vars(owner).items()):
                if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                    names = tuple(new if one == old else one for one in value.__code__.co_names)
                    monkeypatch.setattr(value, "__code__", value.__code__.replace(co_names=names))
                if name == old:
                    monkeypatch.setattr(owner, new, value, raising=False)
                    monkeypatch.delattr(owner, old)


@pytest.mark.parametrize("name", ["_new_conn", "ConnectionCls", "pool_classes_by_scheme"])
@pytest.mark.parametrize("through", ["nothing", "a proxy"])
def test_without_a_name_that_the_watch_hangs_on_nothing_is_sent(
    name: str, through: str, server: ScriptedServer, other: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("/m", Reply(body=ARCHIVE))
    rename(monkeypatch, name, f"{name}_of_a_later_release")
    import requests

    assert requests.get(server.url("/m"), timeout=60).content == ARCHIVE  # it is a urllib3 that works
    server.requests.clear()
    with pytest.raises(
        PluginError, match=rf"cannot watch its connections with urllib3 {urllib3.__version__}"
    ) as caught:
        bring(server.url("/m"), retries=0, proxy="none" if through == "nothing" else other.url(""))
    assert "urllib3<=" in str(caught.value.hint)
    assert (server.requests, other.requests) == ([], [])


@pytest.fixture
def socks_proxy() -> Iterator[str]:
    """A SOCKS5 proxy (RFC 1928) for one connection to an IPv4 address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def serve() -> None:
        with suppress(OSError), listener.accept()[0] as client:
            client.recv(2 + client.recv(2, socket.MSG_PEEK | socket.MSG_WAITALL)[1], socket.MSG_WAITALL)
            client.sendall(b"\x05\x00")
            asked = client.recv(10, socket.MSG_WAITALL)
            with socket.create_connection((socket.inet_ntoa(asked[4:8]), int.from_bytes(asked[8:10], "big"))) as target:
                client.sendall(b"\x05\x00\x00\x01" + bytes(6))
                back = threading.Thread(target=pump, args=(target, client))
                back.start()
                pump(client, target)
                back.join()

    running = threading.Thread(target=serve)
    running.start()
    with listener:
        yield f"socks5://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    running.join()


def test_a_server_that_drips_behind_a_socks_proxy_is_given_up_on(server: ScriptedServer, socks_proxy: str) -> None:
    pytest.importorskip("socks")
    server.on("/m", Reply(body=ARCHIVE, drip_head=(1, 0.5)))
    with pytest.raises(FetchError, match="did not finish the headers of its response"):
        bring(server.url("/m"), proxy=socks_proxy, read_timeout=3, retries=0)
