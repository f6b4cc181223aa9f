"""What Module.export and ModuleSpec.export write, and what they refuse."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug
from hubplug.errors import ExportError
from hubplug_format.checkpoint.table import read_table
from hubplug_tf1._exporting import checkpoint as _checkpoint

v1 = tf.compat.v1


def linear(train: bool = False) -> None:
    x = v1.placeholder(tf.float32, [None, 2], name="x")
    w = v1.get_variable("w", [2, 3], initializer=v1.constant_initializer(np.arange(6.0).reshape(2, 3)))
    b = v1.get_variable("scope/b", [3], initializer=v1.constant_initializer([1.0, 2.0, 3.0]))
    hubplug.add_signature(inputs=x, outputs=tf.matmul(x, w) + b)


def counted(shape: Any, dtype: Any = None, partition_info: Any = None) -> tf.Tensor:
    """A part of ``arange(8).reshape(4, 2)``."""
    start = 2 * partition_info.var_offset[0]
    return tf.cast(tf.reshape(tf.range(start, start + int(np.prod(shape))), shape), tf.float32)


def partitioned() -> None:
    x = v1.placeholder(tf.float32, [None, 4])
    whole = v1.get_variable("p", [4, 2], initializer=counted, partitioner=v1.fixed_size_partitioner(2))
    hubplug.add_signature(inputs=x, outputs=tf.matmul(x, whole.as_tensor()))


def files_of(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def run(module: Any, inputs: Any) -> Any:
    result = module(inputs)
    with v1.Session() as session:
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        return session.run(result)


def test_a_small_module_is_four_files_and_two_directories(tmp_path: Path, export_module: Any) -> None:
    path = export_module(hubplug.create_module_spec(linear), tmp_path / "m")
    assert files_of(path) == [
        "saved_model.pb",
        "tfhub_module.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    ]
    assert (path / "assets").is_dir()
    assert (path / "tfhub_module.pb").read_bytes() == b"\x08\x03"


def test_a_module_without_state_has_empty_directories(tmp_path: Path, export_module: Any) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [])
        hubplug.add_signature(inputs=x, outputs=x + 1.0)

    path = export_module(hubplug.create_module_spec(module_fn), tmp_path / "m")
    assert files_of(path) == ["saved_model.pb", "tfhub_module.pb"]
    assert (path / "variables").is_dir()
    assert (path / "assets").is_dir()
    with tf.Graph().as_default():
        assert run(hubplug.Module(str(path)), 2.0) == 3.0


def test_values_and_names_survive_the_way_to_disk_and_back(tmp_path: Path, export_module: Any) -> None:
    path = export_module(hubplug.create_module_spec(linear), tmp_path / "m")
    stored = dict(tf.train.list_variables(str(path / "variables" / "variables")))
    assert stored == {"w": [2, 3], "scope/b": [3]}
    with tf.Graph().as_default():
        np.testing.assert_array_equal(run(hubplug.Module(str(path)), [[1.0, 1.0]]), [[4.0, 7.0, 10.0]])


def test_the_values_are_those_of_the_session(tmp_path: Path) -> None:
    with tf.Graph().as_default():
        module = hubplug.Module(hubplug.create_module_spec(linear))
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            module.variable_map["scope/b"].load([7.0, 8.0, 9.0], session)
            module.export(str(tmp_path / "m"), session)
    reader = tf.train.load_checkpoint(str(tmp_path / "m" / "variables" / "variables"))
    np.testing.assert_array_equal(reader.get_tensor("scope/b"), [7.0, 8.0, 9.0])


def test_parts_are_stored_as_slices_of_the_whole(tmp_path: Path, export_module: Any) -> None:
    path = export_module(hubplug.create_module_spec(partitioned), tmp_path / "m")
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    assert reader.get_variable_to_shape_map() == {"p": [4, 2]}
    np.testing.assert_array_equal(reader.get_tensor("p"), np.arange(8.0).reshape(4, 2))
    with tf.Graph().as_default():
        module = hubplug.Module(str(path))
        assert [part.shape.as_list() for part in module.variable_map["p"]] == [[2, 2], [2, 2]]
        np.testing.assert_array_equal(run(module, np.eye(4, dtype=np.float32)), np.arange(8.0).reshape(4, 2))


def test_variables_beyond_one_batch_are_one_data_file(
    tmp_path: Path, export_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_checkpoint, "BATCH_BYTES", 16)
    for name, module_fn in (("linear", linear), ("partitioned", partitioned)):
        path = export_module(hubplug.create_module_spec(module_fn), tmp_path / name)
        assert sorted(os.listdir(path / "variables")) == ["variables.data-00000-of-00001", "variables.index"]
    with tf.Graph().as_default():
        module = hubplug.Module(str(tmp_path / "partitioned"))
        np.testing.assert_array_equal(run(module, np.eye(4, dtype=np.float32)), np.arange(8.0).reshape(4, 2))


def test_variables_of_many_dtypes_are_stored(tmp_path: Path, export_module: Any) -> None:
    values = {
        "string": np.array([b"a", b"bc"], dtype=object),
        "string_of_equal_shape": np.array([b"abc\0", b""], dtype=object),
        "string_scalar": np.array(b"ends in\0\0", dtype=object),
        "bool": np.array([True, False]),
        "int8": np.array([-1, 2], np.int8),
        "float64": np.array([1.5]),
        "float64_of_equal_shape": np.array([2.5]),
        "complex64": np.array([1 + 2j], np.complex64),
        "bfloat16": np.array([1.5, 2.5]).astype(tf.bfloat16.as_numpy_dtype),
        "empty": np.zeros([0, 3], np.float32),
    }

    def module_fn() -> None:
        outputs = {}
        for name, value in values.items():
            dtype = tf.string if value.dtype == object else tf.as_dtype(value.dtype)
            variable = v1.get_variable(name, initializer=tf.constant(value, dtype))
            outputs[name] = tf.identity(variable)
        hubplug.add_signature(outputs=outputs)

    spec = hubplug.create_module_spec(module_fn)
    path = export_module(spec, tmp_path / "from a session")
    stored = str(path / "variables" / "variables")
    spec.export(str(tmp_path / "from a checkpoint"), checkpoint_path=stored)
    for checkpoint in (stored, str(tmp_path / "from a checkpoint" / "variables" / "variables")):
        reader = tf.train.load_checkpoint(checkpoint)
        for name, value in values.items():
            np.testing.assert_array_equal(np.asarray(reader.get_tensor(name), value.dtype), value, err_msg=name)


def test_a_checkpoint_is_byte_for_byte_what_a_saver_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checkpoint, "BATCH_BYTES", 64)
    (tmp_path / "saver").mkdir()
    (tmp_path / "module").mkdir()
    kinds = [tf.bool, tf.int8, tf.uint16, tf.int64, tf.float16, tf.bfloat16, tf.float32, tf.float64, tf.complex128]
    with tf.Graph().as_default():
        for resource in (False, True):
            with v1.variable_scope("resource" if resource else "reference", use_resource=resource):
                for kind in kinds:
                    v1.get_variable(f"matrix/{kind.name}", initializer=tf.cast([[0, 1, 2], [3, 4, 5]], kind))
                    v1.get_variable(f"scalar/{kind.name}", initializer=tf.cast(7, kind))
                    v1.get_variable(f"empty/{kind.name}", initializer=tf.cast(tf.zeros([0, 3]), kind))
                v1.get_variable("text", initializer=tf.constant([[b"a", b"", b"c" * 300]]))
                v1.get_variable("text_scalar", initializer=tf.constant(b"ends in\0\0"))
                v1.get_variable("no_text", initializer=tf.constant([], tf.string, shape=[0, 2]))
                v1.get_variable("large", [70, 1000], initializer=v1.random_uniform_initializer())
                for name, partitioner in (
                    ("rows", v1.fixed_size_partitioner(3)),
                    ("columns", v1.fixed_size_partitioner(2, axis=1)),
                    ("whole", v1.fixed_size_partitioner(1)),
                ):
                    v1.get_variable(f"parts/{name}", [7, 4], partitioner=partitioner)
        variables = v1.global_variables()
        named: dict[str, Any] = {}
        for variable in variables:
            info = variable._get_save_slice_info()
            named.setdefault(info.full_name if info else variable.op.name, []).append(variable)
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            v1.train.Saver(variables).save(session, str(tmp_path / "saver" / "variables"), write_meta_graph=False)
            _checkpoint.save_from_session(tmp_path / "module", named, session)
    ours, theirs = tmp_path / "module" / "variables", tmp_path / "saver"
    assert sorted(os.listdir(ours)) == ["variables.data-00000-of-00001", "variables.index"]
    for name in ("variables.index", "variables.data-00000-of-00001"):
        assert filecmp.cmp(ours / name, theirs / name, shallow=False)
    stored = read_table((ours / "variables.index").read_bytes(), "index")
    assert len(stored) == 1 + 2 * (3 * len(kinds) + 4 + (1 + 3) + (1 + 2) + 1)


def test_equal_modules_give_equal_bytes(tmp_path: Path, export_module: Any) -> None:
    spec = hubplug.create_module_spec(linear, [(set(), {}), ({"train"}, {"train": True})])
    first, second = export_module(spec, tmp_path / "a"), export_module(spec, tmp_path / "b")
    assert files_of(first) == files_of(second)
    assert filecmp.cmpfiles(first, second, files_of(first), shallow=False)[0] == files_of(first)


def test_a_loaded_module_exports_to_the_same_bytes(tmp_path: Path, export_module: Any) -> None:
    first = export_module(hubplug.create_module_spec(linear), tmp_path / "a")
    second = export_module(str(first), tmp_path / "b")
    assert filecmp.cmpfiles(first, second, files_of(first), shallow=False)[0] == files_of(first)


def test_the_saved_model_is_as_the_format_wants_it(tmp_path: Path, export_module: Any, read_saved_model: Any) -> None:
    path = export_module(hubplug.create_module_spec(linear, [(set(), {}), ({"b", "a"}, {})]), tmp_path / "m")
    saved_model = read_saved_model(path)
    assert saved_model.saved_model_schema_version == 0
    assert [list(meta_graph.meta_info_def.tags) for meta_graph in saved_model.meta_graphs] == [[], ["a", "b"]]
    for meta_graph in saved_model.meta_graphs:
        assert meta_graph.meta_info_def.stripped_default_attrs
        assert meta_graph.meta_info_def.tensorflow_version == tf.__version__
        assert {op.name for op in meta_graph.meta_info_def.stripped_op_list.op} >= {"MatMul", "VarHandleOp"}
        assert not meta_graph.HasField("saver_def")
        assert not meta_graph.asset_file_def
        assert meta_graph.graph_def.versions.producer > 0
        assert not meta_graph.graph_def.versions.bad_consumers
        assert meta_graph.signature_def["default"].method_name == ""
        nodes = {node.name: node for node in meta_graph.graph_def.node}
        assert "transpose_a" not in nodes["MatMul"].attr
        assert "_output_shapes" in nodes["MatMul"].attr


def test_a_finalized_graph_can_be_exported_and_gets_no_ops(tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        module = hubplug.Module(hubplug.create_module_spec(linear))
        initializer = v1.global_variables_initializer()
        graph.finalize()
        with v1.Session() as session:
            session.run(initializer)
            module.export(str(tmp_path / "m"), session)
    assert (tmp_path / "m" / "tfhub_module.pb").is_file()


def test_an_uninitialized_variable_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with tf.Graph().as_default():
        module = hubplug.Module(hubplug.create_module_spec(linear))
        with v1.Session() as session, pytest.raises(tf.errors.FailedPreconditionError):
            module.export(str(tmp_path / "m"), session)
    assert os.listdir(tmp_path) == []


def test_a_monitored_session_is_refused(tmp_path: Path) -> None:
    with tf.Graph().as_default():
        module = hubplug.Module(hubplug.create_module_spec(linear))
        with v1.train.SingularMonitoredSession() as session, pytest.raises(TypeError, match="SingularMonitoredSession"):
            module.export(str(tmp_path / "m"), session)
    assert os.listdir(tmp_path) == []


def test_an_interactive_session_and_a_path_as_bytes_will_do(tmp_path: Path) -> None:
    with tf.Graph().as_default():
        module = hubplug.Module(hubplug.create_module_spec(linear))
        session = v1.InteractiveSession()
        try:
            session.run(v1.global_variables_initializer())
            module.export(os.fsencode(tmp_path / "m"), session)  # type: ignore[arg-type]
        finally:
            session.close()
    assert (tmp_path / "m" / "tfhub_module.pb").is_file()


def test_an_occupied_directory_is_refused_before_anything_is_touched(tmp_path: Path, export_module: Any) -> None:
    path = export_module(hubplug.create_module_spec(linear), tmp_path / "m")
    before = {name: (path / name).stat().st_mtime_ns for name in files_of(path)}
    with pytest.raises(tf.errors.AlreadyExistsError, match="exists already") as got:
        export_module(hubplug.create_module_spec(partitioned), path)
    assert isinstance(got.value, ExportError)
    assert "hint: choose another directory" in str(got.value)
    assert {name: (path / name).stat().st_mtime_ns for name in files_of(path)} == before


def test_a_directory_with_other_files_takes_a_module_and_none_with_one_of_its_names(
    tmp_path: Path, export_module: Any
) -> None:
    spec = hubplug.create_module_spec(linear)
    (tmp_path / "vocab.txt").write_text("mine")
    path = export_module(spec, tmp_path)
    assert {"tfhub_module.pb", "vocab.txt"} <= {each.name for each in path.iterdir()}
    with tf.Graph().as_default():
        assert sorted(hubplug.Module(str(path)).variable_map) == sorted(hubplug.Module(spec).variable_map)
    with pytest.raises(
        tf.errors.AlreadyExistsError, match=r"has assets, saved_model\.pb, tfhub_module\.pb, variables in"
    ):
        export_module(spec, tmp_path)
    for name in ("assets", "variables", "saved_model.pb", "saved_model.pbtxt", "tfhub_module.pb"):
        (tmp_path / f"with {name}").mkdir()
        (tmp_path / f"with {name}" / name).write_text("mine")
        with pytest.raises(tf.errors.AlreadyExistsError, match="exists already and has"):
            export_module(spec, tmp_path / f"with {name}")


def test_a_file_in_the_way_is_refused_and_an_empty_directory_is_not(tmp_path: Path, export_module: Any) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "empty").mkdir()
    spec = hubplug.create_module_spec(linear)
    with pytest.raises(tf.errors.AlreadyExistsError):
        export_module(spec, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "precious"
    assert (export_module(spec, tmp_path / "empty") / "tfhub_module.pb").is_file()


def test_missing_parents_are_made(tmp_path: Path, export_module: Any) -> None:
    assert (export_module(hubplug.create_module_spec(linear), tmp_path / "a" / "b" / "m") / "tfhub_module.pb").is_file()


def test_only_the_variables_of_the_instantiated_variant_are_written(tmp_path: Path, export_module: Any) -> None:
    def module_fn(train: bool) -> None:
        x = v1.placeholder(tf.float32, [])
        y = x * v1.get_variable("w", [], initializer=v1.ones_initializer())
        if train:
            y += v1.get_variable("extra", [], initializer=v1.ones_initializer())
        hubplug.add_signature(inputs=x, outputs=y)

    spec = hubplug.create_module_spec(module_fn, [(set(), {"train": False}), ({"train"}, {"train": True})])
    inference = export_module(spec, tmp_path / "inference")
    training = export_module(spec, tmp_path / "training", tags={"train"})
    assert [name for name, _ in tf.train.list_variables(str(inference / "variables" / "variables"))] == ["w"]
    assert [name for name, _ in tf.train.list_variables(str(training / "variables" / "variables"))] == ["extra", "w"]
    with tf.Graph().as_default():
        assert run(hubplug.Module(str(training)), 2.0) == 2.0
        with pytest.raises(ValueError, match="extra is not found"):
            hubplug.Module(str(inference), tags={"train"})


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> Callable[..., str]:
    """Writes a checkpoint of variables with these shapes; each is filled with its index."""

    def make(name: str, shapes: dict[str, list[int]], dtype: tf.DType = tf.float32) -> str:
        with tf.Graph().as_default():
            for number, (key, shape) in enumerate(shapes.items()):
                v1.get_variable(key, initializer=tf.cast(tf.reshape(tf.range(np.prod(shape)), shape) + number, dtype))
            with v1.Session() as session:
                session.run(v1.global_variables_initializer())
                path: str = v1.train.Saver().save(session, str(tmp_path / "checkpoints" / name))
                return path

    return make


def test_a_module_is_exported_from_a_checkpoint(tmp_path: Path, make_checkpoint: Any) -> None:
    checkpoint = make_checkpoint("c", {"w": [2, 3], "scope/b": [3], "unrelated": [1]})
    hubplug.create_module_spec(linear).export(str(tmp_path / "m"), checkpoint_path=checkpoint)
    assert dict(tf.train.list_variables(str(tmp_path / "m" / "variables" / "variables"))) == {
        "w": [2, 3],
        "scope/b": [3],
    }
    with tf.Graph().as_default():
        np.testing.assert_array_equal(run(hubplug.Module(str(tmp_path / "m")), [[1.0, 1.0]]), [[4.0, 7.0, 10.0]])


def test_names_of_the_checkpoint_are_asked_for_once_each(tmp_path: Path, make_checkpoint: Any) -> None:
    checkpoint = make_checkpoint("c", {"module/p": [4, 2]})
    asked: list[str] = []

    def name_in_checkpoint(name: str) -> str:
        asked.append(name)
        return "module/" + name

    hubplug.create_module_spec(partitioned).export(
        str(tmp_path / "m"), checkpoint_path=checkpoint, name_transform_fn=name_in_checkpoint
    )
    assert asked == ["p"]
    reader = tf.train.load_checkpoint(str(tmp_path / "m" / "variables" / "variables"))
    np.testing.assert_array_equal(reader.get_tensor("p"), np.arange(8.0).reshape(4, 2))


def test_of_a_directory_of_checkpoints_the_latest_is_taken(tmp_path: Path, make_checkpoint: Any) -> None:
    make_checkpoint("old", {"w": [2, 3]})
    checkpoint = make_checkpoint("new", {"w": [2, 3], "scope/b": [3]})
    hubplug.create_module_spec(linear).export(str(tmp_path / "m"), checkpoint_path=os.path.dirname(checkpoint))
    assert len(tf.train.list_variables(str(tmp_path / "m" / "variables" / "variables"))) == 2


@pytest.mark.parametrize(
    ("shapes", "dtype", "what"),
    [
        ({"w": [2, 3]}, tf.float32, "Tensor scope/b is not found"),
        ({"w": [3, 3], "scope/b": [3]}, tf.float32, r"Shape of variable w \(\[2, 3\]\)"),
        ({"w": [2, 3], "scope/b": [3]}, tf.float64, r"Dtype of variable w \(float32\)"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    tmp_path: Path, make_checkpoint: Any, shapes: dict[str, list[int]], dtype: tf.DType, what: str
) -> None:
    checkpoint = make_checkpoint("c", shapes, dtype)
    with pytest.raises(ValueError, match=what):
        hubplug.create_module_spec(linear).export(str(tmp_path / "m"), checkpoint_path=checkpoint)
    assert os.listdir(tmp_path) == ["checkpoints"]


def test_a_checkpoint_is_needed_and_must_exist(tmp_path: Path) -> None:
    spec = hubplug.create_module_spec(linear)
    with pytest.raises(ValueError, match="checkpoint_path"):
        spec.export(str(tmp_path / "m"))
    with pytest.raises(tf.errors.NotFoundError):
        spec.export(str(tmp_path / "m"), checkpoint_path=str(tmp_path / "nothing"))
    assert os.listdir(tmp_path) == []


def test_a_spec_without_an_untagged_variant_is_not_exported_from_a_checkpoint(
    tmp_path: Path, make_checkpoint: Any
) -> None:
    checkpoint = make_checkpoint("c", {"w": [2, 3], "scope/b": [3]})
    spec = hubplug.create_module_spec(linear, [({"train"}, {})])
    with pytest.raises(ValueError, match=r"No such graph variant: tags=None[\s\S]*\['train'\]"):
        spec.export(str(tmp_path / "m"), checkpoint_path=checkpoint)


def test_a_session_over_another_graph_is_a_runtime_error(tmp_path: Path) -> None:
    def module_fn() -> None:
        hubplug.add_signature(outputs=v1.get_variable("w", [2]) + 1.0)

    with tf.Graph().as_default():
        module = hubplug.Module(hubplug.create_module_spec(module_fn))
    with tf.Graph().as_default(), v1.Session() as session:
        tf.constant(1.0)
        with pytest.raises(RuntimeError, match="session graph differs from the graph where the module was"):
            module.export(str(tmp_path / "m"), session)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("resource", [True, False])
def test_uninitialized_variables_in_many_batches_are_said_to_be_that_and_the_session_lives(
    tmp_path: Path, resource: bool
) -> None:
    def module_fn() -> None:
        for number in range(6):
            v1.get_variable(f"v{number}", [9 << 20], initializer=v1.zeros_initializer(), use_resource=resource)
        hubplug.add_signature(outputs=tf.constant(1.0))

    with tf.Graph().as_default(), v1.Session() as session:
        module = hubplug.Module(hubplug.create_module_spec(module_fn))
        for _ in range(10):
            with pytest.raises(tf.errors.FailedPreconditionError):
                module.export(str(tmp_path / "m"), session)
        session.run(v1.global_variables_initializer())
        module.export(str(tmp_path / "m"), session)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
