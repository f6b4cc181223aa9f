"""What tests of the TF1 Hub format share: a Hub with only what they need, and modules on disk."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hubplug

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(autouse=True)
def hub() -> Iterator[hubplug.Hub]:
    hub = hubplug.Hub({"chain": ["file", "tf1"]})
    with hub.activate():
        yield hub


@pytest.fixture
def new_graph() -> Iterator[Any]:
    """A new default graph."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        yield graph


@pytest.fixture
def export_module() -> Callable[..., Path]:
    """Instantiates a spec (or handle), initializes it and exports it."""

    def export(spec: Any, path: Path, **arguments: Any) -> Path:
        import tensorflow as tf

        with tf.Graph().as_default():
            module = hubplug.Module(spec, **arguments)
            with tf.compat.v1.Session() as session:
                session.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])
                module.export(str(path), session)
        return path

    return export


@pytest.fixture
def published(request: pytest.FixtureRequest, shared_modules: Path, tmp_path: Path) -> tuple[Path, Any]:
    """A module that others published, named by the parameter, and its reference values by key."""
    import numpy as np

    name = request.param
    directory = shared_modules / name
    if not directory.is_dir():
        directory = tmp_path / name
        with tarfile.open(shared_modules / f"{name}.tar.gz") as archive:
            archive.extractall(directory, filter="data")
        for folder in (directory, *directory.rglob("*")):
            folder.chmod(0o755)
    return directory, np.load(shared_modules / f"{name}.ref.npz")


@pytest.fixture
def read_saved_model() -> Callable[[Path], Any]:
    """Parses ``saved_model.pb`` with TensorFlow's own proto."""

    def read(directory: Path) -> Any:
        from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

        return SavedModel.FromString((directory / "saved_model.pb").read_bytes())

    return read
