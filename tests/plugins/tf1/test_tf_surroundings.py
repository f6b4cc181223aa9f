"""What programs do with the graph around a Module: freeze it, save it, restore it, distribute it."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug

v1 = tf.compat.v1
KEYS = v1.GraphKeys

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def dense(tmp_path: Path, export_module: Any) -> str:
    """A published module: ``x @ w + b`` with ones as weights and twos as bias."""

    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [None, 3], name="x")
        w = v1.get_variable("w", [3, 2], initializer=v1.ones_initializer())
        b = v1.get_variable("b", [2], initializer=v1.constant_initializer(2.0))
        hubplug.add_signature(inputs=x, outputs=tf.matmul(x, w) + b)
        hubplug.add_signature("with a space", inputs=x, outputs=x + 1.0)

    return str(export_module(hubplug.create_module_spec(module_fn), tmp_path / "dense"))


@pytest.fixture
def text(tmp_path: Path, export_module: Any) -> Path:
    """A published module that looks words up in its vocabulary."""
    (tmp_path / "vocabulary.txt").write_text("a\nb\n")

    def module_fn() -> None:
        words = v1.placeholder(tf.string, [None])
        source = tf.lookup.TextFileInitializer(
            str(tmp_path / "vocabulary.txt"),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        table = v1.get_variable("table", initializer=[[1.0], [2.0], [3.0]])
        ids = tf.lookup.StaticVocabularyTable(source, 1).lookup(words)
        hubplug.add_signature(inputs=words, outputs=tf.nn.embedding_lookup(table, ids))

    path: Path = export_module(hubplug.create_module_spec(module_fn), tmp_path / "text")
    (tmp_path / "vocabulary.txt").unlink()
    return path


def initialize(session: Any) -> None:
    session.run([v1.global_variables_initializer(), v1.tables_initializer()])


def test_a_frozen_graph_needs_nothing_of_the_module(dense: str) -> None:
    with tf.Graph().as_default() as graph, v1.Session() as session:
        output = hubplug.Module(dense)(v1.placeholder(tf.float32, [None, 3], name="x"))
        initialize(session)
        frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), [output.op.name])
    Path(dense).rename(f"{dense}-away")
    with tf.Graph().as_default(), v1.Session() as session:
        v1.import_graph_def(frozen, name="")
        np.testing.assert_array_equal(session.run(output.name, {"x:0": [[1.0, 2.0, 3.0]]}), [[8.0, 8.0]])


def test_a_meta_graph_with_a_checkpoint_goes_into_another_program(text: Path, tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        v1.add_to_collection("outputs", hubplug.Module(str(text))(["b", "?"]))
        initialize(session)
        prefix = v1.train.Saver().save(session, str(tmp_path / "program"))
    with tf.Graph().as_default() as graph, v1.Session() as session:
        v1.train.import_meta_graph(f"{prefix}.meta").restore(session, prefix)
        session.run(v1.tables_initializer())
        (output,) = graph.get_collection("outputs")
        assert session.run(output).tolist() == [[2.0], [3.0]]


def test_monitored_sessions_initialize_and_restore_a_module(text: Path, tmp_path: Path) -> None:
    for expected in (1.0, 11.0):
        with tf.Graph().as_default():
            module = hubplug.Module(str(text), trainable=True)
            step = v1.train.get_or_create_global_step()
            grown = tf.group(v1.assign_add(module.variable_map["table"], [[10.0]] * 3), v1.assign_add(step, 1))
            output = module(["a"])
            with v1.train.MonitoredTrainingSession(
                scaffold=v1.train.Scaffold(),
                checkpoint_dir=str(tmp_path / "run"),
                save_checkpoint_steps=1,
                save_checkpoint_secs=None,
                log_step_count_steps=None,
            ) as session:
                assert session.run(output).tolist() == [[expected]]
                session.run(grown)


def test_the_programs_saver_keeps_the_modules_variables_under_its_scope(dense: str, tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        module = hubplug.Module(dense)
        initialize(session)
        module.variable_map["b"].load([7.0, 8.0], session)
        prefix = v1.train.Saver().save(session, str(tmp_path / "program"))
    assert tf.train.list_variables(prefix) == [("module/b", [2]), ("module/w", [3, 2])]
    with tf.Graph().as_default(), v1.Session() as session:
        with v1.variable_scope("outer"):
            module = hubplug.Module(dense, name="other")
        v1.train.Saver({f"module/{key}": variable for key, variable in module.variable_map.items()}).restore(
            session, prefix
        )
        assert session.run(module.variable_map["b"]).tolist() == [7.0, 8.0]


def test_variables_are_found_by_scope_and_not_by_get_variable(dense: str, new_graph: tf.Graph) -> None:
    hubplug.Module(dense)
    hubplug.Module(dense)
    assert [v.name for v in v1.get_collection(KEYS.GLOBAL_VARIABLES, scope="module/")] == ["module/w:0", "module/b:0"]
    with v1.variable_scope("module", reuse=True), pytest.raises(ValueError, match=r"module/w does not exist"):
        v1.get_variable("w", [3, 2])
    with v1.variable_scope("module"):
        assert v1.get_variable("w", [3, 2]).name == "module/w_1:0"


def test_uninitialized_variables_are_reported(dense: str, new_graph: tf.Graph) -> None:
    module = hubplug.Module(dense)
    report = v1.report_uninitialized_variables()
    with v1.Session() as session:
        session.run(module.variable_map["w"].initializer)
        assert session.run(report).tolist() == [b"module/b"]
        assert session.run([module.variable_map["w"].is_initialized(), module.variable_map["b"].is_initialized()]) == [
            True,
            False,
        ]
    with pytest.raises(NotImplementedError):
        module.variable_map["w"].initialized_value()


def test_variables_say_of_themselves_what_module_fn_said(dense: str, new_graph: tf.Graph) -> None:
    assert [v.trainable for v in hubplug.Module(dense, trainable=False).variables] == [True, True]
    assert v1.trainable_variables() == []


def test_a_template_applies_a_module_of_its_own_once(dense: str, new_graph: tf.Graph) -> None:
    modules: list[hubplug.Module] = []

    def body(x: tf.Tensor) -> tf.Tensor:
        modules[:] = modules or [hubplug.Module(dense)]
        return modules[0](x)

    template = v1.make_template("template", body)
    assert [template(tf.ones([1, 3])).name for _ in range(2)] == [
        "template/module_apply_default/add:0",
        "template_1/module_apply_default/add:0",
    ]
    assert [v.name for v in v1.global_variables()] == ["template/module/w:0", "template/module/b:0"]


def test_a_mapping_that_is_no_dict_is_taken_as_a_value(dense: str, new_graph: tf.Graph) -> None:
    module = hubplug.Module(dense)
    assert module(collections.OrderedDict(default=tf.ones([1, 3]))).shape == [1, 2]
    with pytest.raises((TypeError, ValueError)):
        module(collections.UserDict(default=tf.ones([1, 3])))


def test_a_signature_whose_name_is_no_scope_name_is_a_value_error_in_a_call(dense: str, new_graph: tf.Graph) -> None:
    module = hubplug.Module(dense)
    assert list(module.get_output_info_dict("with a space")) == ["default"]
    with pytest.raises(ValueError, match="not a valid root scope name"):
        module(tf.ones([1, 3]), signature="with a space")


def test_as_dict_is_a_truth_value(dense: str, new_graph: tf.Graph) -> None:
    module = hubplug.Module(dense)
    assert list(module(tf.ones([1, 3]), as_dict=1)) == ["default"]  # type: ignore[arg-type]
    assert module(tf.ones([1, 3]), as_dict=0).shape == [1, 2]  # type: ignore[arg-type]


def test_gradients_and_optimizers_take_the_variables(dense: str, new_graph: tf.Graph) -> None:
    module = hubplug.Module(dense, trainable=True)
    optimizer = v1.train.GradientDescentOptimizer(0.5)
    loss = tf.reduce_sum(module([[1.0, 2.0, 3.0]]))
    pairs = optimizer.compute_gradients(loss, var_list=module.variables)
    average = tf.train.ExponentialMovingAverage(0.5)
    step = optimizer.apply_gradients(pairs)
    averaged = average.apply(module.variables)
    with v1.Session() as session:
        initialize(session)
        session.run(step)
        session.run(averaged)
        assert session.run(module.variable_map["b"]).tolist() == [1.5, 1.5]
        assert session.run(average.average(module.variable_map["b"])).tolist() == [1.75, 1.75]


@pytest.mark.parametrize(
    "make",
    [lambda: tf.distribute.OneDeviceStrategy("/cpu:0"), lambda: tf.distribute.MirroredStrategy(["/cpu:0"])],
    ids=["one device", "mirrored"],
)
def test_the_creators_of_a_strategy_leave_the_variables_alone(dense: str, new_graph: tf.Graph, make: Any) -> None:
    strategy = make()
    with strategy.scope():
        output = strategy.extended.call_for_each_replica(
            lambda: hubplug.Module(dense, trainable=True)([[1.0, 2.0, 3.0]])
        )
    assert [v.name for v in v1.trainable_variables()] == ["module/w:0", "module/b:0"]
    with v1.Session() as session:
        initialize(session)
        assert session.run(output).tolist() == [[8.0, 8.0]]


def test_a_relative_path_is_that_of_the_directory_in_which_the_program_initializes(
    text: Path, new_graph: tf.Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(text.parent)
    output = hubplug.Module("text")(["b"])
    with v1.Session() as session:
        monkeypatch.chdir("/")
        with pytest.raises(tf.errors.NotFoundError):
            session.run(v1.global_variables_initializer())
        monkeypatch.chdir(text.parent)
        initialize(session)
        assert session.run(output).tolist() == [[2.0]]


def test_inputs_may_be_constants_and_resources_in_the_module(new_graph: tf.Graph) -> None:
    def module_fn() -> None:
        constant = tf.constant([1.0, 2.0])
        hubplug.add_signature("constant", inputs=constant, outputs=constant * 2.0)
        variable = v1.get_variable("v", [2], initializer=v1.ones_initializer(), use_resource=True)
        value = tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=tf.float32)
        hubplug.add_signature("resource", inputs={"handle": variable.handle}, outputs=value * 3.0)

    module = hubplug.Module(hubplug.create_module_spec(module_fn))
    mine = v1.get_variable("mine", initializer=[5.0, 6.0], use_resource=True)
    outputs = [module([3.0, 4.0], signature="constant"), module({"handle": mine.handle}, signature="resource")]
    with v1.Session() as session:
        initialize(session)
        assert [value.tolist() for value in session.run(outputs)] == [[6.0, 8.0], [15.0, 18.0]]


def test_names_of_inputs_and_outputs_are_any_strings(new_graph: tf.Graph) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [None])
        hubplug.add_signature(inputs={"a/b": x}, outputs={"c$d": x * 2.0, "layer/1:0": x * 3.0, "": x * 4.0})

    outputs = hubplug.Module(hubplug.create_module_spec(module_fn))({"a/b": [1.0]}, as_dict=True)
    with v1.Session() as session:
        assert session.run(outputs) == {"c$d": [2.0], "layer/1:0": [3.0], "": [4.0]}


def test_modules_whose_functions_have_equal_names_and_differ_are_refused(
    tmp_path: Path, export_module: Any, read_saved_model: Any, new_graph: tf.Graph
) -> None:
    def publish(factor: float) -> str:
        def module_fn() -> None:
            x = v1.placeholder(tf.float32, [])
            double = tf.function(lambda v: v * factor, input_signature=[tf.TensorSpec([])])
            hubplug.add_signature(inputs=x, outputs=double(x))

        path: Path = export_module(hubplug.create_module_spec(module_fn), tmp_path / str(factor))
        saved_model = read_saved_model(path)
        graph = saved_model.meta_graphs[0].graph_def
        (function,) = graph.library.function
        for node in graph.node:
            if node.attr["f"].func.name == function.signature.name:
                node.attr["f"].func.name = "same"
        function.signature.name = "same"
        (path / "saved_model.pb").write_bytes(saved_model.SerializeToString())
        return str(path)

    first, second = publish(2.0), publish(3.0)
    hubplug.Module(first)(1.0)
    with pytest.raises(ValueError, match="Cannot add function 'same' because a different function"):
        hubplug.Module(second)(1.0)


def test_of_several_inputs_on_one_tensor_the_last_by_name_counts(new_graph: tf.Graph) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [])
        hubplug.add_signature(inputs={"b": x, "a": x}, outputs=x * 1.0)

    y = hubplug.Module(hubplug.create_module_spec(module_fn))({"b": 2.0, "a": 1.0})
    with v1.Session() as session:
        assert session.run(y) == 2.0


def test_state_ops_may_have_several_outputs_or_none(new_graph: tf.Graph) -> None:
    """tensorflow_hub refused the first with a ValueError and the second with a KeyError."""

    def module_fn() -> None:
        first, second = tf.raw_ops.Unstage(dtypes=[tf.float32, tf.float32], shared_name="box")
        tf.raw_ops.StageClear(dtypes=[tf.float32, tf.float32], shared_name="box")
        hubplug.add_signature(outputs={"default": first, "second": second})

    outputs = hubplug.Module(hubplug.create_module_spec(module_fn))(as_dict=True)
    assert {key: output.name for key, output in outputs.items()} == {
        "default": "module/Unstage:0",
        "second": "module/Unstage:1",
    }


def test_keras_layers_in_module_fn_make_variables_of_the_module(new_graph: tf.Graph) -> None:
    layers = pytest.importorskip("tf_keras").layers

    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [None, 3])
        dense, norm = layers.Dense(2, name="dense"), layers.BatchNormalization(name="norm")
        hubplug.add_signature(inputs=x, outputs=norm(dense(x)))

    module = hubplug.Module(hubplug.create_module_spec(module_fn), trainable=True)
    y = module([[1.0, 2.0, 3.0]])
    assert sorted(module.variable_map) == [
        "dense/bias",
        "dense/kernel",
        "norm/beta",
        "norm/gamma",
        "norm/moving_mean",
        "norm/moving_variance",
    ]
    assert len(v1.trainable_variables()) == 4
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        assert session.run(y).shape == (1, 2)
