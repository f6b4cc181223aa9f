"""``tf.GradientTape`` around a module gives what ``tf.gradients`` gives, or an error; never None in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug
from tests.module_kinds import KINDS, Define, cond_v1, dense_layer, export, reference_variable, scan_over_time

v1 = tf.compat.v1

pytestmark = pytest.mark.usefixtures("new_graph")


def module_fn() -> None:
    x = v1.placeholder(tf.float32, [None, 2])
    w = v1.get_variable("w", initializer=[[1.0, 2.0], [3.0, 4.0]], regularizer=tf.nn.l2_loss)
    table = v1.get_variable("table", initializer=[[1.0], [3.0]])
    scale = v1.get_variable("scale", initializer=2.0, trainable=False)
    hubplug.add_signature(
        inputs=x, outputs=tf.sigmoid(tf.matmul(x, w)) * tf.reduce_sum(tf.gather(table, [0, 0, 1])) * scale
    )
    ids = v1.placeholder(tf.int32, [None])
    hubplug.add_signature("ids", inputs=ids, outputs=tf.gather(table, ids))


@pytest.fixture
def spec() -> hubplug.ModuleSpec:
    return hubplug.create_module_spec(module_fn)


def run(*tensors: Any) -> Any:
    with v1.Session() as session:
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        return session.run([[tf.convert_to_tensor(each) for each in several] for several in tensors])


def assert_equal(found: Sequence[Any], expected: Sequence[Any]) -> None:
    assert [each is None for each in found] == [each is None for each in expected]
    found, expected = run(*([each for each in several if each is not None] for several in (found, expected)))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def watch(tape: tf.GradientTape, sources: Sequence[Any]) -> None:
    for source in sources:
        tape.watch(source)


def fed_value(info: Any) -> Any:
    number = {tf.string: "a", tf.int64: 0, tf.int32: 1}.get(info.dtype, 0.5)
    one = tf.constant(number, info.dtype)
    shape = [2] if info.get_shape().rank is None else [size or 2 for size in info.get_shape().as_list()]
    if info.is_sparse:
        return tf.sparse.from_dense(tf.fill(shape, one))
    return tf.RaggedTensor.from_tensor(tf.fill(shape, one)) if info.is_composite else tf.fill(shape, one)


@pytest.mark.parametrize("define", KINDS, ids=lambda define: define.__name__)
@pytest.mark.parametrize("trainable", [False, True])
def test_every_kind_of_module_has_the_gradients_of_tf_gradients(
    define: Define, trainable: bool, tmp_path: Path
) -> None:
    module = hubplug.Module(str(export(tf, hubplug, define, tmp_path)), trainable=trainable)
    variables = [variable for variable in module.variables if hasattr(variable, "handle")]
    for signature in module.get_signature_names():
        fed = {key: fed_value(info) for key, info in module.get_input_info_dict(signature).items()}
        floats = [each for each in tf.nest.flatten(fed, expand_composites=True) if each.dtype.is_floating]
        with tf.GradientTape(persistent=True) as tape:
            watch(tape, floats)
            if not trainable:
                watch(tape, variables)
            outputs = tf.nest.flatten(module(fed or None, signature=signature, as_dict=True), expand_composites=True)
            loss = tf.add_n([tf.reduce_sum(each) for each in outputs if each.dtype == tf.float32] or [tf.constant(0.0)])
        sources = [*floats, *(variable for variable in variables if variable.trainable or not trainable)]
        if sources:
            assert_equal(tape.gradient(loss, sources), tf.gradients(loss, sources))


@pytest.mark.parametrize("trainable", [False, True])
def test_tapes_watch_the_trained_variables_by_themselves(spec: Any, trainable: bool) -> None:
    module = hubplug.Module(spec, trainable=trainable)
    with tf.GradientTape() as tape:
        module([1, 1], signature="ids")
    assert [variable.name for variable in tape.watched_variables()] == ["module/table:0"] * trainable
    with tf.GradientTape() as tape:
        module([[1.0, 1.0]])
    names = {variable.name for variable in tape.watched_variables()}
    assert names == ({"module/w:0", "module/table:0"} if trainable else set())


@pytest.mark.parametrize("trainable", [False, True])
def test_several_calls_and_second_derivatives_are_those_of_tf_gradients(spec: Any, trainable: bool) -> None:
    module, x = hubplug.Module(spec, trainable=trainable), tf.constant([[1.0, -1.0], [0.5, 2.0]])
    sources = [x, *module.variables]

    def squares(gradients: Sequence[Any]) -> tf.Tensor:
        return tf.add_n([tf.reduce_sum(tf.convert_to_tensor(each) ** 2) for each in gradients])

    with tf.GradientTape(persistent=True) as outer:
        watch(outer, sources)
        with tf.GradientTape(persistent=True) as inner:
            watch(inner, sources)
            y = module(x) + module(module(x))
            loss = tf.reduce_sum(tf.gather(y, [0, 0]) * y)
        gradients = inner.gradient(loss, sources)
        penalty = squares(gradients)
    expected = tf.gradients(loss, sources)
    assert_equal(gradients, expected)
    assert_equal(inner.gradient(y, sources), tf.gradients(y, sources))
    assert_equal(outer.gradient(penalty, sources), tf.gradients(squares(expected), sources))


def test_what_is_looked_up_has_sparse_gradients(spec: Any) -> None:
    module = hubplug.Module(spec, trainable=True)
    with tf.GradientTape() as tape:
        rows = module([1, 1], signature="ids")
    gradient = tape.gradient(rows, module.variable_map["table"])
    assert isinstance(gradient, tf.IndexedSlices)
    assert run([gradient])[0][0].tolist() == [[0.0], [2.0]]


def test_regularization_losses_are_on_the_tape_that_records_when_a_module_is_made(spec: Any) -> None:
    with tf.GradientTape() as tape:
        module = hubplug.Module(spec, trainable=True)
        loss = v1.losses.get_regularization_loss()
    assert run([tape.gradient(loss, module.variable_map["w"])])[0][0].tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize("trainable", [False, True])
def test_tapes_inside_a_function_have_the_gradients_each_of_them(spec: Any, trainable: bool) -> None:
    module, x = hubplug.Module(spec, trainable=trainable), tf.constant([[1.0, -1.0]])
    sources = [x, *module.variables]
    inside: list[Any] = []

    def both(value: tf.Tensor) -> list[tf.Tensor]:
        for _ in range(2):
            with tf.GradientTape() as tape:
                watch(tape, [value, *module.variables])
                y = tf.reduce_sum(module(value))
            inside.extend(map(tf.convert_to_tensor, tape.gradient(y, [value, *module.variables])))
        return list(inside)

    found = tf.function(both, autograph=False)(x)
    assert_equal(found, tf.gradients(module(x), sources) * 2)


@pytest.mark.parametrize("trainable", [False, True])
def test_a_tape_sees_through_a_function_at_each_of_its_calls(spec: Any, trainable: bool) -> None:
    module, x = hubplug.Module(spec, trainable=trainable), tf.constant([[1.0, -1.0]])
    sources = [x, *(module.variable_map[name] for name in ("w", "table"))]
    function = tf.function(lambda value: module(value), autograph=False)
    for _ in range(2):
        with tf.GradientTape() as tape:
            watch(tape, [x] if trainable else sources)
            y = function(x)
        assert_equal(tape.gradient(y, sources), tf.gradients(module(x), sources))


def in_a_branch(module: hubplug.Module, x: tf.Tensor) -> tf.Tensor:
    return tf.cond(tf.reduce_sum(x) > -5, lambda: tf.reduce_sum(module(x)), lambda: 0.0)


def in_a_loop(module: hubplug.Module, x: tf.Tensor) -> tf.Tensor:
    return tf.while_loop(lambda i, _: i < 2, lambda i, a: (i + 1, a + tf.reduce_sum(module(x))), [0, 0.0])[1]


def in_a_map(module: hubplug.Module, x: tf.Tensor) -> tf.Tensor:
    return tf.map_fn(lambda row: module(row[None])[0], x)


@pytest.fixture
def control_flow_v2() -> Any:
    enabled = v1.control_flow_v2_enabled()
    v1.enable_control_flow_v2()
    yield
    if not enabled:
        v1.disable_control_flow_v2()


@pytest.fixture
def control_flow_v1() -> Any:
    enabled = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    yield
    if enabled:
        v1.enable_control_flow_v2()


@pytest.mark.usefixtures("control_flow_v2")
@pytest.mark.parametrize("where", [in_a_branch, in_a_loop, in_a_map])
def test_a_tape_sees_through_control_flow(spec: Any, where: Callable[..., tf.Tensor]) -> None:
    module, x = hubplug.Module(spec, trainable=True), tf.constant([[1.0, -1.0]])
    sources = [x, *(module.variable_map[name] for name in ("w", "table"))]
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = where(module, x)
    assert_equal(tape.gradient(y, sources), tf.gradients(y, sources))


@pytest.mark.usefixtures("control_flow_v1")
@pytest.mark.parametrize("where", [in_a_branch, in_a_loop, in_a_map])
def test_in_control_flow_of_tensorflow_1_a_tape_that_watches_is_refused(
    spec: Any, where: Callable[..., tf.Tensor]
) -> None:
    module, x = hubplug.Module(spec, trainable=True), tf.constant([[1.0, -1.0]])
    with tf.GradientTape(), pytest.raises(NotImplementedError, match=r"tapes have no gradients[\s\S]*tf\.gradients"):
        where(module, x)
    fixed = hubplug.Module(spec)
    with tf.GradientTape() as tape:
        tape.watch(x)
        with pytest.raises(NotImplementedError, match="tapes have no gradients"):
            where(fixed, x)
    with tf.GradientTape():
        y = where(fixed, x)
    assert tf.gradients(y, x)[0] is not None


@pytest.mark.usefixtures("control_flow_v1")
@pytest.mark.parametrize("define", [cond_v1, scan_over_time])
def test_control_flow_of_tensorflow_1_in_a_module_has_gradients(define: Define, tmp_path: Path) -> None:
    module = hubplug.Module(str(export(tf, hubplug, define, tmp_path)))
    x = fed_value(module.get_input_info_dict()["default"])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = module(x)
    assert_equal([tape.gradient(y, x)], tf.gradients(y, x))


def test_tensorflow_itself_refuses_reference_variables(tmp_path: Path) -> None:
    module = hubplug.Module(str(export(tf, hubplug, reference_variable, tmp_path)), trainable=True)
    with tf.GradientTape() as tape:
        y = module([1.0])
    with pytest.raises((AttributeError, TypeError)):
        tape.gradient(y, module.variables)


def test_without_a_tape_nothing_is_added(tmp_path: Path) -> None:
    def names(graph: Any) -> list[str]:
        with graph.as_default():
            hubplug.Module(path, trainable=True)([[1.0] * 4])
        return [op.name for op in graph.get_operations()]

    path = str(export(tf, hubplug, dense_layer, tmp_path))
    plain = names(tf.Graph())
    with tf.GradientTape():
        assert names(tf.Graph()) == plain
