"""What the tests of the core share: a Hub of small plugins, and installed distributions in a temporary directory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import hubplug
from tests.core.small_plugins import toy_plugins

TEXTS = {"a": "good a", "b": "bad b"}


@pytest.fixture
def log() -> list[str]:
    """Who was asked for what, in order."""
    return []


@pytest.fixture
def make_hub(tmp_path: Path, log: list[str]) -> Callable[..., hubplug.Hub]:
    """Makes a Hub of one small plugin per hook, after those that are given."""

    def make(*first: object, **settings: Any) -> hubplug.Hub:
        return hubplug.Hub({"chain": [], **settings}, plugins=[*first, *toy_plugins(tmp_path / "shelf", TEXTS, log)])

    return make


@pytest.fixture
def hub(make_hub: Callable[..., hubplug.Hub]) -> hubplug.Hub:
    return make_hub()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs a distribution: real modules and a real dist-info directory, on ``sys.path`` for the test."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(
        distribution: str,
        plugins: Mapping[str, str],
        code: str = "",
        *,
        version: str = "1.0",
        group: str = "hubplug",
        module: str | None = None,
    ) -> None:
        module = module or distribution.replace("-", "_")
        if code:
            (site / f"{module}.py").write_text(dedent(code))
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = "".join(f"{name} = {value}\n" for name, value in plugins.items())
        (info / "entry_points.txt").write_text(f"[{group}]\n{lines}")
        monkeypatch.delitem(sys.modules, module, raising=False)

    return install
