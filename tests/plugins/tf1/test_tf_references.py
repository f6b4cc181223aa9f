"""State that TensorFlow 1 passes by reference, as resources in a function: what is read is what a session would read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from hubplug_tf1._errors import RaisingError
from hubplug_tf1._raising.importing import import_raised
from hubplug_tf1._raising.references import resource_graph

# Functions are called as programs of TensorFlow 2 call them.
pytestmark = pytest.mark.usefixtures("eager")

v1 = tf.compat.v1


@pytest.fixture(autouse=True)
def world_of_tensorflow_1() -> Iterator[None]:
    """v1 control flow and references, as published modules have them."""
    control_flow, resources = v1.control_flow_v2_enabled(), v1.resource_variables_enabled()
    v1.disable_control_flow_v2()
    v1.disable_resource_variables()
    yield
    if control_flow:
        v1.enable_control_flow_v2()
    if resources:
        v1.enable_resource_variables()


def variable(**arguments: Any) -> Any:
    return v1.get_variable("v", initializer=[1.0, 2.0], use_resource=False, **arguments)


def assigned_through(x: Any) -> Any:
    return v1.assign_add(variable(), x) * 2.0


def read_after_an_assignment(x: Any) -> Any:
    v = variable()
    with tf.control_dependencies([v1.assign(v, x)]):
        return tf.identity(v.read_value()) + 1.0


def chain_of_assignments(x: Any) -> Any:
    return v1.assign_sub(v1.assign_add(v1.assign(variable(), x), x), [1.0, 0.5])


def scattered(x: Any) -> Any:
    return v1.scatter_nd_add(v1.scatter_update(variable(), [1], x[:1]), [[0]], [5.0])


def gradient_descent(x: Any) -> Any:
    return tf.raw_ops.ApplyMomentum(
        var=variable()._ref(), accum=v1.get_variable("m", [2], initializer=v1.zeros_initializer())._ref(),
        lr=0.5, grad=x, momentum=0.9,
    )  # fmt: skip


def strided_slice_assigned(x: Any) -> Any:
    return tf.raw_ops.StridedSliceAssign(ref=variable()._ref(), begin=[0], end=[1], strides=[1], value=x[:1])


def counted(x: Any) -> Any:
    n = v1.get_variable("n", initializer=3, use_resource=False)
    return tf.cast(tf.raw_ops.CountUpTo(ref=n._ref(), limit=5), tf.float32) + x


def legacy_variable_without_a_shape(x: Any) -> Any:
    v = tf.raw_ops.Variable(shape=[], dtype=tf.float32)
    return tf.raw_ops.Assign(ref=v, value=x, validate_shape=False) * 3.0


BUILDERS = [
    assigned_through,
    read_after_an_assignment,
    chain_of_assignments,
    scattered,
    gradient_descent,
    strided_slice_assigned,
    counted,
    legacy_variable_without_a_shape,
]


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_a_function_computes_and_keeps_what_a_session_does(build: Callable[[Any], Any]) -> None:
    fed = np.array([3.0, -4.0], np.float32)
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [2], name="x")
        y = build(x)
        variables = v1.global_variables()
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            starts = session.run(variables)
            outcomes = [session.run(y, {x: fed}) for _ in range(2)]
            ends = session.run(variables)
    raised = resource_graph(graph.as_graph_def(), [y.name])
    state = {
        each.op.name + ":0": tf.Variable(start, shape=tf.TensorShape(None))
        for each, start in zip(variables, starts, strict=True)
    }
    if build is legacy_variable_without_a_shape:
        state["Variable:0"] = tf.Variable(fed, shape=tf.TensorShape(None))

    def function(x: Any) -> Any:
        handles = {name: each.handle for name, each in state.items()}
        return import_raised(raised.graph_def, {"x:0": x, **handles}, [raised.elements[y.name]])

    wrapped = v1.wrap_function(function, [tf.TensorSpec([2])])
    for outcome in outcomes:
        np.testing.assert_array_equal(wrapped(tf.constant(fed))[0], outcome)
    for each, end in zip(variables, ends, strict=True):
        np.testing.assert_array_equal(state[each.op.name + ":0"], end)


def test_a_reference_that_is_asked_for_is_read() -> None:
    with tf.Graph().as_default() as graph:
        v = variable()
        assigned = v1.assign(v, [0.0, 1.0], name="a")
    raised = resource_graph(graph.as_graph_def(), ["v:0", assigned.name, "a"])
    nodes = {node.name: node for node in raised.graph_def.node}
    assert raised.elements["a"] == "a"
    reads = [nodes[raised.elements[name].partition(":")[0]] for name in ("v:0", "a:0")]
    assert [node.op for node in reads] == ["ReadVariableOp"] * 2
    assert [list(node.input) for node in reads] == [["v:0"], ["v:0", "^a"]]
    assert raised.became["a"] == "AssignVariableOp"


def test_a_graph_without_references_is_left_as_it_is() -> None:
    with tf.Graph().as_default() as graph:
        tf.constant(1.0)
    graph_def = graph.as_graph_def()
    assert resource_graph(graph_def).graph_def is graph_def


def test_tables_of_the_first_kind_become_those_of_the_second() -> None:
    with tf.Graph().as_default() as graph:
        table = tf.raw_ops.HashTable(key_dtype=tf.string, value_dtype=tf.int64)
        tf.raw_ops.InitializeTable(table_handle=table, keys=["a"], values=tf.constant([7], tf.int64), name="fill")
        tf.raw_ops.LookupTableFind(
            table_handle=table, keys=["a", "b"], default_value=tf.constant(-1, tf.int64), name="y"
        )
    raised = resource_graph(graph.as_graph_def(), ["y:0", "fill"])
    assert set(raised.became.values()) == {"HashTableV2", "InitializeTableV2", "LookupTableFindV2"}

    def function() -> Any:
        return import_raised(raised.graph_def, {}, ["fill", "y:0"])

    with tf.Graph().as_default(), v1.Session() as session:
        fill, y = function()
        session.run(fill)
        assert session.run(y).tolist() == [7, -1]


@pytest.mark.parametrize("op", ["TemporaryVariable", "FIFOQueue", "SparseConditionalAccumulator"])
def test_what_has_no_equal_is_refused_by_name(op: str) -> None:
    with tf.Graph().as_default() as graph:
        if op == "TemporaryVariable":
            tf.raw_ops.TemporaryVariable(shape=[1], dtype=tf.float32)
        elif op == "FIFOQueue":
            tf.raw_ops.FIFOQueue(component_types=[tf.float32])
        else:
            tf.raw_ops.SparseConditionalAccumulator(dtype=tf.float32, shape=[1])
    with pytest.raises(RaisingError, match=rf"Op '{op}' \({op}\)"):
        resource_graph(graph.as_graph_def())
