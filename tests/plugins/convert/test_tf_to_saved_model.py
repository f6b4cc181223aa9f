"""Modules in TF1 Hub format become SavedModels that are called, trained and served as TensorFlow 2's own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug
from hubplug.testing import write_tiny_module
from hubplug_convert import Request
from hubplug_convert._to_saved_model import ModuleToSavedModel
from hubplug_format import SavedModelFile
from tests.hard_module_kinds import HARD_KINDS
from tests.module_kinds import (
    KINDS,
    Define,
    batch_norm,
    dense_layer,
    export,
    random_numbers,
    several_signatures,
    vocabulary,
)
from tests.plugins.convert.conftest import Convert
from tests.plugins.convert.in_process import convert_here

pytestmark = pytest.mark.usefixtures("eager")

TO_SAVED_MODEL = "hubplug_convert._to_saved_model:ModuleToSavedModel"
OTHER_VALUES_EACH_TIME = "signature 'default', output 'default': the source gives other values each time"
REFUSED = {
    "dropout": OTHER_VALUES_EACH_TIME,
    "sampling_by_frequency": OTHER_VALUES_EACH_TIME,
}
WITH_GRADIENTS = (
    "dense_layer",
    "partitioned",
    "reference_variable",
    "sparse_text_embedding",
    "image_features",
    "batch_norm",
)


@pytest.mark.parametrize(
    "define",
    [define for define in [*KINDS, *HARD_KINDS] if define is not random_numbers],
    ids=lambda define: define.__name__,
)
def test_a_module_of_any_kind_is_the_same_or_refused_by_name(define: Define, tmp_path: Path) -> None:
    module = export(tf, hubplug, define, tmp_path)
    _, found = convert_here(module, tmp_path / "out", tmp_path, TO_SAVED_MODEL)
    if define.__name__ in REFUSED:
        assert any(problem.startswith(REFUSED[define.__name__]) for problem in found.problems), found.problems
        return
    assert found.problems == []
    for about in found.signatures.values():
        assert about.compared
        assert all(output.largest_difference <= 1e-5 for output in about.outputs.values())
        if define in KINDS:
            assert (about.gradients or "").startswith("equal for") == (define.__name__ in WITH_GRADIENTS)


def test_a_published_module_is_the_same(shared_modules: Path, tmp_path: Path) -> None:
    notes, found = convert_here(shared_modules / "DM21m", tmp_path / "out", tmp_path, TO_SAVED_MODEL)
    assert found.problems == []
    about = found.signatures["default"]
    assert all(output.largest_difference <= 1e-6 for output in about.outputs.values())
    assert (about.gradients or "").startswith("equal for 28 variables")
    assert "tensor_dict_rho_a instead of tensor_dict$rho_a" in notes[0]
    model = tf.saved_model.load(str(tmp_path / "out"))
    assert len(model.regularization_losses) == 12


def test_random_numbers_are_refused_by_name(convert: Convert, tmp_path: Path) -> None:
    """In a process of its own, since some of the inputs ask for more memory than there is."""
    module = export(tf, hubplug, random_numbers, tmp_path)
    status, report = convert(module, tmp_path / "out", "--to", "saved-model", "--json")
    assert status == 1
    assert report["problems"][0].startswith(OTHER_VALUES_EACH_TIME)
    assert not (tmp_path / "out").exists()


class OfAnotherModule(ModuleToSavedModel):
    """Alters the value of a variable by a little."""

    def convert(self, request: Request, dest: Path) -> Sequence[str]:
        with tempfile.TemporaryDirectory() as folder:
            other = write_tiny_module(Path(folder) / "other", scale=0.50002)
            return super().convert(replace(request, source=other), dest)


def test_a_value_that_was_altered_is_caught(module: Path, tmp_path: Path) -> None:
    _, found = convert_here(module, tmp_path / "out", tmp_path, f"{__name__}:OfAnotherModule")
    assert found.problems
    assert all("output 'default' is " in problem for problem in found.problems)
    _, found = convert_here(module, tmp_path / "good", tmp_path, TO_SAVED_MODEL)
    assert found.problems == []


def converted(define: Define, tmp_path: Path) -> Path:
    module = export(tf, hubplug, define, tmp_path)
    _, found = convert_here(module, tmp_path / "out", tmp_path, TO_SAVED_MODEL)
    assert found.problems == []
    shutil.rmtree(module)
    for text in tmp_path.glob("*.txt"):
        text.unlink()
    return tmp_path / "out"


def test_the_result_is_called_and_trained(tmp_path: Path) -> None:
    model = tf.saved_model.load(str(converted(dense_layer, tmp_path)))
    x = tf.ones([3, 4])
    (weights,) = model.trainable_variables
    assert [variable.name for variable in model.variables] == ["module/w:0"]
    for given in (x, {"default": x}):
        np.testing.assert_allclose(model(given), x @ weights, rtol=1e-6)
    (loss,) = model.regularization_losses
    np.testing.assert_allclose(loss(), np.sum(np.square(weights.numpy())) / 2, rtol=1e-6)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(x, training=True)) + loss()
    weights.assign_sub(0.1 * tape.gradient(total, weights))
    np.testing.assert_allclose(model(x), x @ weights, rtol=1e-6)


def test_update_ops_run_in_training_only(tmp_path: Path) -> None:
    model = tf.saved_model.load(str(converted(batch_norm, tmp_path)))
    mean = next(variable for variable in model.variables if "mean" in variable.name)
    assert not mean.trainable
    model(tf.ones([2, 4, 4, 2]))
    np.testing.assert_array_equal(mean, [0, 0])
    model(tf.ones([2, 4, 4, 2]), training=True)
    np.testing.assert_allclose(mean, [0.1, 0.1], rtol=1e-6)


def test_servers_find_the_signatures(tmp_path: Path) -> None:
    out = converted(several_signatures, tmp_path)
    signatures = SavedModelFile.read(out).variant({"serve"}).signatures
    assert {name for name in signatures if not name.startswith("__")} == {"default", "serving_default", "triple"}
    for name in ("default", "serving_default"):
        assert {key: (info.dtype, info.shape) for key, info in signatures[name].inputs.items()} == {
            "default": ("float32", (None,))
        }
        assert set(signatures[name].outputs) == {"default", "net/double"}
    assert set(signatures["triple"].inputs) == {"x"}


def test_vocabularies_come_along(tmp_path: Path) -> None:
    model = tf.saved_model.load(str(converted(vocabulary, tmp_path)))
    assert model(tf.constant(["b", "a"])).numpy().tolist() == [1, 0]


def test_tensorflow_hub_trains_it(tmp_path: Path) -> None:
    tensorflow_hub: Any = pytest.importorskip("tensorflow_hub")
    tf_keras: Any = pytest.importorskip("tf_keras")
    layer = tensorflow_hub.KerasLayer(str(converted(dense_layer, tmp_path)), trainable=True, input_shape=[4])
    model = tf_keras.Sequential([layer])
    model.compile("sgd", "mse")
    assert len(layer.losses) == 1
    before = layer.trainable_variables[0].numpy()
    model.fit(np.ones([8, 4], np.float32), np.ones([8, 2], np.float32), verbose=0)
    assert not np.array_equal(before, layer.trainable_variables[0])


def test_keras_loads_it_as_a_layer(tmp_path: Path) -> None:
    keras: Any = pytest.importorskip("keras")
    if not hasattr(keras.layers, "TFSMLayer"):
        pytest.skip("this Keras has no TFSMLayer")
    out = str(converted(dense_layer, tmp_path))
    x = np.ones([2, 4], np.float32)
    expected = tf.saved_model.load(out)(tf.constant(x)).numpy()
    layer = keras.layers.TFSMLayer(out, call_endpoint="serve", call_training_endpoint="train")
    np.testing.assert_allclose(layer(x), expected, rtol=1e-6)
    assert len(layer.trainable_variables) == 1
    served = keras.layers.TFSMLayer(out, call_endpoint="serving_default")
    np.testing.assert_allclose(served(x)["default"], expected, rtol=1e-6)
