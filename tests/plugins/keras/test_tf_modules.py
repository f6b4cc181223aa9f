"""Modules in TF1 Hub format as layers: trained, saved, in distribution and in a graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug

v1 = tf.compat.v1
Export = Callable[..., str]

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("eager")]


@pytest.fixture
def text_module(tf1_module: Export, tmp_path: Path) -> str:
    """Words by a vocabulary file, with a regularization loss, and a signature of two inputs and outputs."""
    vocabulary = tmp_path / "vocabulary.txt"
    vocabulary.write_text("a\nb\nc\n", encoding="utf-8")

    def text() -> None:
        words = v1.placeholder(tf.string, [None])
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                str(vocabulary),
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            3,
        )
        values = np.arange(8, dtype=np.float32).reshape([4, 2]) / 10
        vectors = v1.get_variable(
            "words/vectors", initializer=values, regularizer=lambda each: 0.1 * tf.reduce_sum(each**2)
        )
        embedded = tf.gather(vectors, table.lookup(words))
        hubplug.add_signature(inputs=words, outputs=embedded)
        scale = v1.placeholder(tf.float32, [None, 1])
        hubplug.add_signature(
            "scaled", inputs={"words": words, "scale": scale}, outputs={"scaled": embedded * scale, "words": words}
        )

    return tf1_module(text)


@pytest.fixture
def normalizing(tf1_module: Export) -> str:
    """Subtracts a mean: that of the batch in the variant for training, with an update op, and the moving one otherwise."""

    def normalize(training: bool) -> None:
        inputs = v1.placeholder(tf.float32, [None, 2])
        mean = v1.get_variable("moving_mean", [2], initializer=v1.zeros_initializer(), trainable=False)
        gain = v1.get_variable("gain", [2], initializer=v1.ones_initializer())
        if training:
            of_batch = tf.reduce_mean(inputs, 0)
            v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, v1.assign(mean, 0.5 * mean + 0.5 * of_batch))
            hubplug.add_signature(inputs=inputs, outputs=(inputs - of_batch) * gain)
        else:
            hubplug.add_signature(inputs=inputs, outputs=(inputs - mean) * gain)

    return tf1_module(normalize, [({"train"}, {"training": True}), (set(), {"training": False})])


def model_of(keras: Any, layer: Any, handle: Any, **options: Any) -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((), dtype="string"), layer(handle, **options), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), keras.losses.MeanSquaredError())
    return model


def hub_layer(model: Any) -> Any:
    return next(layer for layer in model.layers if type(layer).__name__ == "KerasLayer")


def test_a_module_gives_what_it_gives_in_a_graph(layer: Any, text_module: str) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        outputs = hubplug.Module(text_module)(["a", "zz"])
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        expected = session.run(outputs)
    assert layer(text_module)(["a", "zz"]).numpy().tolist() == expected.tolist()
    everything = layer(text_module, signature_outputs_as_dict=True)(["a"])
    assert list(everything) == ["default"]


@pytest.mark.parametrize("of", ["handle", "loaded", "Module"])
def test_it_is_trained_with_its_regularization_losses(
    keras: Any, layer: Any, text_module: str, words: Any, targets: Any, of: str
) -> None:
    kinds = {"loaded": hubplug.load, "Module": lambda handle: hubplug.Module(handle, trainable=True)}
    handle = kinds[of](text_module) if of in kinds else text_module
    model = model_of(keras, layer, handle, trainable=True)
    made = hub_layer(model)
    (vectors,) = made.get_weights()
    assert float(sum(made.losses, tf.zeros([]))) == pytest.approx(0.1 * float(np.sum(vectors**2)))
    kernel, native = model.layers[-1].get_weights()[0], tf.Variable(vectors)
    model.fit(words, targets, batch_size=16, epochs=1, verbose=0)
    with tf.GradientTape() as tape:
        error = tf.reduce_mean((tf.gather(native, [0, 1, 2, 3] * 4) @ kernel - targets) ** 2)
        loss = error + 0.1 * tf.reduce_sum(native**2)
    step = 0.1 * tf.convert_to_tensor(tape.gradient(loss, native))
    assert made.get_weights()[0] == pytest.approx(vectors - step.numpy(), rel=1e-5)


def test_in_training_it_computes_as_in_training_and_runs_update_ops(keras: Any, layer: Any, normalizing: str) -> None:
    inputs, outputs = np.array([[1.0, 2.0], [3.0, 6.0]], np.float32), np.zeros([2, 1], np.float32)
    for trainable in (False, True):
        made = layer(normalizing, trainable=trainable)
        model = keras.Sequential([keras.Input((2,)), made, keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.0), "mse")
        mean = made.non_trainable_weights[-1]
        model.evaluate(inputs, outputs, verbose=0)
        model.predict(inputs, verbose=0)
        assert mean.numpy().tolist() == [0.0, 0.0]
        model.fit(inputs, outputs, batch_size=2, epochs=1, verbose=0)
        assert mean.numpy().tolist() == ([1.0, 2.0] if trainable else [0.0, 0.0])
        in_training = made(inputs, training=True).numpy().tolist()
        assert in_training == ([[-1.0, -2.0], [1.0, 2.0]] if trainable else inputs.tolist())
        assert len(made.trainable_weights) == trainable


def test_tags_choose_the_variant_and_are_in_the_config(layer: Any, normalizing: str) -> None:
    made = layer(normalizing, tags={"train"})
    inputs = tf.constant([[1.0, 2.0], [3.0, 6.0]])
    assert made(inputs).numpy().tolist() == [[-1.0, -2.0], [1.0, 2.0]]
    config = made.get_config()
    assert (config["tags"], config["signature"], config["output_key"]) == (["train"], "default", "default")
    assert layer.from_config(config)(inputs).numpy().tolist() == [[-1.0, -2.0], [1.0, 2.0]]
    with pytest.raises(ValueError, match=r"No such graph variant: tags=\['no'\].*\['train'\]"):
        layer(normalizing, tags=["no"])


def test_several_inputs_and_outputs_are_dicts(keras: Any, layer: Any, text_module: str) -> None:
    inputs = {"words": keras.Input((), dtype="string"), "scale": keras.Input((1,))}
    scaled = layer(text_module, signature="scaled", output_key="scaled")(inputs)
    assert tuple(scaled.shape) == (None, 2)
    model = keras.Model(inputs, scaled)
    given = {"words": tf.constant(["b"]), "scale": tf.constant([[10.0]])}
    assert model.predict(given, verbose=0) == pytest.approx(np.array([[2.0, 3.0]]))
    everything = layer(text_module, signature="scaled", signature_outputs_as_dict=True)(given)
    assert sorted(everything) == ["scaled", "words"]


def test_saved_models_of_it_need_neither_handle_nor_vocabulary(
    keras: Any, layer: Any, text_module: str, words: Any, targets: Any, tmp_path: Path
) -> None:
    model = model_of(keras, layer, text_module, trainable=True)
    model.fit(words, targets, verbose=0)
    expected = model.predict(words, verbose=0)
    tf.saved_model.save(model, str(tmp_path / "saved"))
    exports = hasattr(keras.layers.Layer, "compute_output_spec")  # that of Keras 2 knows no tables but its own
    if exports:
        model.export(str(tmp_path / "exported"))
    for path in (Path(text_module), tmp_path / "vocabulary.txt"):
        path.rename(path.with_suffix(".gone"))
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    (output,) = saved.signatures["serving_default"](words).values()
    assert output.numpy() == pytest.approx(expected)
    if exports:
        exported = tf.saved_model.load(str(tmp_path / "exported"))
        assert exported.serve(words).numpy() == pytest.approx(expected)


def test_weights_come_back(keras: Any, layer: Any, text_module: str, words: Any, targets: Any, tmp_path: Path) -> None:
    model = model_of(keras, layer, text_module, trainable=True)
    model.fit(words, targets, verbose=0)
    model.save_weights(str(tmp_path / "w.weights.h5"))
    again = model_of(keras, layer, text_module, trainable=True)
    again.load_weights(str(tmp_path / "w.weights.h5"))
    assert again.predict(words, verbose=0) == pytest.approx(model.predict(words, verbose=0))


def test_a_checkpoint_names_the_variable_as_the_module_does(
    keras: Any, layer: Any, text_module: str, tmp_path: Path
) -> None:
    """As those that tensorflow_hub's layer wrote: ``words.Svectors:0``, where ``.S`` is a slash."""
    if hasattr(keras.layers.Layer, "compute_output_spec"):
        pytest.skip("tensorflow_hub has no layer for Keras 3")
    saved = tf.train.Checkpoint(layer=layer(text_module)).save(str(tmp_path / "checkpoint"))
    assert "layer/words.Svectors:0/.ATTRIBUTES/VARIABLE_VALUE" in [name for name, _ in tf.train.list_variables(saved)]


