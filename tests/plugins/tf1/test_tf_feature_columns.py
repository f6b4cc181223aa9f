"""Modules as feature columns, under input_layer and DenseFeatures."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
v1 = tf.compat.v1
HAS_ESTIMATOR = hasattr(tf, "estimator")

pytestmark = pytest.mark.filterwarnings("ignore")

WEIGHTS = np.arange(8.0, dtype=np.float32).reshape(4, 2)


def text_module() -> None:
    """Embeds a word by its length."""
    words = v1.placeholder(tf.string, [None])
    weights = v1.get_variable("w", initializer=WEIGHTS)
    hubplug.add_signature(inputs={"text": words}, outputs=tf.gather(weights, tf.strings.length(words)))


def text_like(
    shape: Any = (None,), dtype: Any = tf.string, out: Any = (None, 2), out_dtype: Any = tf.float32, **names: Any
) -> hubplug.ModuleSpec:
    def module_fn() -> None:
        inputs = {"text": v1.placeholder(dtype, shape)}
        if names.get("extra"):
            inputs["extra"] = v1.placeholder(dtype, shape)
        output = v1.placeholder_with_default(tf.zeros([length or 1 for length in out], out_dtype), out)
        hubplug.add_signature(names.get("signature"), inputs, {names.get("output", "default"): output})

    return hubplug.create_module_spec(module_fn)


def image_like(
    shape: Any = (None, 4, 5, 3), dtype: Any = tf.float32, key: str = "images", out: Any = (None, 2), size: Any = None
) -> hubplug.ModuleSpec:
    def module_fn() -> None:
        images = v1.placeholder(dtype, shape)
        weight = v1.get_variable("w", [1, 2], initializer=v1.ones_initializer())
        sums = tf.reduce_sum(tf.cast(images, tf.float32), axis=[1, 2, 3], keepdims=False) if len(shape) == 4 else images
        default = tf.matmul(tf.reshape(sums, [-1, 1]), weight)
        if out != (None, 2):
            default = v1.placeholder_with_default(tf.zeros([length or 1 for length in out]), out)
        hubplug.add_signature(inputs={key: images}, outputs=default)
        if size is not None:
            info = hubplug.ImageModuleInfo()
            info.default_image_size.height, info.default_image_size.width = size
            hubplug.attach_image_module_info(info)

    return hubplug.create_module_spec(module_fn)


@pytest.fixture
def spec() -> hubplug.ModuleSpec:
    return hubplug.create_module_spec(text_module)


def variables() -> list[str]:
    return [variable.name for variable in v1.global_variables()]


def evaluate(tensor: Any) -> Any:
    with v1.Session() as session:
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        return session.run(tensor)


@pytest.mark.parametrize("trainable", [False, True])
def test_texts_are_embedded_by_input_layer(spec: Any, new_graph: tf.Graph, trainable: bool) -> None:
    column = hubplug.text_embedding_column("words", spec, trainable=trainable)
    embedded = v1.feature_column.input_layer({"words": tf.constant(["", "a", "abc"])}, [column])
    assert variables() == ["input_layer/words_hub_module_embedding/module/w:0"]
    assert len(v1.trainable_variables()) == trainable
    np.testing.assert_array_equal(evaluate(embedded), WEIGHTS[[0, 1, 3]])


def test_a_batch_of_single_texts_is_embedded(spec: Any, new_graph: tf.Graph) -> None:
    column = hubplug.text_embedding_column("words", spec)
    features = tf.io.parse_example(
        [
            tf.train.Example(
                features=tf.train.Features(
                    feature={"words": tf.train.Feature(bytes_list=tf.train.BytesList(value=[word]))}
                )
            ).SerializeToString()
            for word in (b"a", b"ab")
        ],
        tf.feature_column.make_parse_example_spec([column]),
    )
    assert features["words"].shape.as_list() == [2, 1]
    np.testing.assert_array_equal(evaluate(v1.feature_column.input_layer(features, [column])), WEIGHTS[[1, 2]])


def test_each_input_layer_has_a_module_of_its_own(spec: Any, new_graph: tf.Graph) -> None:
    column = hubplug.text_embedding_column("words", spec)
    features = {"words": tf.constant(["a"])}
    v1.feature_column.input_layer(features, [column])
    v1.feature_column.input_layer(features, [column])
    assert variables() == [f"input_layer{n}/words_hub_module_embedding/module/w:0" for n in ("", "_1")]


def test_the_gradient_reaches_a_trainable_module(spec: Any, new_graph: tf.Graph) -> None:
    column = hubplug.text_embedding_column("words", spec, trainable=True)
    embedded = v1.feature_column.input_layer({"words": tf.constant(["a"])}, [column])
    (gradient,) = tf.gradients(tf.reduce_sum(embedded), v1.trainable_variables())
    assert gradient is not None


def test_dense_features_share_the_module_between_calls(spec: Any, new_graph: tf.Graph) -> None:
    tf_keras = pytest.importorskip("tf_keras", reason="of no pre-release")

    column = hubplug.text_embedding_column("words", spec, trainable=True)
    layer = tf_keras.layers.DenseFeatures([column])
    first = layer({"words": tf.constant(["a"])})
    second = layer({"words": tf.constant(["ab", "abc"])})
    assert variables() == ["module/w:0"]
    assert [variable.name for variable in v1.trainable_variables()] == ["module/w:0"]
    assert layer.weights == []
    np.testing.assert_array_equal(evaluate(tf.concat([first, second], 0)), WEIGHTS[[1, 2, 3]])


@pytest.mark.parametrize(
    ("combiner", "expected"),
    [
        ("sum", WEIGHTS[1] + WEIGHTS[2]),
        ("mean", (WEIGHTS[1] + WEIGHTS[2]) / 2),
        ("sqrtn", (WEIGHTS[1] + WEIGHTS[2]) / np.sqrt(2)),
    ],
)
def test_sparse_texts_are_combined(spec: Any, new_graph: tf.Graph, combiner: str, expected: Any) -> None:
    column = hubplug.sparse_text_embedding_column("words", spec, combiner, "abc")
    words = tf.SparseTensor([[0, 0], [0, 1], [2, 0]], ["a", "ab", "a"], [3, 2])
    embedded = v1.feature_column.input_layer({"words": words}, [column])
    np.testing.assert_allclose(evaluate(embedded), [expected, WEIGHTS[3], WEIGHTS[1]], rtol=1e-6)


@pytest.mark.parametrize("combiner", ["sum", "mean", "sqrtn"])
def test_examples_without_texts_are_zeros_where_no_text_stands_for_them(
    spec: Any, new_graph: tf.Graph, combiner: str
) -> None:
    column = hubplug.sparse_text_embedding_column("words", spec, combiner, None, trainable=True)
    words = tf.SparseTensor([[0, 0], [2, 0]], ["a", "ab"], [4, 2])
    embedded = v1.feature_column.input_layer({"words": words}, [column])
    np.testing.assert_array_equal(evaluate(embedded), [WEIGHTS[1], [0, 0], WEIGHTS[2], [0, 0]])
    (gradient,) = tf.gradients(embedded, v1.trainable_variables())
    np.testing.assert_array_equal(evaluate(tf.convert_to_tensor(gradient))[:, 0], [0, 1, 1, 0])
    none = tf.SparseTensor(tf.zeros([0, 2], tf.int64), tf.constant([], tf.string), [2, 3])
    np.testing.assert_array_equal(evaluate(v1.feature_column.input_layer({"words": none}, [column])), [[0, 0]] * 2)


def test_a_sparse_column_makes_a_module_per_call(spec: Any, new_graph: tf.Graph) -> None:
    tf_keras = pytest.importorskip("tf_keras", reason="of no pre-release")

    column = hubplug.sparse_text_embedding_column("words", spec, "mean", "", trainable=True)
    layer = tf_keras.layers.DenseFeatures([column])
    words = tf.SparseTensor([[0, 0]], ["a"], [1, 1])
    assert layer({"words": words}).shape.as_list() == [None, 2]
    layer({"words": words})
    assert variables() == ["module/w:0", "module_1/w:0"]


def test_sparse_columns_parse_any_number_of_texts(spec: Any) -> None:
    column = hubplug.sparse_text_embedding_column("words", spec, "mean", "")
    assert tf.feature_column.make_parse_example_spec([column]) == {"words": tf.io.VarLenFeature(tf.string)}


def test_an_unknown_combiner_is_a_value_error(spec: Any) -> None:
    with pytest.raises(ValueError, match="combiner must be 'mean', 'sqrtn' or 'sum': 'max'"):
        hubplug.sparse_text_embedding_column("words", spec, "max", "")


@pytest.mark.parametrize(
    ("arguments", "problems"),
    [
        ({"shape": (None, 3)}, ["only one input"]),
        ({"shape": (3,)}, ["only one input"]),
        ({"shape": None}, ["only one input"]),
        ({"dtype": tf.int64}, ["dtype=string"]),
        ({"extra": True}, ["must require only one input"]),
        ({"out": (None, None)}, ["'default' output of tf.Tensor(shape=(?,K), dtype=float32)"]),
        ({"out": (1, 2)}, ["'default' output of tf.Tensor(shape=(?,K), dtype=float32)"]),
        ({"out": (None,)}, ["'default' output of tf.Tensor(shape=(?,K), dtype=float32)"]),
        ({"out_dtype": tf.float64}, ["it is float64"]),
        ({"output": "other"}, ["must have a 'default' output"]),
        (
            {"dtype": tf.int64, "out": (None, None)},
            ["'text' is int64", f"it is float32 {tf.TensorShape([None, None])}"],
        ),
    ],
)
def test_all_problems_of_a_text_module_are_listed(arguments: dict[str, Any], problems: list[str]) -> None:
    spec = text_like(**arguments)
    with pytest.raises(ValueError, match="Module is not a text-embedding") as got:
        hubplug.text_embedding_column("words", spec)
    for problem in problems:
        assert problem in str(got.value)
    with pytest.raises(ValueError, match="Module is not a text-embedding"):
        hubplug.sparse_text_embedding_column("words", spec, "mean", "")


def test_a_missing_default_signature_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="Signature 'default' is missing"):
        hubplug.text_embedding_column("words", text_like(signature="other"))


def test_a_sparse_input_of_one_dimension_passes() -> None:
    def module_fn() -> None:
        words = v1.sparse_placeholder(tf.string, [None])
        hubplug.add_signature(inputs=words, outputs=v1.placeholder_with_default(tf.zeros([1, 2]), [None, 2]))

    assert hubplug.text_embedding_column("words", hubplug.create_module_spec(module_fn)).key == "words"


def test_images_are_embedded(new_graph: tf.Graph) -> None:
    column = hubplug.image_embedding_column("picture", image_like())
    embedded = v1.feature_column.input_layer({"picture": tf.ones([2, 4, 5, 3])}, [column])
    assert variables() == ["input_layer/picture_hub_module_embedding/module/w:0"]
    assert v1.trainable_variables() == []
    np.testing.assert_array_equal(evaluate(embedded), [[60.0, 60.0]] * 2)


def test_images_are_embedded_by_dense_features(new_graph: tf.Graph) -> None:
    tf_keras = pytest.importorskip("tf_keras", reason="of no pre-release")

    column = hubplug.image_embedding_column("picture", image_like())
    embedded = tf_keras.layers.DenseFeatures([column])({"picture": tf.ones([2, 4, 5, 3])})
    np.testing.assert_array_equal(evaluate(embedded), [[60.0, 60.0]] * 2)


def test_another_column_may_be_the_key(spec: Any, new_graph: tf.Graph) -> None:
    tf_keras = pytest.importorskip("tf_keras", reason="of no pre-release")

    key = tf.feature_column.numeric_column("picture", [4, 5, 3], normalizer_fn=lambda pixels: pixels / 2.0)
    column = hubplug.image_embedding_column(key, image_like())
    assert column.name == "picture_hub_module_embedding"
    assert column.parents == [column.key]
    assert column.parse_example_spec == {"picture": tf.io.FixedLenFeature([4, 5, 3], tf.float32)}
    features = {"picture": tf.ones([2, 4, 5, 3])}
    for embedded in (
        v1.feature_column.input_layer(features, [column]),
        tf_keras.layers.DenseFeatures([column])(features),
    ):
        np.testing.assert_array_equal(evaluate(embedded), [[30.0, 30.0]] * 2)
    assert variables() == ["input_layer/picture_hub_module_embedding/module/w:0", "module/w:0"]
    for make in (hubplug.text_embedding_column, lambda *given: hubplug.sparse_text_embedding_column(*given, "sum", "")):
        assert make(key, spec).name == "picture_hub_module_embedding"
        with pytest.raises(ValueError, match="the name of a feature as key, or another column, got int: 3"):
            make(3, spec)


@pytest.mark.parametrize(
    ("arguments", "image_size", "expected"),
    [
        ({}, None, [4, 5, 3]),
        ({"size": (7, 8), "shape": (None, None, None, 3)}, None, [7, 8, 3]),
        ({"shape": (None, None, None, 3)}, (9, 9), [9, 9, 3]),
        ({"shape": (None, 4, 5, 1)}, [6, 6], [6, 6, 3]),
    ],
)
def test_examples_hold_images_of_the_modules_size_or_the_given_one(
    arguments: dict[str, Any], image_size: Any, expected: list[int]
) -> None:
    column = hubplug.image_embedding_column("picture", image_like(**arguments), image_size=image_size)
    assert column.parse_example_spec == {"picture": tf.io.FixedLenFeature(expected, tf.float32)}


@pytest.mark.parametrize(
    ("arguments", "problems"),
    [
        ({"dtype": tf.uint8}, ["type float32 and name 'images'"]),
        ({"key": "pictures"}, ["type float32 and name 'images'"]),
        ({"shape": (None, None, None, 3)}, ["hub.get_expected_image_size()"]),
        ({"out": (None, None)}, ["'default' output of tf.Tensor(shape=(_,K), dtype=float32)"]),
        ({"dtype": tf.uint8, "out": (None, None)}, ["float32 and name 'images'", "shape=(_,K)"]),
    ],
)
def test_all_problems_of_an_image_module_are_listed(arguments: dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(ValueError, match="Module is not usable as image embedding") as got:
        hubplug.image_embedding_column("picture", image_like(**arguments))
    for problem in problems:
        assert problem in str(got.value)


def test_an_image_output_may_have_a_known_batch_size() -> None:
    assert hubplug.image_embedding_column("picture", image_like(out=(1, 2))).image_size is None


def test_columns_are_named_tuples_with_the_usual_fields(spec: Any) -> None:
    text = hubplug.text_embedding_column("words", spec, trainable=True)
    sparse = hubplug.sparse_text_embedding_column("words", spec, "mean", "x")
    image = hubplug.image_embedding_column("picture", image_like())
    assert text._fields == ("key", "module_spec_path", "trainable")
    assert sparse._fields == ("key", "combiner", "module_spec", "default_value", "trainable")
    assert image._fields == ("key", "module_spec_path", "image_size")
    assert tuple(text) == ("words", spec, True)
    assert text.name == sparse.name == "words_hub_module_embedding"
    assert text.parents == ["words"]
    assert text.variable_shape.as_list() == [2]
    assert text.dtype == tf.float32
    assert text == hubplug.text_embedding_column("words", spec, trainable=True)
    assert hash(text) == hash(hubplug.text_embedding_column("words", spec, trainable=True))


def test_columns_of_a_handle_have_a_configuration(tmp_path: Path, spec: Any, export_module: Any) -> None:
    path = str(export_module(spec, tmp_path / "m"))
    text = hubplug.text_embedding_column("words", path, trainable=True)
    assert text.get_config() == {"key": "words", "module_spec_path": path, "trainable": True}
    image = hubplug.image_embedding_column(
        "picture", str(export_module(image_like(), tmp_path / "i")), image_size=(4, 5)
    )
    for column in (text, image):
        assert type(column).from_config(column.get_config()) == column
        assert pickle.loads(pickle.dumps(column)) == column


def test_columns_of_a_spec_have_none(spec: Any) -> None:
    for column in (
        hubplug.text_embedding_column("words", spec),
        hubplug.sparse_text_embedding_column("words", spec, "mean", ""),
        hubplug.image_embedding_column("picture", image_like()),
    ):
        with pytest.raises(NotImplementedError):
            column.get_config()


def test_a_column_of_a_handle_starts_from_the_published_values(
    tmp_path: Path, spec: Any, export_module: Any, new_graph: tf.Graph
) -> None:
    column = hubplug.text_embedding_column("words", str(export_module(spec, tmp_path / "m")))
    embedded = v1.feature_column.input_layer({"words": tf.constant(["a"])}, [column])
    np.testing.assert_array_equal(evaluate(embedded), WEIGHTS[[1]])


@pytest.mark.skipif(not HAS_ESTIMATOR, reason="TensorFlow has no Estimator since 2.16")
def test_an_estimator_trains_through_a_column(tmp_path: Path, spec: Any) -> None:
    column = hubplug.text_embedding_column("words", spec, trainable=True)
    estimator = v1.estimator.DNNClassifier([20], [column], model_dir=str(tmp_path / "model"))

    def input_fn() -> Any:
        return tf.data.Dataset.from_tensors(({"words": ["a", "abc"]}, [[0], [1]])).repeat()

    estimator.train(input_fn, steps=2)
    names = [name for name in estimator.get_variable_names() if name.endswith("words_hub_module_embedding/module/w")]
    assert len(names) == 1
    assert not np.array_equal(estimator.get_variable_value(names[0]), WEIGHTS)
    assert estimator.evaluate(input_fn, steps=1)["global_step"] == 2
