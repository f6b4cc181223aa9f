"""``text_embedding_column_v2`` in ``DenseFeatures``."""

from __future__ import annotations

import pickle
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("eager")]


@pytest.fixture
def keras_2(eager: None) -> Any:
    return pytest.importorskip("tf_keras")


def test_a_column_embeds_texts_and_is_trained(keras_2: Any, embedding: str, targets: Any) -> None:
    column = hubplug.text_embedding_column_v2("words", embedding, trainable=True)
    features = keras_2.layers.DenseFeatures([column])
    for texts in (tf.constant(["a", "b"]), tf.constant([["a"], ["b"]])):
        assert features({"words": texts}).numpy() == pytest.approx(np.array([[0.0, 0.1], [0.2, 0.3]]))
    assert len(features.trainable_weights) == 1
    model = keras_2.Sequential([features, keras_2.layers.Dense(1)])
    model.compile("sgd", "mse")
    before = features.get_weights()[0]
    model.fit({"words": tf.constant(["a", "b", "c", "d"] * 4)}, targets, verbose=0)
    assert (features.get_weights()[0] != before).any()


def test_it_is_described_by_its_fields(keras_2: Any, embedding: str) -> None:
    column = hubplug.text_embedding_column_v2("words", embedding, output_key="k")
    assert column.name == "words_hub_module_embedding"
    assert column.parents == ["words"]
    assert column.parse_example_spec == {"words": tf.io.FixedLenFeature([1], tf.string)}
    assert column.get_config() == {"key": "words", "module_path": embedding, "output_key": "k", "trainable": False}
    assert type(column).from_config(column.get_config()) == column == pickle.loads(pickle.dumps(column))


def test_several_outputs_need_a_key(keras_2: Any, eager: None, tmp_path: Any) -> None:
    root = tf.Module()

    def both(texts: Any) -> Any:
        return {"length": tf.cast(tf.strings.length(texts), tf.float32)[:, None], "texts": texts}

    root.__call__ = tf.function(both, input_signature=[tf.TensorSpec([None], tf.string)])
    tf.saved_model.save(root, str(tmp_path / "m"))

    def features(**options: Any) -> Any:
        column = hubplug.text_embedding_column_v2("a", str(tmp_path / "m"), **options)
        return keras_2.layers.DenseFeatures([column])({"a": tf.constant(["xyz"])}).numpy().tolist()

    assert features(output_key="length") == [[3.0]]
    with pytest.raises(ValueError, match="does not return a single result"):
        features()


def test_without_keras_2_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, eager: None) -> None:
    columns = import_module("hubplug_keras._columns")
    monkeypatch.setattr(columns, "_KERAS_2", ("no_such_keras", "keras.no_such.part"))
    with pytest.raises(hubplug.errors.MissingDependencyError, match="DenseFeatures, which is of Keras 2") as caught:
        hubplug.text_embedding_column_v2("a", "m")
    assert "pip install tf_keras" in str(caught.value.hint)
