"""A real module, a tree of modules, and a server of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hubplug_hosting import ModuleServer, pack_module
from tests.plugins.hosting.trees import make_module


@pytest.fixture
def module(tmp_path: Path) -> Path:
    return make_module(tmp_path / "module")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two versions as directories, one as an archive, one without versions, and what must not be served beside it."""
    root = tmp_path / "tree"
    make_module(root / "publisher/model/1", 1.0)
    make_module(root / "publisher/model/9", 9.0)
    pack_module(make_module(tmp_path / "ten", 10.0), root / "publisher/model/10.tar.gz")
    make_module(root / "publisher/plain", 3.0)
    (root / "publisher/model/notes").mkdir()
    (root / "README.txt").write_text("not a module")
    (root / ".hidden").mkdir()
    make_module(root / ".hidden/secret/1")
    make_module(tmp_path / "outside/secret/1")
    (tmp_path / "outside/passwords.tar.gz").write_bytes(b"canary")
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "publisher/linked.tar.gz").symlink_to(tmp_path / "outside/passwords.tar.gz")
    return root


@pytest.fixture
def server(tree: Path) -> Iterator[ModuleServer]:
    with ModuleServer(tree) as server:
        yield server
