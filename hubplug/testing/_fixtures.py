"""Fixtures for the tests of plugins."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hubplug.hub import Hub
from hubplug.settings.config import DEFAULT
from hubplug.testing._modules import archive_of, write_tiny_module
from hubplug.testing._server import ScriptedServer


@pytest.fixture
def isolated_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No setting of this machine reaches the test, and what it caches goes into a folder of its own: the value."""
    for name in list(os.environ):
        if name.startswith(("TFHUB_", "HUBPLUG_")):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(home / "modules"))
    monkeypatch.setenv("no_proxy", "127.0.0.1,127.0.0.2,localhost")
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    return home / "modules"


@pytest.fixture
def make_hub(isolated_environment: Path) -> Callable[..., Hub]:
    """Makes a Hub of given plugin objects, before the built-in plugins: ``make_hub(MyPlugin(), offline=True)``.

    Keyword arguments are sections of hubplug.yaml, ``chain`` among them. Plugins that happen to be installed stay out.
    """

    def make(*plugins: object, **settings: Any) -> Hub:
        return Hub({"chain": DEFAULT["chain"], **settings}, plugins=plugins)

    return make


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A scripted HTTP server on the loopback interface."""
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections, and that no other program gets meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def tiny_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a tiny module in TF1 Hub format; see ``write_tiny_module``."""
    return write_tiny_module(tmp_path_factory.mktemp("tiny") / "module")


@pytest.fixture
def tiny_archive(tiny_module: Path) -> bytes:
    """The same as a tar.gz archive."""
    return archive_of(tiny_module)
