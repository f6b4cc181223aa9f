"""Kaggle and its storage as two hosts of the loopback interface, and none of this machine's credentials."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hubplug
from hubplug.testing import ScriptedServer, archive_of, write_tiny_module
from hubplug_kaggle import Kaggle
from tests.plugins.kaggle.stand_in import StandIn

PATH = "google/nnlm/tensorFlow1/en-dim50"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in list(os.environ):
        if name.startswith("KAGGLE") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".kaggle").mkdir(parents=True)
    return tmp_path / "home" / ".kaggle"


@pytest.fixture
def storage() -> Iterator[ScriptedServer]:
    with ScriptedServer("127.0.0.2") as running:
        yield running


@pytest.fixture
def archives(tmp_path: Path) -> list[bytes]:
    return [archive_of(write_tiny_module(tmp_path / f"v{scale}", scale=float(scale))) for scale in (1, 2)]


@pytest.fixture
def kaggle(server: ScriptedServer, storage: ScriptedServer, archives: list[bytes]) -> StandIn:
    return StandIn(server, storage, {PATH: archives})


@pytest.fixture
def make_kaggle_hub(kaggle: StandIn, make_hub: Callable[..., hubplug.Hub]) -> Callable[..., hubplug.Hub]:
    """Makes a Hub that asks the stand-in; ``tfhub``: the address of tfhub.dev."""

    def make(*, tfhub: str = "", **settings: Any) -> hubplug.Hub:
        plugins = {"http": {"options": {"retries": 0}}, **settings.pop("plugins", {})}
        return make_hub(Kaggle(endpoint=kaggle.endpoint, tfhub=tfhub), plugins=plugins, **settings)

    return make
