"""The command, conversions of a third party that are really installed, and a place to convert to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import hubplug
from hubplug.cli.main import hubplug as command
from hubplug.testing import write_tiny_module
from tests.plugins.convert import toys

Convert = Callable[..., tuple[int, Any]]


@pytest.fixture(autouse=True)
def hub() -> Iterator[hubplug.Hub]:
    hub = hubplug.Hub({"chain": ["file", "tf1", "savedmodel", "signatures"]})
    with hub.activate():
        yield hub


@pytest.fixture(autouse=True)
def installed_toys(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that offers each of the toys as a target."""
    site = tmp_path_factory.mktemp("site")
    info = site / "toys-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    names = [name for name, value in vars(toys).items() if isinstance(value, type) and hasattr(value, "convert")]
    lines = "".join(f"tf1-hub.{name} = {toys.__name__}:{name}\n" for name in names)
    (info / "entry_points.txt").write_text(f"[hubplug.conversions]\n{lines}")
    monkeypatch.syspath_prepend(str(site))


@pytest.fixture
def module(tmp_path: Path) -> Path:
    return write_tiny_module(tmp_path / "module", scale=0.5)


@pytest.fixture
def convert() -> Convert:
    """Runs the command; its status, and its report (or what it says on standard error)."""

    def run(*arguments: object) -> tuple[int, Any]:
        try:
            runner = CliRunner(mix_stderr=False)  # type: ignore[call-arg]
        except TypeError:  # click 8.2 always keeps the two apart
            runner = CliRunner()
        result = runner.invoke(command, ["convert", *map(str, arguments)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        if result.exit_code == 2:
            return 2, result.stderr
        return result.exit_code, json.loads(result.stdout) if "--json" in arguments else result.stdout

    return run
