"""``KerasLayer`` in models: every way to build, train and save one."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug
from tests.plugins.keras.conftest import np_vectors

IS_TENSORFLOW_2_15 = tf.__version__.startswith("2.15.")

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("eager")]


def sequential(keras: Any, layer: Any, handle: Any, **options: Any) -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((), dtype="string"), layer(handle, **options), keras.layers.Dense(1)])
    model.compile("sgd", keras.losses.MeanSquaredError())
    return model


def hub_layer(model: Any) -> Any:
    return next(layer for layer in model.layers if type(layer).__name__ == "KerasLayer")


def vectors(layer: Any) -> np.ndarray:
    return layer.resolved_object.vectors.numpy()


def test_it_gives_what_the_saved_model_gives(layer: Any, embedding: str) -> None:
    made = layer(embedding)
    expected = hubplug.load(embedding)(tf.constant(["a", "no such word"])).numpy()
    for words in (
        ["a", "no such word"],
        ("a", "no such word"),
        np.array(["a", "no such word"]),
        tf.constant(["a", "x"]),
    ):
        assert made(words).numpy().tolist() == expected.tolist()


def test_its_weights_are_the_variables_themselves_but_for_texts(layer: Any, embedding: str) -> None:
    made = layer(embedding, trainable=True)
    assert [tuple(weight.shape) for weight in made.trainable_weights] == [(4, 2)]
    assert [weight.dtype for weight in made.non_trainable_weights] == ["int64"]
    made.set_weights([np.ones([4, 2], np.float32), np.int64(7)])
    assert vectors(made).tolist() == np.ones([4, 2]).tolist()
    assert made(["a"]).numpy().tolist() == [[1.0, 1.0]]
    assert [weight.tolist() for weight in made.get_weights()] == [np.ones([4, 2]).tolist(), 7]


def test_weights_and_losses_follow_trainable(layer: Any, embedding: str) -> None:
    made = layer(embedding)
    loss = 0.03 * float(np.sum(np_vectors() ** 2))
    for trainable in (False, True, False, True):
        made.trainable = trainable
        assert len(made.trainable_weights) == trainable
        assert len(made.weights) == 2
        assert float(sum(made.losses, tf.zeros([]))) == pytest.approx(loss if trainable else 0.0)


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_fit_trains_what_is_trainable(
    keras: Any, layer: Any, embedding: str, words: Any, targets: Any, trainable: bool, run_eagerly: bool
) -> None:
    model = sequential(keras, layer, embedding, trainable=trainable)
    model.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=run_eagerly)
    before = model.evaluate(words, targets, verbose=0)
    model.fit(words, targets, batch_size=4, epochs=3, verbose=0)
    made = hub_layer(model)
    assert model.evaluate(words, targets, verbose=0) < before
    assert (vectors(made) == np_vectors()).all() == (not trainable)
    # Once for each step of training, and never in evaluate or predict.
    model.predict(words, verbose=0)
    assert made.resolved_object.steps.numpy() == (12 if trainable else 0)


def test_the_gradient_is_that_of_the_same_model_with_native_layers(
    keras: Any, layer: Any, embedding: str, words: Any, targets: Any
) -> None:
    model = sequential(keras, layer, embedding, trainable=True)
    kernel = model.layers[-1].get_weights()[0]
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(words, targets, batch_size=16, epochs=1, verbose=0)

    native = tf.Variable(np_vectors())
    with tf.GradientTape() as tape:
        predicted = tf.gather(native, [0, 1, 2, 3] * 4) @ kernel
        loss = tf.reduce_mean((predicted - targets) ** 2) + 0.03 * tf.reduce_sum(native**2)
    step = 0.1 * tf.convert_to_tensor(tape.gradient(loss, native))
    assert vectors(hub_layer(model)) == pytest.approx(np_vectors() - step.numpy(), rel=1e-5)


class TestSaving:
    @pytest.fixture(autouse=True)
    def _model(self, keras: Any, layer: Any, embedding: str, words: Any, targets: Any, tmp_path: Path) -> None:
        self.new = lambda: sequential(keras, layer, embedding, trainable=True)
        self.keras, self.layer, self.words, self.path = keras, layer, words, tmp_path
        self.model = self.new()
        self.model.fit(words, targets, verbose=0)
        self.expected = self.model.predict(words, verbose=0)

    def check(self, model: Any) -> None:
        assert model.predict(self.words, verbose=0) == pytest.approx(self.expected, rel=1e-5, abs=1e-6)

    @pytest.mark.parametrize("name", ["model.keras", "model.h5"])
    def test_a_file_brings_back_the_model_with_its_weights(self, name: str) -> None:
        if IS_TENSORFLOW_2_15 and self.keras.__name__ == "tf_keras" and name == "model.keras":
            pytest.skip("tf_keras 2.15 makes the layers of a .keras file with TensorFlow's own Keras")
        self.model.save(str(self.path / name))
        loaded = self.keras.models.load_model(str(self.path / name))
        self.check(loaded)
        assert type(hub_layer(loaded)) is self.layer
        assert hub_layer(loaded).trainable

    def test_weights_alone(self) -> None:
        self.model.save_weights(str(self.path / "model.weights.h5"))
        model = self.new()
        model.load_weights(str(self.path / "model.weights.h5"))
        self.check(model)

    def test_a_checkpoint_of_tensorflow(self) -> None:
        saved = tf.train.Checkpoint(model=self.model).save(str(self.path / "checkpoint"))
        model = self.new()
        tf.train.Checkpoint(model=model).restore(saved).expect_partial()
        self.check(model)

    def test_a_saved_model(self) -> None:
        tf.saved_model.save(self.model, str(self.path / "saved"))
        loaded = tf.saved_model.load(str(self.path / "saved"))
        (output,) = loaded.signatures["serving_default"](self.words).values()
        assert output.numpy() == pytest.approx(self.expected, rel=1e-5, abs=1e-6)

    def test_an_export(self) -> None:
        if IS_TENSORFLOW_2_15:
            pytest.skip("the export of Keras 2.15 knows no tables but those of its own layers")
        self.model.export(str(self.path / "exported"))
        loaded = tf.saved_model.load(str(self.path / "exported"))
        assert loaded.serve(self.words).numpy() == pytest.approx(self.expected, rel=1e-5, abs=1e-6)

    def test_a_config_in_json_and_a_clone(self) -> None:
        for model in (
            self.keras.models.model_from_json(self.model.to_json()),
            self.keras.models.clone_model(self.model),
        ):
            model.set_weights(self.model.get_weights())
            self.check(model)

    def test_a_copy(self) -> None:
        if IS_TENSORFLOW_2_15 and self.keras.__name__ == "tf_keras":
            pytest.skip("tf_keras 2.15 copies by a .keras file, whose layers it makes with TensorFlow's own Keras")
        self.check(copy.deepcopy(self.model))


def test_a_functional_model_knows_the_shapes_of_its_layers(keras: Any, layer: Any, embedding: str, words: Any) -> None:
    inputs = keras.Input((), dtype="string")
    embedded = layer(embedding)(inputs)
    assert tuple(embedded.shape) == (None, 2)
    model = keras.Model(inputs, keras.layers.Dense(3)(embedded))
    assert model.predict(words, verbose=0).shape == (16, 3)
    text: list[str] = []
    model.summary(print_fn=lambda line, **_: text.append(line))
    assert "KerasLayer" in "".join(text)


def test_a_subclassed_model_passes_training_on(
    keras: Any, layer: Any, embedding: str, words: Any, targets: Any
) -> None:
    class Model(keras.Model):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.dense = layer(embedding, trainable=True), keras.layers.Dense(1)

        def call(self, inputs: Any, training: Any = None) -> Any:
            return self.dense(self.embed(inputs, training=training))

    model = Model()
    model.compile("sgd", "mse")
    model.fit(words, targets, batch_size=4, verbose=0)
    assert model.embed.resolved_object.steps.numpy() == 4
    assert len(model.trainable_weights) == 3


def test_a_sequential_model_finds_out_by_itself_that_its_input_is_text(
    keras: Any, layer: Any, embedding: str, words: Any, targets: Any
) -> None:
    for options in ({}, {"input_shape": [], "dtype": tf.string}):
        model = keras.Sequential([layer(embedding, **options), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(words, targets, verbose=0)
        assert model.predict(words, verbose=0).shape == (16, 1)


def test_inputs_and_outputs_may_be_in_dicts_and_lists(keras: Any, layer: Any) -> None:
    def both(inputs: Any) -> Any:
        return {"sum": inputs["x"] + inputs["y"], "all": [inputs["x"], 2 * inputs["y"]]}

    inputs = {"x": keras.Input((3,)), "y": keras.Input((3,))}
    outputs = layer(both)(inputs)
    model = keras.Model(inputs, [outputs["sum"], outputs["all"][1]])
    added, doubled = model.predict({"x": np.ones([2, 3]), "y": np.ones([2, 3])}, verbose=0)
    assert added.tolist() == doubled.tolist() == np.full([2, 3], 2.0).tolist()


def test_keras_of_both_kinds_live_in_one_process(embedding: str) -> None:
    keras, tf_keras = pytest.importorskip("keras"), pytest.importorskip("tf_keras")
    from hubplug_keras import layer_class

    assert hubplug.KerasLayer is layer_class() is layer_class(tf.keras)
    assert layer_class(keras) is not layer_class(tf_keras)
    for each in (keras, tf_keras):
        assert issubclass(layer_class(each), each.layers.Layer)
        sequential(each, layer_class(each), embedding)(tf.constant(["a"]))


def test_a_policy_of_mixed_precision_changes_nothing_inside_and_says_so(
    keras: Any, layer: Any, words: Any, targets: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from hubplug_keras import _layer

    _layer._say_of_policy.cache_clear()
    mixed = (keras.mixed_precision.set_global_policy, keras.mixed_precision.global_policy)
    before = mixed[1]()
    mixed[0]("mixed_float16")
    try:
        seen: list[Any] = []

        def double(values: Any) -> Any:
            seen.append(values.dtype)
            return 2 * values

        inputs = keras.Input((3,))
        hidden = keras.layers.Dense(4)(inputs)
        model = keras.Model(inputs, keras.layers.Dense(1, dtype="float32")(layer(double)(hidden)))
        layer(double)
        model.compile("sgd", "mse")
        model.fit(np.ones([16, 3], np.float32), targets, verbose=0)
    finally:
        mixed[0](before)
    assert set(seen) == {tf.float32}
    said = [
        record.getMessage()
        for record in caplog.records
        if "computes in the dtypes of its module" in record.getMessage()
    ]
    assert len(said) == 1
    assert "float16" in said[0]
