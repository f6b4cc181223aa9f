"""Modules in function graphs: ``tf.function``, ``Dataset.map``, ``wrap_function``."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug
from hubplug.errors import UnknownSignatureError

v1 = tf.compat.v1
KEYS = v1.GraphKeys


def module_fn() -> None:
    x = v1.placeholder(tf.float32, [], name="x")
    words = v1.placeholder(tf.string, [None], name="words")
    w = v1.get_variable("w", [], initializer=v1.constant_initializer(3.0), use_resource=True)
    ref = v1.get_variable("ref", [], initializer=v1.constant_initializer(2.0), use_resource=False)
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], tf.constant([7], tf.int64)), -1)
    with v1.colocate_with(x), v1.colocate_with(w.handle.op):
        y = x * x * w
    v1.add_to_collection(KEYS.UPDATE_OPS, v1.assign_add(w, x).op)
    hubplug.add_signature(inputs=x, outputs=y)
    hubplug.add_signature("ref", inputs=x, outputs=x * ref)
    hubplug.add_signature("ids", inputs=words, outputs=table.lookup(words))


@pytest.fixture
def spec() -> hubplug.ModuleSpec:
    return hubplug.create_module_spec(module_fn)


def run(*tensors: Any) -> Any:
    with v1.Session() as session:
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        return session.run(list(tensors))


def test_a_module_is_applied_in_a_function_with_gradients(spec: Any, new_graph: tf.Graph) -> None:
    module, x = hubplug.Module(spec), tf.constant(2.0)
    y = tf.function(lambda v: module(v))(x)
    assert run(y, tf.gradients(y, [x, module.variable_map["w"]])) == [12.0, [12.0, 4.0]]


def test_functions_in_functions_reach_the_state(spec: Any, new_graph: tf.Graph) -> None:
    module, x = hubplug.Module(spec), tf.constant(2.0)
    inner = tf.function(lambda v: module(v))
    y = tf.function(lambda v: inner(v) + module(v))(x)
    assert run(y, tf.gradients(y, x)) == [24.0, [24.0]]


def test_inputs_may_come_from_the_graph_around(spec: Any, new_graph: tf.Graph) -> None:
    module, x = hubplug.Module(spec), tf.constant(2.0)
    y = tf.function(lambda: module(x))()
    assert run(y) == [12.0]


def test_reference_variables_are_read_in_functions(spec: Any, new_graph: tf.Graph) -> None:
    module, x = hubplug.Module(spec), tf.constant(2.0)
    y = tf.function(lambda v: module(v, signature="ref"))(x)
    assert run(y, tf.gradients(y, [x, module.variable_map["ref"]])) == [4.0, [2.0, 2.0]]


def test_a_module_made_in_a_function_of_a_graph_has_its_state_in_the_graph(spec: Any, new_graph: tf.Graph) -> None:
    y = tf.function(lambda v: hubplug.Module(spec)(v))(tf.constant(2.0))
    assert [variable.name for variable in v1.global_variables()] == ["module/w:0", "module/ref:0"]
    assert run(y) == [12.0]


def test_a_module_is_applied_in_a_dataset(spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec)
    words = tf.data.Dataset.from_tensor_slices(["a", "b"]).batch(2)
    data = tf.data.Dataset.zip(
        (
            tf.data.Dataset.from_tensors(2.0).map(lambda e: module(e)),
            words.map(lambda e: module(e, signature="ids")),
        )
    )
    iterator = v1.data.make_initializable_iterator(data)
    following = iterator.get_next()
    with v1.Session() as session:
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        session.run(iterator.initializer)
        number, ids = session.run(following)
    assert number == 12.0
    np.testing.assert_array_equal(ids, [7, -1])


def test_update_ops_in_a_branch_are_not_left_in_the_collection_of_the_graph(spec: Any, new_graph: tf.Graph) -> None:
    enabled = v1.control_flow_v2_enabled()
    v1.enable_control_flow_v2()
    module, x = hubplug.Module(spec, trainable=True), tf.constant(2.0)
    tf.cond(x > 1, lambda: module(x), lambda: x)
    if not enabled:
        v1.disable_control_flow_v2()
    assert all(op.graph is new_graph for op in v1.get_collection(KEYS.UPDATE_OPS))


@pytest.mark.usefixtures("eager")
def test_wrap_function_has_the_state_in_it(spec: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        function = v1.wrap_function(lambda x: hubplug.Module(spec, trainable=True)(x), [tf.TensorSpec([], tf.float32)])
    assert "while building a function" in caplog.text
    initializers = [variable.initializer for variable in function.graph.get_collection(KEYS.GLOBAL_VARIABLES)]
    function.prune([], initializers)()
    x = tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    assert y.numpy() == 12.0
    assert tape.gradient(y, x).numpy() == 12.0
    assert [variable.name for variable in function.graph.get_collection(KEYS.UPDATE_OPS)]


def test_errors_keep_their_type_where_autograph_converts(spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec)

    @tf.function
    def function(x: tf.Tensor) -> tf.Tensor:
        return module(x, signature="no such")

    with pytest.raises(UnknownSignatureError, match="hint: "):
        function(2.0)


def test_a_function_of_another_graph_is_refused(spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec)
    with tf.Graph().as_default(), pytest.raises(RuntimeError, match="applied in the graph it was instantiated for"):
        tf.function(lambda v: module(v), autograph=False)(tf.constant(2.0))


def test_a_function_without_a_graph_around_is_refused(spec: Any) -> None:
    with tf.Graph().as_default():
        module = hubplug.Module(spec)
    with pytest.raises(RuntimeError, match="applied in the graph it was instantiated for"):
        tf.function(lambda v: module(v), autograph=False)(tf.constant(2.0))
    with pytest.raises(RuntimeError, match="applied in the graph it was instantiated for"):
        module(2.0)


def test_loops_and_conditions_of_v1_in_a_module_work_in_functions_with_gradients_taken_there(
    new_graph: tf.Graph,
) -> None:
    def loops() -> None:
        x = v1.placeholder(tf.float32, [])
        w = v1.get_variable("w", [], initializer=v1.constant_initializer(2.0))
        _, looped = v1.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y * w), [0, x])
        hubplug.add_signature(inputs=x, outputs=looped)
        hubplug.add_signature("branch", inputs=x, outputs=v1.cond(x > 1.0, lambda: x * w, lambda: x - w))
        hubplug.add_signature("each", inputs=x, outputs=tf.map_fn(lambda y: y * w, tf.stack([x, -x])))

    enabled = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    try:
        module, x = hubplug.Module(hubplug.create_module_spec(loops)), tf.constant(1.5)
    finally:
        (v1.enable_control_flow_v2 if enabled else v1.disable_control_flow_v2)()

    def value_and_gradient(v: tf.Tensor, signature: str) -> Any:
        y = module(v, signature=signature)
        return y, tf.gradients(y, v)[0]

    assert run(tf.function(value_and_gradient)(x, "default")) == [(12.0, 8.0)]
    assert run(tf.function(value_and_gradient)(x, "branch")) == [(3.0, 2.0)]
    np.testing.assert_array_equal(run(tf.function(lambda v: module(v, signature="each"))(x)), [[3.0, -3.0]])
