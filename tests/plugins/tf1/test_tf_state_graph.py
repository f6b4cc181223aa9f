"""What making a Module adds to a graph."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug
from hubplug.errors import HubplugError
from hubplug_tf1._state.variables import StoredVariable, restore_batches

v1 = tf.compat.v1
KEYS = v1.GraphKeys


def rich(directory: Path, dense_layers: int = 1) -> Any:
    """A function that makes a module with every kind of state."""
    vocabulary = directory / "vocabulary.txt"
    vocabulary.write_text("a\nb\n")

    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        words = v1.placeholder(tf.string, [None], name="words")
        w = v1.get_variable("w", [2, 3], regularizer=tf.nn.l2_loss)
        parts = v1.get_variable("parts", [4, 3], partitioner=v1.fixed_size_partitioner(2))
        ref = v1.get_variable("ref", [3], use_resource=False, initializer=v1.ones_initializer())
        frozen = v1.get_variable(
            "frozen", [3], trainable=False, collections=[KEYS.GLOBAL_VARIABLES, KEYS.MODEL_VARIABLES]
        )
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                str(vocabulary),
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            -1,
        )
        y = tf.matmul(x, w) + ref + frozen + tf.reduce_sum(tf.convert_to_tensor(parts))
        v1.add_to_collection(KEYS.UPDATE_OPS, v1.assign(frozen, tf.reduce_mean(y, 0)).op)
        hubplug.add_signature(inputs={"x": x, "words": words}, outputs={"default": y, "ids": table.lookup(words)})

    return module_fn


@pytest.fixture
def path(tmp_path: Path, export_module: Any) -> str:
    return str(export_module(hubplug.create_module_spec(rich(tmp_path)), tmp_path / "module"))


def names(collection: str) -> list[str]:
    return [element.name for element in v1.get_collection(collection)]


def test_variables_are_named_under_the_variable_scope(path: str, new_graph: tf.Graph) -> None:
    hubplug.Module(path)
    assert names(KEYS.GLOBAL_VARIABLES) == [
        "module/w:0",
        "module/parts/part_0:0",
        "module/parts/part_1:0",
        "module/ref:0",
        "module/frozen:0",
    ]
    assert names(KEYS.MODEL_VARIABLES) == ["module/frozen:0"]


def test_collections_of_a_module_that_is_not_trained(path: str, new_graph: tf.Graph) -> None:
    hubplug.Module(path)
    assert names(KEYS.TABLE_INITIALIZERS) == ["module/text_file_init/InitializeTableFromTextFileV2"]
    assert names(KEYS.ASSET_FILEPATHS) == ["module/asset_path:0"]
    assert set(new_graph.get_all_collection_keys()) <= {
        KEYS.GLOBAL_VARIABLES,
        KEYS.MODEL_VARIABLES,
        KEYS.TABLE_INITIALIZERS,
        KEYS.ASSET_FILEPATHS,
        *[key for key in new_graph.get_all_collection_keys() if not isinstance(key, str)],
        *[key for key in new_graph.get_all_collection_keys() if isinstance(key, str) and key.startswith("__")],
    }


def test_collections_of_a_trainable_module(path: str, new_graph: tf.Graph) -> None:
    hubplug.Module(path, trainable=True)
    trained = ["module/w:0", "module/parts/part_0:0", "module/parts/part_1:0", "module/ref:0"]
    assert names(KEYS.TRAINABLE_VARIABLES) == trained
    assert names(KEYS.REGULARIZATION_LOSSES) == ["module/w/Regularizer/L2Loss:0"]
    assert names(KEYS.UPDATE_OPS) == []


def test_the_same_variable_object_is_in_every_collection(path: str, new_graph: tf.Graph) -> None:
    module = hubplug.Module(path, trainable=True)
    assert v1.get_collection(KEYS.TRAINABLE_VARIABLES)[0] is module.variable_map["w"]
    assert v1.get_collection(KEYS.MODEL_VARIABLES)[0] is module.variable_map["frozen"]


def test_the_variable_map_has_whole_names_and_lists_of_parts(path: str, new_graph: tf.Graph) -> None:
    module = hubplug.Module(path)
    assert list(module.variable_map) == ["w", "parts", "ref", "frozen"]
    assert [part.name for part in module.variable_map["parts"]] == ["module/parts/part_0:0", "module/parts/part_1:0"]
    assert module.variable_map is module.variable_map
    assert [variable.name for variable in module.variables] == [
        "module/frozen:0",
        "module/parts/part_0:0",
        "module/parts/part_1:0",
        "module/ref:0",
        "module/w:0",
    ]


def test_nothing_of_the_applications_and_no_saver_is_added(path: str, new_graph: tf.Graph) -> None:
    hubplug.Module(path, trainable=True)
    kinds = {op.type for op in new_graph.get_operations()}
    assert not kinds & {"Placeholder", "MatMul", "LookupTableFindV2", "SaveV2", "RandomUniform", "MergeV2Checkpoints"}
    assert all(op.name.startswith("module/") for op in new_graph.get_operations())


def test_variables_start_from_the_checkpoint(path: str, new_graph: tf.Graph) -> None:
    module = hubplug.Module(path)
    stored = tf.train.load_checkpoint(f"{path}/variables/variables")
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        for key, variable in module.variable_map.items():
            value = np.concatenate(session.run(variable)) if isinstance(variable, list) else session.run(variable)
            np.testing.assert_array_equal(value, stored.get_tensor(key))


def test_a_changed_variable_is_loaded_again_by_its_initializer(path: str, new_graph: tf.Graph) -> None:
    variable = hubplug.Module(path).variable_map["w"]
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        before = session.run(variable)
        session.run(variable.assign(tf.zeros([2, 3])))
        assert not session.run(variable).any()
        session.run(variable.initializer)
        np.testing.assert_array_equal(session.run(variable), before)


def test_initial_values_are_the_restored_ones(path: str, new_graph: tf.Graph) -> None:
    variable = hubplug.Module(path).variable_map["w"]
    assert variable.initial_value.op.type == "RestoreV2"
    assert variable.initial_value.shape == [2, 3]
    assert variable.initial_value.op.device.endswith("CPU:0")


def test_a_spec_without_a_checkpoint_uses_its_own_initializers(tmp_path: Path, new_graph: tf.Graph) -> None:
    module = hubplug.Module(hubplug.create_module_spec(rich(tmp_path)))
    assert not [op for op in new_graph.get_operations() if op.type == "RestoreV2"]
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        np.testing.assert_array_equal(session.run(module.variable_map["ref"]), np.ones(3))


def test_two_modules_share_no_table(path: str, new_graph: tf.Graph) -> None:
    hubplug.Module(path)
    hubplug.Module(path)
    tables = [op.get_attr("shared_name") for op in new_graph.get_operations() if op.type == "HashTableV2"]
    assert len(set(tables)) == 2
    assert tables[0].startswith(b"module/")
    assert tables[1].startswith(b"module_1/")


def test_name_scopes_do_not_reach_the_state(path: str, new_graph: tf.Graph) -> None:
    with tf.name_scope("ns"):
        hubplug.Module(path)
    assert names(KEYS.GLOBAL_VARIABLES)[0] == "module/w:0"
    assert new_graph.unique_name("ns/module", mark_as_used=False) == "ns/module"


def test_variable_scopes_nest_and_count(path: str, new_graph: tf.Graph) -> None:
    with v1.variable_scope("outer"):
        first = hubplug.Module(path)
        second = hubplug.Module(path, name="p/q")
    third = hubplug.Module(path)
    fourth = hubplug.Module(path)
    assert [m.variable_map["w"].name for m in (first, second, third, fourth)] == [
        "outer/module/w:0",
        "outer/p/q/w:0",
        "module/w:0",
        "module_1/w:0",
    ]


def test_a_taken_name_scope_is_an_error_and_the_next_try_gets_the_next_name(path: str, new_graph: tf.Graph) -> None:
    with tf.name_scope("module"):
        tf.constant(1, name="x")
    message = (
        r"variable_scope module/ was unused but the corresponding name_scope was already taken by the op 'module/x'"
    )
    with pytest.raises(RuntimeError, match=message):
        hubplug.Module(path)
    assert hubplug.Module(path).variable_map["w"].name == "module_1/w:0"


def test_a_variable_of_the_program_is_never_taken_for_one_of_the_module(path: str, new_graph: tf.Graph) -> None:
    v1.get_variable("module/w", [2, 3], use_resource=True)
    with pytest.raises(HubplugError, match="The op 'module/w' is in the graph already") as raised:
        hubplug.Module(path)
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, RuntimeError)
    assert [v.name for v in v1.global_variables()] == ["module/w:0"]


def test_reuse_makes_new_variables_but_not_under_a_taken_name(path: str, new_graph: tf.Graph) -> None:
    with v1.variable_scope("s", reuse=v1.AUTO_REUSE):
        assert hubplug.Module(path).variable_map["w"].name == "s/module/w:0"
        assert hubplug.Module(path).variable_map["w"].name == "s/module_1/w:0"
    with v1.variable_scope("s", reuse=True), pytest.raises(RuntimeError, match="s/module/ was unused"):
        hubplug.Module(path)


def test_getters_and_creators_around_are_ignored(path: str, new_graph: tf.Graph) -> None:
    def fail(*unused: Any, **unused_too: Any) -> Any:
        raise AssertionError("the surroundings made a variable")

    with v1.variable_scope("s", custom_getter=fail, initializer=fail, regularizer=fail, partitioner=fail):  # noqa: SIM117
        with v1.variable_creator_scope(fail):
            module = hubplug.Module(path, trainable=True)
    assert module.variable_map["w"].shape == [2, 3]
    assert names(KEYS.REGULARIZATION_LOSSES) == ["s/module/w/Regularizer/L2Loss:0"]


def test_control_dependencies_do_not_reach_the_state(path: str, new_graph: tf.Graph) -> None:
    with tf.control_dependencies([tf.constant(1, name="before")]):
        hubplug.Module(path)
    controlled = [op for op in new_graph.get_operations() if any(i.name == "before" for i in op.control_inputs)]
    assert controlled == []


def test_a_device_around_fills_what_the_module_leaves_open(path: str, new_graph: tf.Graph) -> None:
    with tf.device("/job:a/device:CPU:1"):
        module = hubplug.Module(path)
    assert module.variable_map["w"].device == "/job:a/device:CPU:1"
    assert module.variable_map["w"].initial_value.op.device == "/job:a/device:CPU:0"


def test_a_variable_that_the_checkpoint_lacks_is_a_value_error(path: str, new_graph: tf.Graph) -> None:
    replace_checkpoint(path, w=np.zeros([2, 3], np.float32))
    with pytest.raises(ValueError, match="Tensor parts is not found in the checkpoint"):
        hubplug.Module(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros([3, 3], np.float32), r"Shape of variable w \(\[2, 3\]\).*\[3, 3\]"),
        (np.zeros([2, 3], np.float64), r"Dtype of variable w \(float32\).*float64"),
    ],
)
def test_a_variable_of_another_shape_or_dtype_is_a_value_error(
    path: str, new_graph: tf.Graph, value: Any, message: str
) -> None:
    replace_checkpoint(path, w=value)
    with pytest.raises(ValueError, match=message):
        hubplug.Module(path)


def test_a_missing_checkpoint_is_a_not_found_error(path: str, new_graph: tf.Graph) -> None:
    shutil.rmtree(f"{path}/variables")
    with pytest.raises(tf.errors.NotFoundError, match="variables are missing") as caught:
        hubplug.Module(path)
    assert isinstance(caught.value, HubplugError)
    assert caught.value.hint
    assert caught.value.hint in str(caught.value)


@pytest.mark.parametrize("name", ["a[1]", "a\\b"])
def test_a_path_that_is_a_pattern_to_tensorflow_is_said_to_be_one(path: str, new_graph: tf.Graph, name: str) -> None:
    patterned = shutil.move(path, Path(path).with_name(name))
    with pytest.raises(tf.errors.NotFoundError, match="variables are missing") as caught:
        hubplug.Module(str(patterned))
    assert isinstance(caught.value, HubplugError)
    assert "for a pattern; move the module" in str(caught.value.hint)


def test_variables_partitioned_along_another_axis_are_refused(new_graph: tf.Graph) -> None:
    def module_fn() -> None:
        v1.get_variable("pp", [3, 4], partitioner=v1.fixed_size_partitioner(2, axis=1))
        hubplug.add_signature(outputs=tf.constant(1.0))

    with pytest.raises(RuntimeError, match=r"duplicate offset 0 for variable \[pp\]"):
        hubplug.Module(hubplug.create_module_spec(module_fn))


def test_a_variable_map_is_an_assignment_map(path: str, tmp_path: Path, new_graph: tf.Graph) -> None:
    module = hubplug.Module(path)
    whole = {key: value for key, value in module.variable_map.items() if not isinstance(value, list)}
    v1.train.init_from_checkpoint(f"{path}/variables/variables", whole)
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        assert session.run(module.variable_map["w"]).shape == (2, 3)


def test_the_state_of_a_spec_can_be_made_in_many_graphs(path: str) -> None:
    spec = hubplug.load_module_spec(path)
    for _ in range(2):
        with tf.Graph().as_default():
            module = hubplug.Module(spec)
            with v1.Session() as session:
                session.run(v1.global_variables_initializer())
                assert session.run(module.variable_map["w"]).shape == (2, 3)


def test_an_initializer_that_is_no_plain_assignment_is_replaced(
    tmp_path: Path, export_module: Any, new_graph: tf.Graph
) -> None:
    def module_fn() -> None:
        w = v1.get_variable("w", [2], initializer=v1.ones_initializer())
        w._initializer_op = tf.group(w.initializer, name="grouped")
        hubplug.add_signature(outputs=w + 0.0)

    path = export_module(hubplug.create_module_spec(module_fn), tmp_path / "grouped")
    replace_checkpoint(str(path), w=np.array([5.0, 6.0], np.float32))
    value = hubplug.Module(str(path))()
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        np.testing.assert_array_equal(session.run(value), [5.0, 6.0])


def stored(key: str, size: int, offset: int | None = None) -> StoredVariable:
    where = None if offset is None else (offset,)
    return StoredVariable(key, key, f"{key}/Assign", where, "", True, tf.float32, (size // 4,), (size // 4,))


def test_restores_are_batched_by_size_in_the_order_of_names() -> None:
    variables = [stored("c", 40), stored("a", 80), stored("b", 40, 4), stored("b", 40, 0), stored("d", 400)]
    batches = restore_batches(variables, batch_bytes=120)
    assert [[(each.key, each.offset) for each in batch] for batch in batches] == [
        [("a", None), ("b", (0,))],
        [("b", (4,)), ("c", None)],
        [("d", None)],
    ]


def replace_checkpoint(path: str, **values: Any) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        saver = v1.train.Saver({key: v1.get_variable(key, initializer=value) for key, value in values.items()})
        session.run(v1.global_variables_initializer())
        saver.save(session, f"{path}/variables/variables", write_meta_graph=False, write_state=False)
