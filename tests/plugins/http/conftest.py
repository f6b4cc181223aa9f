"""Two hosts on the loopback interface, and no proxy of the machine between them and a test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.servers import ScriptedServer

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in ("NETRC", *BUNDLES):
            monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer("127.0.0.1") as running:
        yield running


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    """The second host."""
    with ScriptedServer("127.0.0.2") as running:
        yield running
