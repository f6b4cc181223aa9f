"""A real module, a tree of modules, and a server of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hubplug_hosting import ModuleServer
from tests.plugins.hosting.trees import make_module, make_tree


@pytest.fixture
def module(tmp_path: Path) -> Path:
    return make_module(tmp_path / "module")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path)


@pytest.fixture
def server(tree: Path) -> Iterator[ModuleServer]:
    with ModuleServer(tree) as server:
        yield server