def test_in_a_graph_of_tensorflow_1_it_is_applied_and_not_trained(layer: Any, text_module: str) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        outputs = layer(text_module)(tf.constant(["b"]))
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        assert session.run(outputs) == pytest.approx(np.array([[0.2, 0.3]]))
        with pytest.raises(
            ValueError, match="trainable = True is unsupported where a module in TF1 Hub format is loaded in"
        ):
            layer(text_module, trainable=True)(tf.constant(["b"]))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"signature": "no"}, r"Unknown signature no in .* \(available signatures: \['default', 'scaled'\]\)"),
        ({"arguments": {"a": 1}}, "cannot be passed on: the signature 'default' takes its inputs only"),
    ],
)
def test_what_a_module_has_not_is_refused(layer: Any, text_module: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        layer(text_module, **options)


def test_an_output_that_the_signature_has_not_is_said(layer: Any, text_module: str) -> None:
    with pytest.raises(ValueError, match=r"does not contain the output key no \(available: \['default'\]\)"):
        layer(text_module, output_key="no")(["a"])


def test_what_to_do_is_said_inside_of_keras_too(keras: Any, layer: Any, text_module: str) -> None:
    made = layer(text_module, signature="scaled", output_key="no")
    values = {"words": tf.constant(["a"]), "scale": tf.constant([[1.0]])}
    symbols = {"words": keras.Input((), dtype="string"), "scale": keras.Input((1,))}
    for inputs in (values, symbols):
        with pytest.raises(hubplug.errors.HubplugError, match=r"\nhint: give output_key=\.\.\., one of these$"):
            made(inputs)


def test_it_takes_what_is_computed_of_an_input(keras: Any, layer: Any, normalizing: str) -> None:
    inputs = keras.Input((2,))
    made = layer(normalizing)
    model = keras.Model(inputs, made(inputs * 2.0))
    values = np.float32([[1.0, 2.0]])
    np.testing.assert_array_equal(model.predict(values, verbose=0), made(values * 2.0))
