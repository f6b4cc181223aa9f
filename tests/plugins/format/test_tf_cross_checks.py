"""What TensorFlow writes is read here, and what is written here TensorFlow reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hubplug_format import CheckpointIndex, SavedModelFile, Values, check_complete, message_class, write_checkpoint
from tests.plugins.format.conftest import write_partitioned

pytestmark = pytest.mark.tensorflow

NUMBERS = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.fixture(scope="module")
def tf() -> Any:
    import tensorflow

    return tensorflow


@pytest.fixture(scope="module")
def written_by_tensorflow(tf: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TF1 SavedModel with sparse and ragged signatures, a partitioned variable, a table and an asset."""
    directory = tmp_path_factory.mktemp("tf1") / "model"
    vocabulary = directory.parent / "vocab.txt"
    vocabulary.write_text("a\nb\n", encoding="utf-8")
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 4], "x")
        sparse = v1.sparse_placeholder(tf.string, name="sparse")
        ragged = v1.ragged.placeholder(tf.int64, 1, value_shape=[], name="ragged")
        with v1.variable_scope("", use_resource=True, partitioner=v1.fixed_size_partitioner(3)):
            weights = v1.get_variable("w", initializer=tf.reshape(tf.range(40, dtype=tf.float32), [10, 4]))
        v1.get_variable("b", initializer=tf.constant([1.0, 2.0]), use_resource=True)
        v1.get_variable("words", initializer=tf.constant(["x", ""]), use_resource=False)
        table = tf.lookup.StaticVocabularyTable(
            tf.lookup.TextFileInitializer(str(vocabulary), tf.string, 0, tf.int64, -1), 1
        )
        ids = table.lookup(tf.constant(["a"]))
        y = tf.matmul(x, tf.convert_to_tensor(weights), transpose_b=True)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(str(directory))
        info = v1.saved_model.build_tensor_info
        signature = v1.saved_model.build_signature_def(
            {"x": info(x), "sparse": info(sparse), "ragged": info(ragged)}, {"default": info(y), "ids": info(ids)}, "m"
        )
        assets = [tf.constant(str(vocabulary), name="vocabulary")]
        signatures = {"default": signature}
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, assets, main_op=v1.tables_initializer())
        builder.save()
    return directory


def test_signatures_and_variables_of_a_tf1_saved_model_are_read(written_by_tensorflow: Path) -> None:
    variant = SavedModelFile.read(written_by_tensorflow).variant(["serve"])
    inputs = variant.signatures["default"].inputs
    assert (inputs["x"].dtype, inputs["x"].shape) == ("float32", (None, 4))
    assert (inputs["sparse"].dtype, inputs["sparse"].shape, inputs["sparse"].kind) == ("string", None, "sparse")
    assert (inputs["ragged"].dtype, inputs["ragged"].kind) == ("int64", "composite")
    assert inputs["ragged"].shape == (None, None)
    assert variant.method_names == {"default": "m"}
    assert [asset.filename for asset in variant.assets] == ["vocab.txt"]
    parts = [variable for variable in variant.variables if variable.key == "w"]
    assert [part.name for part in parts] == ["w/part_0:0", "w/part_1:0", "w/part_2:0"]
    assert [part.slice.offset for part in parts if part.slice] == [(0, 0), (4, 0), (7, 0)]
    assert check_complete(written_by_tensorflow) == []


def test_the_checkpoint_of_a_saved_model_is_read_value_for_value(tf: Any, written_by_tensorflow: Path) -> None:
    prefix = str(written_by_tensorflow / "variables" / "variables")
    index = CheckpointIndex.read(prefix)
    theirs = tf.train.load_checkpoint(prefix)
    assert set(index.entries) == set(theirs.get_variable_to_shape_map())
    for name, entry in index.entries.items():
        assert list(entry.shape) == theirs.get_variable_to_shape_map()[name]
        assert np.array_equal(index.array(name), theirs.get_tensor(name))
    assert len(index.entries["w"].slices) == 3


def test_tensorflow_parses_the_same_meta_graph(tf: Any, written_by_tensorflow: Path) -> None:
    from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

    data = (written_by_tensorflow / "saved_model.pb").read_bytes()
    (theirs,) = saved_model_pb2.SavedModel.FromString(data).meta_graphs
    variant = SavedModelFile.read(written_by_tensorflow).variant(["serve"])
    assert meta_graph_pb2.MetaGraphDef.FromString(variant.meta_graph_bytes) == theirs
    assert [node.name for node in variant.graph.nodes] == [node.name for node in theirs.graph_def.node]
    again = message_class("MetaGraphDef").FromString(variant.meta_graph_bytes).SerializeToString()
    assert meta_graph_pb2.MetaGraphDef.FromString(again) == theirs
    from google.protobuf import text_format

    (written_by_tensorflow.parent / "text").mkdir()
    path = written_by_tensorflow.parent / "text" / "saved_model.pbtxt"
    path.write_text(text_format.MessageToString(saved_model_pb2.SavedModel.FromString(data)), encoding="utf-8")
    from_text = SavedModelFile.read(path.parent).variant(["serve"])
    assert from_text.signatures == variant.signatures
    assert meta_graph_pb2.MetaGraphDef.FromString(from_text.meta_graph_bytes) == theirs


