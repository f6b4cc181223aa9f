"""Modules to apply, and files of rows. Tests of pipelines are collected where Beam is installed: by the tox environment `beam`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import hubplug

ROOT = Path(__file__).resolve().parents[3]

collect_ignore_glob = [] if find_spec("apache_beam") and find_spec("tensorflow") else ["test_tf_*.py"]


@pytest.fixture(autouse=True)
def hub() -> Iterator[hubplug.Hub]:
    hub = hubplug.Hub({"chain": ["file", "tf1", "savedmodel"]})
    with hub.activate():
        yield hub


@pytest.fixture(scope="session")
def text_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The text embedding of the quickstart."""
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        import quickstart
    finally:
        sys.path.remove(str(ROOT / "examples"))
    with hubplug.Hub({"chain": ["file", "tf1"]}).activate():
        published: Path = quickstart.publish(tmp_path_factory.mktemp("text"))
    return published


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., str]:
    """Exports a module out of functions that build signatures; its path."""

    def export(*signatures: Callable[[], Any], name: str = "module") -> str:
        import tensorflow as tf

        def module_fn() -> None:
            for build in signatures:
                build()

        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            module = hubplug.Module(hubplug.create_module_spec(module_fn))
            session.run(tf.compat.v1.global_variables_initializer())
            module.export(str(tmp_path / name), session)
        return str(tmp_path / name)

    return export
