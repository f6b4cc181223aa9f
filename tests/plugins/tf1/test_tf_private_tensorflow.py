"""The private names of TensorFlow that hubplug uses exist in this release, and do what the rest of hubplug expects."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import tensorflow as tf

from hubplug_tf1 import _private_tensorflow as private

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
    kind = getattr(private, name)
    assert kind.FromString(kind().SerializeToString()) == kind()


def test_ops_are_known_by_name() -> None:
    definition = private.registered_op_def("MatMul")
    assert definition is not None
    assert [argument.name for argument in definition.input_arg] == ["a", "b"]
    assert private.registered_op_def("NoSuchOpAnywhere") is None


@pytest.mark.parametrize(
    "type_spec",
    [tf.RaggedTensorSpec([None, None], tf.int64), tf.SparseTensorSpec([2, None], tf.string)],
)
def test_a_type_spec_comes_back(type_spec: Any) -> None:
    assert private.decode_type_spec(private.encode_type_spec(type_spec)) == type_spec


def test_the_slice_of_a_partitioned_variable_is_told(graph: tf.Graph) -> None:
    whole = v1.get_variable("whole", [4])
    parts = list(v1.get_variable("parted", [4, 2], partitioner=v1.fixed_size_partitioner(2)))
    assert [private.save_slice_spec(each) for each in (whole, *parts)] == ["", "4 2 0,2:0,2", "4 2 2,2:0,2"]


def test_an_import_may_be_colocated_with_what_is_there(graph: tf.Graph) -> None:
    tf.constant(1.0, name="there")
    graph_def = v1.GraphDef()
    made = graph_def.node.add()
    made.CopyFrom(node("Placeholder", "new", dtype=tf.float32))
    made.attr["_class"].list.s.append(b"loc:@there")
    private.import_beside_existing_ops(graph_def, {})
    assert graph.get_operation_by_name("new").colocation_groups() == [b"loc:@there"]


def test_a_dense_feature_column_is_one_of_each_generation() -> None:
    assert {base.__name__ for base in private.dense_feature_column().__bases__} == {"_DenseColumn", "DenseColumn"}


def test_the_ops_of_a_graph_are_the_list_that_it_keeps(graph: tf.Graph) -> None:
    tf.constant(1.0, name="first")
    operations = private.operations_of(graph)
    tf.constant(1.0, name="second")
    assert [op.name for op in operations] == ["first", "second"]
    assert private.operations_of(graph) is operations


def test_a_new_graph_is_plain(graph: tf.Graph) -> None:
    assert private.is_plain(graph)
    with graph.device("/cpu:0"), tf.name_scope("scope"), v1.variable_scope("scope", use_resource=True):
        assert private.is_plain(graph)


@pytest.mark.parametrize(
    "scope",
    [
        lambda graph: graph.control_dependencies([tf.no_op()]),
        lambda graph: graph.colocate_with(tf.no_op()),
        lambda graph: graph.container("box"),
        lambda graph: graph.gradient_override_map({"Identity": "Other"}),
        lambda graph: graph._kernel_label_map({"Identity": "other"}),
        lambda graph: graph._attr_scope({"_other": v1.AttrValue(b=True)}),
    ],
    ids=["control dependencies", "colocation", "container", "gradient", "kernel", "attribute"],
)
def test_a_graph_with_a_scope_that_changes_new_ops_is_not_plain(
    scope: Callable[[Any], AbstractContextManager[Any]], graph: tf.Graph
) -> None:
    with scope(graph):
        assert not private.is_plain(graph)


def test_graphs_of_functions_and_branches_are_not_plain(graph: tf.Graph) -> None:
    answers = []

    def body() -> tf.Tensor:
        answers.append(private.is_plain(v1.get_default_graph()))
        return tf.constant(1.0)

    tf.function(body).get_concrete_function()
    with_old_branches = v1.cond
    v1.disable_control_flow_v2()
    try:
        with_old_branches(v1.placeholder_with_default(True, []), body, body)
    finally:
        v1.enable_control_flow_v2()
    assert answers == [False, False, False]


def test_ops_are_made_as_an_import_makes_them(graph: tf.Graph) -> None:
    x = tf.constant([-1.0, 2.0], name="x")
    with graph.device("/job:worker"), private.making_ops(graph) as make:
        relu = make(node("Relu", "a/relu", T=tf.float32), [x], [])
        make(node("Relu", "a/placed", "/device:CPU:0", T=tf.float32), [x], [relu])
    graph_def = v1.GraphDef()
    graph_def.node.extend(
        [node("Relu", "b/relu", T=tf.float32), node("Relu", "b/placed", "/device:CPU:0", T=tf.float32)]
    )
    graph_def.node[0].input.append("x")
    graph_def.node[1].input.extend(["x", "^b/relu"])
    with graph.device("/job:worker"):
        tf.import_graph_def(graph_def, {"x": x}, name="")
    for name in ("relu", "placed"):
        made = graph.get_operation_by_name(f"a/{name}").node_def
        made.name = f"b/{name}"
        made.input[:] = [edge.replace("a/", "b/") for edge in made.input]
        imported = graph.get_operation_by_name(f"b/{name}").node_def
        imported.input[:] = [edge.removesuffix(":0") for edge in imported.input]
        assert made == imported
    (gradient,) = tf.gradients(relu.outputs[0], [x])
    graph_def = graph.as_graph_def()
    for each in graph_def.node:
        each.device = ""
    with tf.Graph().as_default(), v1.Session() as session:
        (slope,) = tf.import_graph_def(graph_def, return_elements=[gradient.name])
        assert session.run(slope).tolist() == [0.0, 1.0]


def test_the_name_of_an_op_that_is_made_is_taken(graph: tf.Graph) -> None:
    with private.making_ops(graph) as make:
        make(node("NoOp", "scope/op"), [], [])
    assert graph.unique_name("scope/op") == "scope/op_1"


def test_no_op_is_made_in_a_finalized_graph(graph: tf.Graph) -> None:
    graph.finalize()
    with pytest.raises(RuntimeError, match="finalized"), private.making_ops(graph):
        pass


def test_an_op_is_placed_with_the_first_other_that_has_a_device(graph: tf.Graph) -> None:
    tf.constant(1.0, name="nowhere")
    with tf.device("/device:CPU:0"):
        tf.constant(1.0, name="somewhere")
        placed = tf.constant(1.0)
    private.place_with(graph, placed.op, [])
    assert placed.device.endswith("CPU:0")
    private.place_with(graph, placed.op, ["not there", "nowhere"])
    assert placed.device == ""
    private.place_with(graph, placed.op, ["not there", "nowhere", "somewhere"])
    assert placed.device.endswith("CPU:0")