def test_our_field_numbers_and_types_are_tensorflows(tf: Any) -> None:
    from tensorflow.core.framework import types_pb2, variable_pb2
    from tensorflow.core.protobuf import saved_model_pb2, tensor_bundle_pb2

    seen: set[str] = set()

    def compare(ours: Any, theirs: Any) -> None:
        if theirs.full_name in seen:
            return
        seen.add(theirs.full_name)
        for field in ours.fields:
            other = theirs.fields_by_name[field.name]
            assert other.number == field.number, (theirs.full_name, field.name)
            assert {field.type, other.type} in ({field.type}, {5, 14}), (theirs.full_name, field.name)
            if field.message_type is not None:
                compare(field.message_type, other.message_type)

    for name, message in {
        "SavedModel": saved_model_pb2.SavedModel,
        "VariableDef": variable_pb2.VariableDef,
        "BundleHeaderProto": tensor_bundle_pb2.BundleHeaderProto,
        "BundleEntryProto": tensor_bundle_pb2.BundleEntryProto,
    }.items():
        compare(message_class(name).DESCRIPTOR, message.DESCRIPTOR)
    ours = message_class("TensorProto").DESCRIPTOR.fields_by_name["dtype"].enum_type.values_by_name
    theirs = dict(types_pb2.DataType.items())
    assert {name: value.number for name, value in ours.items() if name in theirs} == theirs
    assert len(seen) > 30


@pytest.mark.parametrize("dtype", NUMBERS)
def test_tensorflow_reads_the_numbers_of_our_checkpoints(tf: Any, tmp_path: Path, dtype: str) -> None:
    value = np.array([[0, 1, 2], [3, 100, 5]], dtype)
    write_checkpoint(tmp_path / "c", {"scope/value": value, "scalar": value[0, 1]})
    reader = tf.train.load_checkpoint(str(tmp_path / "c"))
    assert reader.get_tensor("scope/value").dtype == dtype
    assert np.array_equal(reader.get_tensor("scope/value"), value)
    assert np.array_equal(CheckpointIndex.read(tmp_path / "c").array("scope/value"), value)


def test_tensorflow_reads_the_strings_and_the_many_tensors_of_our_checkpoints(tf: Any, tmp_path: Path) -> None:
    words = [["", "x" * 200], ["é", "z"]]
    tensors: dict[str, Any] = {f"layer_{i}/w": float(i) for i in range(700)} | {"words": words, "flags": [True, False]}
    write_checkpoint(tmp_path / "c", tensors)
    reader = tf.train.load_checkpoint(str(tmp_path / "c"))
    assert set(reader.get_variable_to_shape_map()) == set(tensors)
    assert reader.get_tensor("words").tolist() == [[word.encode() for word in row] for row in words]
    assert reader.get_tensor("flags").tolist() == [True, False]
    assert all(reader.get_tensor(f"layer_{i}/w") == i for i in range(0, 700, 50))


@pytest.mark.usefixtures("eager")
def test_bfloat16_is_widened(tf: Any, tmp_path: Path) -> None:
    values = tf.Variable(tf.constant([1.5, -2.0], tf.bfloat16))
    prefix = tf.train.Checkpoint(v=values).write(str(tmp_path / "c"))
    array = CheckpointIndex.read(prefix).array("v/.ATTRIBUTES/VARIABLE_VALUE")
    assert array.dtype == np.float32
    assert array.tolist() == [1.5, -2.0]


@pytest.mark.usefixtures("eager")
def test_our_module_runs_in_tensorflow(tf: Any, small_module: Path) -> None:
    loaded = tf.saved_model.load(str(small_module), tags=[])
    got = loaded.signatures["default"](tf.constant([[1.0, 1.0]]))
    assert got["default"].numpy().tolist() == [[4.0, 6.0]]
    assert got["names"].numpy().tolist() == [b"a", b"bcd", b""]


