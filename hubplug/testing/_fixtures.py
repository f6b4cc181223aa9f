"""Fixtures for the tests of plugins."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hubplug.hub import Hub
from hubplug.testing._modules import archive_of, write_tiny_module
from hubplug.testing._server import ScriptedServer

# Brings what a test hosts on the loopback interface, and keeps it in the test's own cache.
_CHAIN = ["cache", "file", "http", "archive", "tf1"]


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
    return home / "modules"


@pytest.fixture
def make_hub(isolated_environment: Path) -> Callable[..., Hub]:
    """Makes a Hub of given plugin objects, before the built-in plugins: ``make_hub(MyPlugin(), offline=True)``.

    Keyword arguments are sections of hubplug.yaml. Plugins that happen to be installed stay out.
    """

    def make(*plugins: object, **settings: Any) -> Hub:
        return Hub({"chain": _CHAIN, **settings}, plugins=plugins)

    return make


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A scripted HTTP server on the loopback interface."""
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def tiny_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a tiny module in TF1 Hub format; see ``write_tiny_module``."""
    return write_tiny_module(tmp_path_factory.mktemp("tiny") / "module")


@pytest.fixture
def tiny_archive(tiny_module: Path) -> bytes:
    """The same as a tar.gz archive."""
    return archive_of(tiny_module)
