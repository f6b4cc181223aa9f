"""The arguments of ``KerasLayer``, and every way to hold them wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug
from hubplug.errors import HubplugError, UnknownTagsError
from hubplug_keras import layer_class

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("eager")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"signature": "embed"},
            "When using a signature, either output_key or signature_outputs_as_dict=True should be set.",
        ),
        (
            {"signature": "embed", "output_key": "words", "signature_outputs_as_dict": True},
            "When using a signature, either output_key or signature_outputs_as_dict=True should be set.",
        ),
        ({"signature_outputs_as_dict": True}, "signature_outputs_as_dict is only valid if specifying a signature"),
        (
            {"signature": "no", "output_key": "words"},
            r"Unknown signature no in .* \(available signatures: \['embed'\]\)",
        ),
        (
            {"signature": "embed", "output_key": "words", "arguments": {"a": 1}},
            "arguments={'a': 1} cannot be passed on: the signature 'embed' takes its inputs only",
        ),
        ({"tags": ["train"]}, r"No such graph variant: graph variants here: \['serve'\]"),
        ({"_sentinel": "x"}, "by position, and got a fourth: 'x'"),
    ],
)
def test_what_does_not_fit_together_is_refused_at_construction(
    layer: Any, embedding: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        layer(embedding, **options)
    assert isinstance(caught.value, HubplugError)
    assert isinstance(caught.value, UnknownTagsError) == ("tags" in options)


@pytest.mark.parametrize("options", [{"tags": ["serve"]}, {"load_options": tf.saved_model.LoadOptions()}])
def test_an_object_has_been_loaded_already(layer: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Passing a callable handle is mutually exclusive with setting"):
        layer(lambda inputs: inputs, **options)


@pytest.mark.parametrize("handle", [None, 3, b"/m"])
def test_what_is_neither_text_nor_callable_is_no_handle(layer: Any, handle: Any) -> None:
    with pytest.raises(ValueError, match="Expected a string, got"):
        layer(handle)


def test_a_callable_without_signatures_has_none(layer: Any) -> None:
    with pytest.raises(ValueError, match="Loaded object has no signatures"):
        layer(lambda inputs: inputs, signature="default", output_key="default")


def test_a_saved_model_that_cannot_be_called_says_which_signatures_there_are(layer: Any, tmp_path: Any) -> None:
    root = tf.Module()
    root.f = tf.function(lambda x: {"doubled": 2 * x}, input_signature=[tf.TensorSpec([None], name="x")])
    tf.saved_model.save(root, str(tmp_path / "m"), signatures={"double": root.f})
    with pytest.raises(ValueError, match="cannot be called, and no signature was given") as caught:
        layer(str(tmp_path / "m"))
    assert "'double'" in str(caught.value.hint)
    made = layer(str(tmp_path / "m"), signature="double", output_key="doubled")
    assert made([1.0, 2.0]).numpy().tolist() == [2.0, 4.0]
    assert made(np.array([1.0])).numpy().tolist() == [2.0]


def test_a_signature_gives_one_output_or_all(layer: Any, embedding: str) -> None:
    assert layer(embedding, signature="embed", output_key="words")(["a"]).numpy().tolist() == [b"a"]
    outputs = layer(embedding, signature="embed", signature_outputs_as_dict=True)(tf.constant(["b"]))
    assert sorted(outputs) == ["embedded", "words"]
    assert outputs["words"].numpy().tolist() == [b"b"]
    assert layer(embedding, signature="embed", output_key="words")({"words": tf.constant(["a"])}).numpy().tolist() == [
        b"a"
    ]


def test_an_output_key_has_to_be_one_of_a_dict(layer: Any, embedding: str) -> None:
    with pytest.raises(ValueError, match=r"Specifying `output_key` is forbidden if output type .* is not a dict"):
        layer(embedding, output_key="words")(["a"])
    with pytest.raises(
        ValueError, match=r"does not contain the output key none \(available: \['embedded', 'words'\]\)"
    ):
        layer(embedding, signature="embed", output_key="none")(["a"])


def test_the_signature_of_a_saved_model_is_not_trained(layer: Any, embedding: str) -> None:
    made = layer(embedding, signature="embed", output_key="embedded", trainable=True)
    with pytest.raises(ValueError, match="trainable = True is unsupported where a SavedModel signature is called"):
        made(["a"])
    made.trainable = False
    assert made(["a"]).shape == (1, 2)


def test_trainable_without_variables_to_train_is_an_error_in_the_log_once(
    layer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    made = layer(lambda inputs: inputs, trainable=True)
    for _ in range(2):
        made(tf.constant([1.0]))
    said = [record for record in caplog.records if "zero trainable weights" in record.getMessage()]
    assert [record.levelname for record in said] == ["ERROR"]


def test_arguments_reach_the_object_and_training_does_if_it_takes_it(layer: Any) -> None:
    seen: list[Any] = []

    class Scaled:
        trainable_variables = variables = (tf.Variable(1.0),)

        def __call__(self, inputs: Any, factor: float, training: bool) -> Any:
            seen.append(training)
            return factor * inputs

    made = layer(Scaled(), trainable=True, arguments={"factor": 3.0})
    inputs = tf.constant([1.0])
    assert made(inputs).numpy().tolist() == [3.0]
    made(inputs, training=True)
    made(inputs, training=False)
    made.trainable = False
    made(inputs, training=True)
    assert seen == [False, True, False, False]


def test_training_may_be_known_when_the_graph_runs_only(layer: Any) -> None:
    made = layer(_Training(), trainable=True)
    called = tf.function(lambda training: made(tf.constant([1.0]), training=training))
    assert called(tf.constant(True)).numpy().tolist() == [2.0]
    assert called(tf.constant(False)).numpy().tolist() == [1.0]


class _Training:
    def __init__(self) -> None:
        self.variables = self.trainable_variables = [tf.Variable(1.0)]

    def __call__(self, inputs: Any, training: bool = False) -> Any:
        return inputs * 2 if training else inputs


def test_the_output_shape_is_what_it_is_told(layer: Any) -> None:
    def hidden(inputs: Any) -> Any:
        return tf.py_function(lambda values: values, [inputs], tf.float32)

    made = layer(hidden, output_shape=[3])
    assert tuple(made.compute_output_shape((None, 3))) == (None, 3)
    assert tuple(made.compute_output_shape((7, 3))) == (7, 3)
    assert tf.function(made).get_concrete_function(tf.TensorSpec([None, 3])).output_shapes == [None, 3]
    with pytest.raises(ValueError, match=r"output_shape=\(4,\) is not compatible with what the layer gives"):
        layer(lambda inputs: inputs, output_shape=[4])(tf.zeros([2, 3]))
    with pytest.raises(ValueError, match="does not have the same nested structure as the output"):
        layer(lambda inputs: inputs, output_shape={"a": [4]})(tf.zeros([2, 3]))
    nested = layer(lambda inputs: {"a": inputs, "b": [inputs]}, output_shape={"a": [3], "b": [[3]]})
    assert nested(tf.zeros([2, 3]))["b"][0].shape == (2, 3)


def test_an_output_of_unknown_rank_takes_that_of_its_input(keras: Any, layer: Any) -> None:
    made = layer(lambda inputs: tf.py_function(lambda values: values, [inputs], tf.float32))
    if hasattr(keras.layers.Layer, "compute_output_spec"):
        assert tuple(made(keras.Input((3,))).shape) == (None, None)


def test_the_config_makes_the_same_layer(layer: Any, embedding: str) -> None:
    options = {"signature": "embed", "output_key": "embedded", "output_shape": (2,), "tags": ["serve"]}
    made = layer(embedding, name="mine", **options)
    config = json.loads(json.dumps(made.get_config()))
    assert config["handle"] == embedding
    again = layer.from_config(config)
    assert again.name == "mine"
    assert again.get_config() == made.get_config()
    assert again(["a"]).numpy().tolist() == made(["a"]).numpy().tolist()
    minimal = layer(embedding).get_config()
    assert not {"tags", "signature", "output_key", "output_shape", "arguments", "signature_outputs_as_dict"} & set(
        minimal
    )


def test_what_cannot_be_written_down_says_so(keras: Any, layer: Any, embedding: str, tmp_path: Any) -> None:
    made = layer(lambda inputs: inputs)
    with pytest.raises(NotImplementedError, match=r"Can only generate a valid config for .* a string handle"):
        made.get_config()
    with pytest.raises(NotImplementedError, match=r"arguments of .* cannot be saved"):
        layer(embedding, arguments={"a": object()}).get_config()
    model = keras.Sequential([keras.Input((3,)), made])
    with pytest.raises(NotImplementedError, match="a string handle"):
        model.save(str(tmp_path / "m.keras"))


def test_floats_become_what_the_object_was_made_for(layer: Any, tmp_path: Any) -> None:
    root = tf.Module()
    root.__call__ = tf.function(lambda x: x + 1, input_signature=[tf.TensorSpec([None], tf.float64)])
    tf.saved_model.save(root, str(tmp_path / "m"))
    made = layer(str(tmp_path / "m"))
    for inputs in ([1.0], np.array([1.0], np.float32), tf.constant([1.0]), tf.constant([1.0], tf.float16)):
        assert made(inputs).numpy().tolist() == [2.0]
    with pytest.raises((TypeError, ValueError)):
        made(tf.constant([1]))


def test_the_resolved_object_is_what_was_loaded(layer: Any, embedding: str) -> None:
    assert layer(embedding).resolved_object.said.numpy() == b"hello"
    function = tf.function(lambda inputs: inputs)
    assert layer(function).resolved_object is function


def test_another_backend_of_keras_is_refused() -> None:
    keras = pytest.importorskip("keras")
    if not hasattr(keras, "config"):
        pytest.skip("Keras 2 has TensorFlow only")
    needs = {"jax": "jax", "torch": "torch", "numpy": "scipy"}
    backend = next((name for name, package in needs.items() if find_spec(package)), None)
    if backend is None:
        pytest.skip("Keras has no other backend here")
    code = (
        "import hubplug, hubplug_keras, keras\n"
        "try:\n    hubplug_keras.layer_class(keras)(lambda inputs: inputs)\n"
        "except hubplug.HubplugError as error:\n    print(error)"
    )
    environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert f"runs graphs of TensorFlow, and Keras computes with {backend} here" in done.stdout, done.stderr
    assert "hint: set KERAS_BACKEND=tensorflow" in done.stdout


def test_the_layer_of_a_program_is_that_of_its_tf_keras() -> None:
    assert hubplug.KerasLayer is layer_class(tf.keras)
    assert hubplug.KerasLayer.__name__ == "KerasLayer"
    assert issubclass(hubplug.KerasLayer, tf.keras.layers.Layer)


@pytest.mark.skipif(
    find_spec("jax") is not None or find_spec("keras") is None, reason="is about a backend that is missing"
)
def test_a_keras_that_cannot_be_imported_says_what_to_set() -> None:
    program = "import hubplug; hubplug.KerasLayer"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "KERAS_BACKEND": "jax", "TF_USE_LEGACY_KERAS": "0"},
        capture_output=True,
        text=True,
    )
    if not tf.__version__.startswith("2.15"):
        assert "hub.KerasLayer needs Keras, which cannot be imported: No module named 'jax'" in done.stderr
        assert "set KERAS_BACKEND=tensorflow" in done.stderr


def test_a_legacy_keras_that_is_missing_is_named_each_time(tmp_path: Path) -> None:
    (tmp_path / "tf_keras.py").write_text("raise ModuleNotFoundError('it is not installed')\n")
    ask = "try:\n    hubplug.KerasLayer\nexcept hubplug.HubplugError as error:\n    print(error)\n"
    done = subprocess.run(
        [sys.executable, "-c", f"import hubplug\n{ask}{ask}"],
        cwd=tmp_path,
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.count("hub.KerasLayer needs Keras, which cannot be imported: ") == 2, done.stderr
    assert done.stdout.count("hint: pip install tf_keras, or leave TF_USE_LEGACY_KERAS unset") == 2
