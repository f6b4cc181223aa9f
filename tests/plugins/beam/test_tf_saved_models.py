"""SavedModels applied to rows: as TensorFlow 2, each Keras and TensorFlow 1 export them, without being told how they name things."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that

import hubplug
from hubplug.errors import InputError
from hubplug_beam import ApplyToFiles, ModuleHandler
from hubplug_beam._jobs import Wish, plan_job
from hubplug_beam._loaded import loaded
from hubplug_beam._shipping import ship

tf1 = tf.compat.v1
Apply = Callable[..., tuple[list[Any], list[Any]]]


@pytest.fixture(autouse=True)
def hub() -> Any:
    hub = hubplug.Hub({"chain": ["file", "tf1", "savedmodel"]})
    with hub.activate():
        yield hub


@pytest.fixture
def apply(tmp_path: Path) -> Apply:
    """Applies a module to rows: the rows of the shard, and those that failed."""

    def apply(handle: str, rows: list[Any], **options: Any) -> tuple[list[Any], list[Any]]:
        (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
        _ = (
            pipeline
            | beam.Create([str(tmp_path / "in.jsonl")])
            | ApplyToFiles(handle, str(tmp_path / "out-*.jsonl"), **options)
        )
        pipeline.run().wait_until_finish()
        shard, *failed = sorted(tmp_path.glob("out-*"))
        lines = [[json.loads(line) for line in path.read_text().splitlines()] for path in (shard, *failed)]
        return lines[0], lines[1] if failed else []

    return apply


@pytest.fixture(scope="module")
def of_tensorflow_2(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One with signatures of one and of several inputs, of texts, and with outputs of every kind."""
    numbers = tf.TensorSpec([None], tf.float32, name="x")
    pairs = tf.TensorSpec([None, 2], tf.int64, name="n")
    texts = tf.TensorSpec([None], tf.string, name="text")

    class Exported(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.scale = tf.Variable(2.0)
            words = tf.lookup.KeyValueTensorInitializer(["a", "b"], [1, 2])
            self.table = tf.lookup.StaticHashTable(words, -1)

        @tf.function(input_signature=[numbers])
        def scaled(self, x: Any) -> Any:
            return {"scaled": self.scale * x}

        @tf.function(input_signature=[numbers, pairs])
        def several(self, x: Any, n: Any) -> Any:
            return {"sum": x + tf.cast(tf.reduce_sum(n, 1), tf.float32), "n": n}

        @tf.function(input_signature=[texts])
        def split(self, text: Any) -> Any:
            words = tf.strings.split(text)
            return {"ragged": words, "sparse": words.to_sparse(), "id": self.table.lookup(text)}

        @tf.function(input_signature=[texts])
        def parsed(self, text: Any) -> Any:
            return {"number": tf.strings.to_number(text)}

        @tf.function(input_signature=[tf.SparseTensorSpec([None, 6], tf.float32)])
        def sparse(self, s: Any) -> Any:
            return {"sum": tf.sparse.reduce_sum(s, 1)}

    model = Exported()
    path = str(tmp_path_factory.mktemp("saved") / "2")
    signatures = {name: getattr(model, name) for name in ("several", "split", "parsed", "sparse")}
    tf.saved_model.save(model, path, signatures={"serving_default": model.scaled, **signatures})
    return path


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def of_keras(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """One of numbers in two inputs, and one of texts, with a vocabulary."""
    keras = import_module(request.param) if request.param == "tf_keras" else pytest.importorskip("keras")
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    summed = keras.layers.Dense(1, kernel_initializer="ones")(keras.layers.Concatenate()([a, b]))
    vectors = keras.layers.TextVectorization(max_tokens=20, output_sequence_length=2)
    vectors.adapt(["good bad", "ugly"])
    text = keras.Input((), dtype="string", name="text")
    embedded = keras.layers.Embedding(20, 2, embeddings_initializer="ones")(vectors(text))
    folder = tmp_path_factory.mktemp(request.param)
    for name, model in (("numbers", keras.Model([a, b], summed)), ("texts", keras.Model(text, embedded))):
        model.export(str(folder / name))
    return str(folder / "numbers"), str(folder / "texts")


@pytest.fixture(scope="module")
def of_tensorflow_1(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("saved") / "1")
    with tf.Graph().as_default(), tf1.Session() as session:
        text = tf1.placeholder(tf.string, [None])
        words = tf.lookup.KeyValueTensorInitializer(["a"], [5])
        found = tf.lookup.StaticHashTable(words, -1).lookup(text)
        sparse = tf1.sparse_placeholder(tf.float32, [None, 4])
        parts = (
            {"x": tf1.saved_model.build_tensor_info(sparse)},
            {"sum": tf1.saved_model.build_tensor_info(tf.sparse.reduce_sum(sparse, 1))},
        )
        signatures = {
            "serving_default": tf1.saved_model.predict_signature_def({"text": text}, {"id": found}),
            "sparse": tf1.saved_model.build_signature_def(*parts),
        }
        builder = tf1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, main_op=tf1.tables_initializer())
        builder.save()
    return path


def test_the_only_variant_signature_and_output_need_no_names(of_tensorflow_2: str, apply: Apply) -> None:
    assert apply(of_tensorflow_2, [{"x": 1}, {"x": 2.5}]) == ([{"scaled": 2.0}, {"scaled": 5.0}], [])


def test_several_inputs_and_texts_come_from_columns(of_tensorflow_2: str, apply: Apply) -> None:
    rows = [{"x": 1, "pair": [1, 2]}, {"x": 2, "pair": [3, 4]}]
    found, _ = apply(of_tensorflow_2, rows, signature="several", columns={"n": "pair"}, as_dict=True)
    assert found == [{"n": [1, 2], "sum": 4.0}, {"n": [3, 4], "sum": 9.0}]
    found, _ = apply(of_tensorflow_2, [{"text": "a"}, {"text": "good bad"}], signature="split", as_dict=True)
    assert [row["ragged"] for row in found] == [["a"], ["good", "bad"]]
    assert found[1]["sparse"] == {"indices": [0, 1], "values": ["good", "bad"]}
    assert [row["id"] for row in found] == [1, -1]


def test_a_row_that_a_saved_model_refuses_fails_alone_with_the_reason(of_tensorflow_2: str, apply: Apply) -> None:
    found, failed = apply(of_tensorflow_2, [{"text": "1"}, {"text": "one"}], signature="parsed")
    assert found == [{"number": 1.0}]
    assert [row["reason"] for row in failed] == ["StringToNumberOp could not correctly convert string: one"]


def test_what_each_keras_exports_is_applied(of_keras: tuple[str, str], apply: Apply) -> None:
    numbers, texts = of_keras
    assert apply(numbers, [{"a": [1, 2, 3], "b": [4, 5, 6]}]) == ([{"output_0": [21.0]}], [])
    assert apply(texts, [{"text": "good"}, {"text": "other"}])[0] == 2 * [{"output_0": [[1.0, 1.0], [1.0, 1.0]]}]
    assert loaded(ship(None, texts)).bytes == 20 * 2 * 4


def test_saved_models_of_tensorflow_1_are_applied(of_tensorflow_1: str, apply: Apply) -> None:
    assert apply(of_tensorflow_1, [{"text": "a"}, {"text": "b"}]) == ([{"id": 5}, {"id": -1}], [])


def test_sparse_inputs_are_refused_before_anything_starts(of_tensorflow_1: str, of_tensorflow_2: str) -> None:
    with pytest.raises(InputError, match="the parts of a sparse tensor"):
        ship(None, of_tensorflow_2, signature="sparse")
    with pytest.raises(InputError, match="is sparse or ragged"):
        ship(None, of_tensorflow_1, signature="sparse")


def test_the_handler_takes_a_saved_model(of_tensorflow_2: str) -> None:
    def check(found: list[Any]) -> None:
        assert sorted(float(result.inference) for result in found) == [2.0, 4.0]
        assert all(result.inference.dtype == np.float32 for result in found)

    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    assert_that(pipeline | beam.Create([1.0, 2.0]) | RunInference(ModuleHandler(of_tensorflow_2)), check)
    pipeline.run().wait_until_finish()


def test_the_command_plans_with_a_saved_model(of_tensorflow_2: str, tmp_path: Path, hub: hubplug.Hub) -> None:
    (tmp_path / "in.jsonl").write_text('{"x": 1}\n')
    job = plan_job(hub, Wish(of_tensorflow_2, str(tmp_path / "in.jsonl"), str(tmp_path / "out-*.parquet")))
    assert (job.shipment.call.signature, list(job.shipment.call.outputs)) == ("serving_default", ["scaled"])
