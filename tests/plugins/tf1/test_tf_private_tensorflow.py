"""The private names of TensorFlow that hubplug uses exist in this release, and do what the rest of hubplug expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import tensorflow as tf

from hubplug_tf1._graph import protos
from hubplug_tf1._private_tensorflow import columns, graphs, single_ops, tapes, type_specs

v1 = tf.compat.v1


@pytest.fixture
def graph() -> Any:
    with tf.Graph().as_default() as graph:
        yield graph


def node(op: str, name: str, device: str = "", **types: tf.DType) -> Any:
    made = v1.NodeDef(op=op, name=name, device=device)
    for attribute, dtype in types.items():
        made.attr[attribute].type = dtype.as_datatype_enum
    return made


@pytest.mark.parametrize(
    "name", ["OpDef", "OpList", "VariableDef", "CondContextDef", "WhileContextDef", "AssetFileDef", "SavedModel"]
)
def test_the_protos_can_be_written_and_read(name: str) -> None:
    kind = getattr(protos, name)
    assert kind.FromString(kind().SerializeToString()) == kind()


def test_ops_are_known_by_name() -> None:
    definition = protos.registered_op_def("MatMul")
    assert definition is not None
    assert [argument.name for argument in definition.input_arg] == ["a", "b"]
    assert protos.registered_op_def("NoSuchOpAnywhere") is None


def test_every_op_that_a_process_has_is_known() -> None:
    known = {name: protos.registered_op_def(name) for name in dir(tf.raw_ops) if name[0].isupper()}
    assert all(definition is not None and definition.name == name for name, definition in known.items())


def test_a_type_spec_comes_back(graph: tf.Graph) -> None:
    info = v1.TensorInfo()
    info.composite_tensor.type_spec.CopyFrom(type_specs.encode_type_spec(v1.ragged.placeholder(tf.int64, 1, [])))
    assert type_specs.decode_type_spec(info) == tf.RaggedTensorSpec([None, None], tf.int64)


def test_an_import_may_be_colocated_with_what_is_there(graph: tf.Graph) -> None:
    tf.constant(1.0, name="there")
    graph_def = v1.GraphDef()
    made = graph_def.node.add()
    made.CopyFrom(node("Placeholder", "new", dtype=tf.float32))
    made.attr["_class"].list.s.append(b"loc:@there")
    graphs.import_beside_existing_ops(graph_def, {})
    assert graph.get_operation_by_name("new").colocation_groups() == [b"loc:@there"]


def test_a_dense_feature_column_is_one_of_each_generation() -> None:
    assert {base.__name__ for base in columns.dense_feature_column().__bases__} == {"_DenseColumn", "DenseColumn"}


def test_the_ops_of_a_graph_are_the_list_that_it_keeps(graph: tf.Graph) -> None:
    tf.constant(1.0, name="first")
    operations = graphs.operations_of(graph)
    tf.constant(1.0, name="second")
    assert [op.name for op in operations] == ["first", "second"]
    assert graphs.operations_of(graph) is operations


def test_a_graph_takes_single_ops(graph: tf.Graph) -> None:
    assert single_ops.takes_single_ops(graph, [])
    with graph.device("/cpu:0"), tf.name_scope("scope"), graph.control_dependencies([tf.no_op()]):
        assert single_ops.takes_single_ops(graph, [tf.constant(1.0)])


def test_a_graph_with_colocation_takes_no_single_ops(graph: tf.Graph) -> None:
    with graph.colocate_with(tf.no_op()):
        assert not single_ops.takes_single_ops(graph, [])


def test_graphs_of_functions_and_branches_take_no_single_ops(graph: tf.Graph) -> None:
    answers, inside = [], []

    def body() -> tf.Tensor:
        answers.append(single_ops.takes_single_ops(v1.get_default_graph(), []))
        inside.append(tf.constant(1.0))
        return inside[-1]

    tf.function(body).get_concrete_function()
    with_old_branches = v1.cond
    v1.disable_control_flow_v2()
    try:
        with_old_branches(v1.placeholder_with_default(True, []), body, body)
    finally:
        v1.enable_control_flow_v2()
    assert answers == [False, False, False]
    assert not single_ops.takes_single_ops(graph, [inside[-1]])


FLOAT = {"T": v1.AttrValue(type=tf.float32.as_datatype_enum)}


def make_no_op(make: single_ops.MakeOp, name: str, device: str = "", colocated: Sequence[str] = ()) -> Any:
    return make("NoOp", name, [], [], [], device, colocated)


def make_relu(make: single_ops.MakeOp, name: str, value: Any) -> Any:
    return make("Relu", name, [value], [], FLOAT.items(), "", ())


def test_ops_are_made_of_tensors_lists_of_them_and_ops(graph: tf.Graph) -> None:
    x, axis = tf.constant([-1.0, 2.0], name="x"), tf.constant(0, name="axis")
    with single_ops.making_ops(graph) as make:
        relu = make_relu(make, "a/relu", x)
        two = [*FLOAT.items(), ("N", v1.AttrValue(i=2))]
        both = make("ConcatV2", "a/both", [[x, relu.outputs[0]], axis], [x.op], two, "", ())
    assert list(both.node_def.input) == ["x", "a/relu", "axis", "^x"]
    (gradient,) = tf.gradients(both.outputs[0], [x])
    with v1.Session(graph=graph) as session:
        assert session.run(both.outputs[0]).tolist() == [-1.0, 2.0, 0.0, 2.0]
        assert session.run(gradient).tolist() == [1.0, 2.0]


def test_ops_are_placed_as_an_import_places_them(graph: tf.Graph) -> None:
    with graph.device("/job:worker"), single_ops.making_ops(graph) as make:
        anywhere = make_no_op(make, "anywhere")
        placed = make_no_op(make, "placed", "/device:CPU:0")
        colocated = make_no_op(make, "colocated", "/device:CPU:1", ["not there", "later", "placed"])
        with_nothing = make_no_op(make, "with_nothing", "/device:CPU:1", ["not there"])
        later = make_no_op(make, "later", "/device:CPU:2")
    assert [each.device for each in (anywhere, placed, colocated, with_nothing, later)] == [
        "/job:worker",
        "/job:worker/device:CPU:0",
        "/job:worker/device:CPU:2",
        "",
        "/job:worker/device:CPU:2",
    ]


def test_control_dependencies_reach_every_op_before_devices_are_asked(graph: tf.Graph) -> None:
    before = tf.no_op(name="before")
    x = tf.constant(1.0)
    seen: dict[str, list[Any]] = {}

    def device(operation: tf.Operation) -> str:
        seen[operation.name] = list(operation.control_inputs)
        return ""

    with graph.device(device), graph.control_dependencies([before]), single_ops.making_ops(graph) as make:
        first = make_relu(make, "first", x)
        second = make_relu(make, "second", first.outputs[0])
    assert [first.control_inputs, second.control_inputs] == [[before], [before]]
    assert seen == {"first": [before], "second": [before]}


def test_an_op_that_is_made_says_where(graph: tf.Graph) -> None:
    with single_ops.making_ops(graph) as make:
        operation = make_no_op(make, "op")
    assert any("test_an_op_that_is_made_says_where" in str(frame) for frame in operation.traceback)


def test_the_name_of_an_op_that_is_made_is_taken(graph: tf.Graph) -> None:
    with single_ops.making_ops(graph) as make:
        make_no_op(make, "scope/op")
    assert graph.unique_name("scope/op") == "scope/op_1"


def test_an_op_that_cannot_be_made_is_a_value_error_as_with_an_import(graph: tf.Graph) -> None:
    with pytest.raises(ValueError, match="Shape must be rank 2"), single_ops.making_ops(graph) as make:
        make("MatMul", "op", [tf.constant(1.0), tf.constant(1.0)], [], FLOAT.items(), "", ())


def test_an_interrupt_leaves_a_graph_that_knows_its_ops(graph: tf.Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    x = tf.constant(1.0)

    def interrupted(*_: Any, **__: Any) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(graph, "_create_op_from_tf_operation", interrupted)
    with pytest.raises(KeyboardInterrupt), single_ops.making_ops(graph) as make:
        make_relu(make, "half", x)
    assert [op.name for op in x.consumers()] == ["half"]
    assert tf.gradients(x * 2.0, x)[0] is not None


def test_no_op_is_made_in_a_finalized_graph(graph: tf.Graph) -> None:
    graph.finalize()
    with pytest.raises(RuntimeError, match="finalized"), single_ops.making_ops(graph):
        pass


def test_what_is_put_on_tapes_is_seen_by_them_and_paused_tapes_see_nothing(graph: tf.Graph) -> None:
    assert not tapes.is_taped()
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        assert tapes.is_taped()
        assert not tapes.are_watched([x])
        tape.watch(x)
        assert tapes.are_watched([x])
        with tapes.tapes_paused():
            y = x * 2.0
            assert not tapes.is_taped()
        tapes.put_on_tapes("Any", [y], [x], lambda upstream: [upstream])
    gradient = tape.gradient(y, x)
    with v1.Session() as session:
        assert session.run(gradient) == 1.0


def test_tapes_and_function_graphs_are_told_of_a_variable(graph: tf.Graph) -> None:
    variable = v1.get_variable("v", initializer=1.0, use_resource=True)
    with tf.GradientTape() as tape:
        tapes.tell_of_access(variable)
    assert [each.name for each in tape.watched_variables()] == ["v:0"]
    function = tf.function(lambda: tapes.tell_of_access(variable))
    assert [each.name for each in function.get_concrete_function().variables] == ["v:0"]


def test_control_flow_of_tensorflow_1_is_noticed(graph: tf.Graph) -> None:
    inside = []
    enabled = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    tf.cond(tf.constant(True), lambda: inside.append(tapes.is_in_control_flow(graph)) or 1, lambda: 2)
    if enabled:
        v1.enable_control_flow_v2()
    assert inside == [True]
    assert not tapes.is_in_control_flow(graph)
