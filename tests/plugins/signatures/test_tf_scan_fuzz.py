"""The same as in test_scan_fuzz.py, with modules of every kind that TensorFlow and hubplug write."""

from __future__ import annotations

import importlib
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.module_kinds import KINDS, export
from tests.plugins.signatures.mutations import run_trials
from tests.plugins.signatures.test_tf_legitimate_modules import save_tf1, save_tf2

pytestmark = pytest.mark.tensorflow


def save_tf1_with_saver(tf: Any, path: Path, sharded: bool) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        y = x * v1.get_variable("v", initializer=2.0)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(path))
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        saver = v1.train.Saver(sharded=sharded)
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, saver=saver)
        builder.save()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of modules."""
    import tensorflow as tf
    from tensorflow.python.eager import context

    import hubplug

    directory, files = tmp_path_factory.mktemp("modules"), tmp_path_factory.mktemp("files")
    for define in KINDS:
        (files / define.__name__).mkdir()
        export(tf, hubplug, define, files / define.__name__).rename(directory / define.__name__)
    save_tf1(tf, directory / "tf1_table", files)
    for sharded in (False, True):
        save_tf1_with_saver(tf, directory / f"tf1_saver_{sharded}", sharded)
    with context.eager_mode():
        save_tf2(tf, directory / "tf2", files)
        tf.saved_model.save(tf.saved_model.load(str(directory / "tf2")), str(directory / "tf2_again"))
        if find_spec("tf_keras"):  # of no pre-release
            keras = importlib.import_module("tf_keras")
            model = keras.Sequential([keras.layers.LSTM(4, input_shape=(None, 3)), keras.layers.Dense(2)])
            tf.saved_model.save(model, str(directory / "keras"))
    return directory


@pytest.fixture
def modules(exported: Path, tmp_path: Path) -> list[Path]:
    shutil.copytree(exported, tmp_path / "modules")
    return sorted((tmp_path / "modules").iterdir())


def test_unsafe_ops_are_found_wherever_they_are_put(modules: list[Path]) -> None:
    figures = run_trials(modules, 400, seed=12)
    assert figures.missed == []
    assert figures.alarms == []


@pytest.mark.soak
def test_unsafe_ops_are_found_wherever_they_are_put_10000_times(modules: list[Path]) -> None:
    figures = run_trials(modules, 10_000, seed=120)
    print(figures)
    assert figures.missed == []
    assert figures.alarms == []