def test_our_module_is_a_module_to_tensorflow_hub(tf: Any, small_module: Path) -> None:
    hub = pytest.importorskip("tensorflow_hub", exc_type=ImportError)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        module = hub.Module(str(small_module), trainable=True)
        outputs = module(np.array([[1.0, 1.0]], np.float32), as_dict=True)
        session.run(tf.compat.v1.global_variables_initializer())
        assert session.run(outputs["default"]).tolist() == [[4.0, 6.0]]
        assert session.run(outputs["vocab"]) == str(small_module / "assets" / "vocab.txt").encode()
        assert sorted(module.variable_map) == ["count", "names", "scope/w"]
        assert [variable.op.name for variable in tf.compat.v1.trainable_variables()] == [
            "module/scope/w",
            "module/count",
        ]


@pytest.mark.usefixtures("eager")
def test_a_tf2_saved_model_is_recognized(tf: Any, tmp_path: Path) -> None:
    root = tf.Module()
    root.v = tf.Variable([1.0, 2.0])
    root.f = tf.function(lambda x: x * root.v, input_signature=[tf.TensorSpec([None, 2])])
    tf.saved_model.save(root, str(tmp_path / "m"), signatures=root.f)
    variant = SavedModelFile.read(tmp_path / "m").variant(["serve"])
    assert variant.has_object_graph
    assert variant.saver is not None
    assert variant.saver.restore_op_name
    assert variant.signatures["serving_default"].inputs["x"].shape == (None, 2)
    assert check_complete(tmp_path / "m") == []
    (tmp_path / "m" / "variables" / "variables.index").unlink()
    assert len(check_complete(tmp_path / "m")) == 1


@pytest.mark.usefixtures("programs_of_tensorflow_2")
def test_every_op_that_this_tensorflow_registers_has_a_class(tf: Any) -> None:
    """Put what is missing into registered_ops.json, by what its kernels do: see docs/validation.md."""
    program = Path(__file__).parents[3] / "tools" / "review_ops.py"
    listed = Path(__file__).parents[3] / "plugins" / "hubplug_format" / "module" / "registered_ops.json"
    before = listed.read_bytes()
    # In a process of its own, where no test has loaded ops.
    done = subprocess.run([sys.executable, program, listed], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"TensorFlow {tf.__version__} registers" in done.stdout
    assert listed.read_bytes() == before, "the file names the releases that it was reviewed with"


@pytest.mark.any_tensorflow
@pytest.mark.usefixtures("programs_of_tensorflow_2")
def test_an_op_without_a_class_is_shown_with_what_to_review(tf: Any, tmp_path: Path) -> None:
    program = Path(__file__).parents[3] / "tools" / "review_ops.py"
    listed = json.loads(
        (Path(__file__).parents[3] / "plugins/hubplug_format/module/registered_ops.json").read_text("utf-8")
    )
    listed["classes"]["reads-files"]["ops"].remove("ReadFile")
    (tmp_path / "ops.json").write_text(json.dumps(listed), encoding="utf-8")
    command = [sys.executable, program, tmp_path / "ops.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1
    assert "ReadFile: string input filename, string output contents" in done.stdout


def test_values_are_taken_from_numpy_as_they_are(tf: Any) -> None:
    assert Values.of(np.float64(1.5)).dtype == "float64"
    assert Values.of(np.array([True])).dtype == "bool"
    assert Values.of(np.array(["a", "b"])).items == (b"a", b"b")


@pytest.mark.parametrize("parts", [[(0, 2), (3, 2)], [(0, 3), (2, 3)], [(0, 2), (2, 3)]])
def test_parts_that_are_not_a_whole_are_refused_as_tensorflow_refuses_them(
    tf: Any, tmp_path: Path, parts: list[tuple[int, int]]
) -> None:
    write_partitioned(tmp_path / "ckpt", "w", (5, 2), parts)
    index = CheckpointIndex.read(tmp_path / "ckpt")
    if index.find_slices_error("w") is None:
        assert tf.train.load_checkpoint(str(tmp_path / "ckpt")).get_tensor("w").tolist() == index.array("w").tolist()
    else:
        with pytest.raises((tf.errors.OpError, ValueError, RuntimeError)):
            tf.train.load_checkpoint(str(tmp_path / "ckpt")).get_tensor("w")


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("names", [["a"], ["\xff"], [f"layer_{n:04}/{'x' * (n % 300)}" for n in range(5000)]], ids=len)
def test_an_index_of_any_size_is_byte_for_byte_what_tensorflow_writes(
    tmp_path: Path, tf: Any, names: list[str]
) -> None:
    for kind in ("ours", "theirs"):
        (tmp_path / kind).mkdir()
    values = [float(number) for number in range(len(names))]
    write_checkpoint(tmp_path / "ours" / "c", dict(zip(names, values, strict=True)))
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "theirs" / "c"),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(value) for value in values],
    )
    for name in ("c.index", "c.data-00000-of-00001"):
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()
