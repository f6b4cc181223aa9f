"""TF1 SavedModels and frozen graphs become modules, which no longer need what they were made from."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug
from tests.plugins.convert.conftest import Convert

pytestmark = pytest.mark.usefixtures("programs_of_tensorflow_2")

v1 = tf.compat.v1


def write(path: Path, build: Callable[[], dict[str, Any]]) -> Path:
    with tf.Graph().as_default(), v1.Session() as session:
        signatures = {
            name: v1.saved_model.predict_signature_def(inputs, outputs) for name, (inputs, outputs) in build().items()
        }
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.builder.SavedModelBuilder(str(path))
        assets = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)
        main_op = v1.tables_initializer()
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, assets_collection=assets, main_op=main_op)
        builder.save()
    return path


def evaluate(directory: Path, signature: str, **inputs: Any) -> Any:
    with hubplug.eval_function_for_module(str(directory)) as function:
        return function(inputs, signature=signature, as_dict=True)


def test_a_tf1_saved_model_becomes_a_module_of_its_own(convert: Convert, tmp_path: Path) -> None:
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("hello\nworld\n")

    def build() -> dict[str, Any]:
        v1.train.get_or_create_global_step()
        texts, x = v1.placeholder(tf.string, [None]), v1.placeholder(tf.float32, [None, 2])
        table = tf.lookup.StaticVocabularyTable(
            tf.lookup.TextFileInitializer(
                str(vocabulary),
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            1,
        )
        weights = v1.get_variable("weights", [3, 2], use_resource=False)
        vectors = tf.gather(weights, table.lookup(texts))
        return {
            "serving_default": ({"texts": texts}, {"vectors": vectors}),
            "product": ({"x": x}, {"default": tf.matmul(x, weights, transpose_b=True), "twice": x * 2.0}),
        }

    source = write(tmp_path / "source", build)
    status, report = convert(source, tmp_path / "out", "--json")
    assert (status, report["target"]) == (0, "tf1-hub"), report
    assert set(report["signatures"]) == {"serving_default", "product"}
    assert all(largest <= 1e-6 for each in report["signatures"].values() for largest in each["outputs"].values())
    with v1.Session(graph=tf.Graph()) as session:
        v1.saved_model.loader.load(session, ["serve"], str(source))
        (weights,) = session.run(v1.trainable_variables())
    for gone in (source, vocabulary):
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    found = evaluate(tmp_path / "out", "default", texts=[b"world", b"nobody"])
    np.testing.assert_array_equal(found["default"], weights[[1, 2]])
    spec = hubplug.load_module_spec(str(tmp_path / "out"))
    assert spec.get_tags() == [frozenset()]
    assert spec.get_signature_names() == ["default", "product", "serving_default"]


def test_signatures_that_cannot_be_compared_are_refused_by_name_or_left_out(convert: Convert, tmp_path: Path) -> None:
    def build() -> dict[str, Any]:
        x, examples = v1.placeholder(tf.float32, [None, 4]), v1.placeholder(tf.string, [None])
        # What only the publisher's clients know how to make.
        known = tf.reduce_all(tf.equal(tf.strings.length(examples), 12345))
        with tf.control_dependencies([tf.debugging.Assert(known, [examples])]):
            lengths = tf.strings.length(examples)
        return {
            "serving_default": ({"x": x}, {"default": x + 1.0}),
            "random": ({"x": x}, {"default": tf.nn.dropout(x, rate=0.5, seed=1)}),
            "examples": ({"examples": examples}, {"default": lengths}),
        }

    source = write(tmp_path / "source", build)
    status, report = convert(source, tmp_path / "out", "--json")
    assert (status, (tmp_path / "out").exists()) == (1, False)
    random, unverified = sorted(report["problems"], key=lambda said: "'examples'" in said)
    assert random.startswith("signature 'random', output 'default': the source gives other values each time")
    assert unverified.startswith(
        "signature 'examples' could not be verified: the source takes none of the generated inputs"
    )
    np.savez(tmp_path / "real.npz", examples=np.array([b"x" * 12345]))
    arguments = ["--signature", "serving_default", "--signature", "examples"]
    status, report = convert(
        source, tmp_path / "out", *arguments, "--example", f"examples={tmp_path / 'real.npz'}", "--json"
    )
    assert (status, report["signatures"]["examples"]["calls_compared"]) == (0, 1), report["problems"]


@pytest.fixture
def frozen(tmp_path: Path) -> Path:
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 2], "x")
        words = v1.placeholder(tf.string, [None], "words")
        table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [1, 2]), -1)
        tf.identity(table.lookup(words), "ids")
        tf.add(x, [1.0, 2.0], "y")
        path = tmp_path / "frozen.pb"
        path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def test_a_frozen_graph_becomes_a_module(convert: Convert, frozen: Path, tmp_path: Path) -> None:
    arguments = ["--input", "x=x:0", "--input", "words=words", "--output", "default=y:0", "--output", "ids=ids"]
    status, report = convert(frozen, tmp_path / "out", *arguments, "--json")
    assert (status, list(report["signatures"])) == (0, ["default"]), report
    found = evaluate(tmp_path / "out", "default", x=[[1.0, 1.0]], words=["b"])
    np.testing.assert_array_equal(found["default"], [[2.0, 3.0]])
    np.testing.assert_array_equal(found["ids"], [2])


def test_records_are_made_for_graphs_that_parse_them(convert: Convert, tmp_path: Path) -> None:
    """As Estimators export them for serving."""

    def build() -> dict[str, Any]:
        examples = v1.placeholder(tf.string, [None])
        features = {
            "age": tf.io.FixedLenFeature([], tf.int64),
            "image": tf.io.FixedLenFeature([2, 3], tf.float32),
            "words": tf.io.VarLenFeature(tf.string),
            "parts": tf.io.RaggedFeature(tf.float32),
        }
        parsed = v1.io.parse_example(examples, features)
        lengths = tf.strings.length(tf.sparse.to_dense(parsed["words"], b""))
        outputs = {
            "age": parsed["age"],
            "image": parsed["image"] * 2.0,
            "lengths": lengths,
            "parts": tf.reduce_sum(parsed["parts"], 1),
        }
        return {"serving_default": ({"examples": examples}, outputs)}

    status, report = convert(write(tmp_path / "source", build), tmp_path / "out", "--json")
    assert status == 0, report["problems"]
    assert report["signatures"]["serving_default"]["calls_compared"] >= 4
