"""Modules with loops and conditions in them, and modules in loops and conditions; with gradients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug

v1 = tf.compat.v1
KEYS = v1.GraphKeys


@pytest.fixture
def v1_control_flow() -> Iterator[None]:
    enabled = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    yield
    if enabled:
        v1.enable_control_flow_v2()


@pytest.fixture(params=["v1", "v2"])
def either_control_flow(request: pytest.FixtureRequest) -> Iterator[None]:
    enabled = v1.control_flow_v2_enabled()
    (v1.disable_control_flow_v2 if request.param == "v1" else v1.enable_control_flow_v2)()
    yield
    (v1.enable_control_flow_v2 if enabled else v1.disable_control_flow_v2)()


def module_fn() -> None:
    """Signature ``default``: ``loop`` and ``cond``, for x=2 and p=True 288 and 6, with gradients 324 and 3 for x."""
    x, p = v1.placeholder(tf.float32, [], name="x"), v1.placeholder(tf.bool, [], name="p")
    w = v1.get_variable("w", [], initializer=v1.constant_initializer(3.0), use_resource=True)

    def body(i: Any, a: Any, steps: Any) -> Any:
        return i + 1, tf.cond(i > 1, lambda: a * x * w, lambda: a + tf.stop_gradient(w)), steps + 1.0

    _, loop, _ = v1.while_loop(lambda i, *_: i < 4, body, [tf.constant(0), x, tf.constant(0.0)])
    cond = tf.cond(p, lambda: x * w, lambda: x + w)
    v1.add_to_collection(KEYS.UPDATE_OPS, v1.assign_add(w, 0.01 * x).op)
    hubplug.add_signature(inputs={"x": x, "p": p}, outputs={"default": loop + cond, "loop": loop, "cond": cond})
    hubplug.add_signature("loop", inputs=x, outputs=loop)


@pytest.fixture
def spec() -> hubplug.ModuleSpec:
    return hubplug.create_module_spec(module_fn)


def run(*tensors: Any) -> Any:
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        return session.run(list(tensors))


def test_loops_in_a_module_have_gradients(either_control_flow: None, spec: Any, new_graph: tf.Graph) -> None:
    module, x = hubplug.Module(spec), tf.constant(2.0)
    outputs = module({"x": x, "p": True}, as_dict=True)
    gradients = tf.gradients(outputs["default"], [x, *module.variables])
    values, slopes = run(outputs, gradients)
    assert values == {"default": 294.0, "loop": 288.0, "cond": 6.0}
    assert slopes == [327.0, 194.0]


def test_contexts_are_those_of_the_imported_part(v1_control_flow: None, spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec)
    assert v1.get_collection(KEYS.WHILE_CONTEXT) == []
    assert v1.get_collection(KEYS.COND_CONTEXT) == []
    module(2.0, signature="loop")
    assert [context.name for context in v1.get_collection(KEYS.WHILE_CONTEXT)] == [
        "module_apply_loop/while/while_context"
    ]
    module({"x": 2.0, "p": True}, as_dict=True)
    assert [context.name for context in v1.get_collection(KEYS.COND_CONTEXT)] == [
        "module_apply_default/cond/cond_text",
        "module_apply_default/cond/cond_text_1",
    ]


def test_a_loop_of_which_one_variable_is_needed_is_imported_whole(
    v1_control_flow: None, spec: Any, new_graph: tf.Graph
) -> None:
    hubplug.Module(spec)(2.0, signature="loop")
    exits = [op.name for op in new_graph.get_operations() if op.type == "Exit"]
    assert len(exits) == 3


def test_two_applications_have_frames_of_their_own(v1_control_flow: None, spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec)
    ys = [module(2.0, signature="loop"), module(2.0, signature="loop")]
    frames = {op.get_attr("frame_name") for op in new_graph.get_operations() if op.type == "Enter"}
    assert frames == {b"module_apply_loop/while/while_context", b"module_apply_loop_1/while/while_context"}
    assert run(*ys) == [288.0, 288.0]


def test_a_module_is_applied_in_a_loop(either_control_flow: None, spec: Any, new_graph: tf.Graph) -> None:
    module, x = hubplug.Module(spec), tf.constant(1.5)
    _, y = v1.while_loop(lambda i, a: i < 2, lambda i, a: (i + 1, module({"x": a * 0.1, "p": i > 0})), [0, x])
    value, slopes = run(y, tf.gradients(y, [x, *module.variables]))
    np.testing.assert_allclose([value, *slopes], [12.515287, 9.916335, 18.095968], rtol=1e-5)


def test_a_module_is_applied_in_a_condition(either_control_flow: None, spec: Any, new_graph: tf.Graph) -> None:
    module, x = hubplug.Module(spec, trainable=True), tf.constant(1.5)
    y = tf.cond(x > 1, lambda: module({"x": x, "p": x > 3}), lambda: x)
    value, slopes = run(y, tf.gradients(y, [x, *module.variables]))
    np.testing.assert_allclose([value, *slopes], [156.375, 223.75, 102.25])


def test_a_module_is_applied_in_map_fn(either_control_flow: None, spec: Any, new_graph: tf.Graph) -> None:
    module, x = hubplug.Module(spec), tf.constant([1.0, 2.0])
    y = tf.map_fn(lambda e: module({"x": e, "p": e > 1}), x)
    values, slopes = run(y, tf.gradients(y, [x, *module.variables]))
    np.testing.assert_allclose(values, [67.0, 294.0])
    np.testing.assert_allclose(slopes[0], [136.0, 327.0])
    np.testing.assert_allclose(slopes[1], 237.0)


@pytest.mark.parametrize("where", ["while_loop", "cond", "map_fn"])
def test_a_module_made_inside_has_its_state_outside(
    either_control_flow: None, spec: Any, new_graph: tf.Graph, where: str
) -> None:
    x = tf.constant(2.0)

    def apply(value: Any) -> Any:
        return hubplug.Module(spec)({"x": value, "p": True})

    if where == "while_loop":
        y = v1.while_loop(lambda i, a: i < 1, lambda i, a: (i + 1, apply(a)), [0, x])[1]
    elif where == "cond":
        y = tf.cond(x > 1, lambda: apply(x), lambda: x)
    else:
        y = tf.map_fn(apply, x[tf.newaxis])[0]
    assert [variable.name for variable in v1.global_variables()] == ["module/w:0"]
    assert run(y, tf.gradients(y, x)) == [294.0, [327.0]]


def test_old_loops_work_in_a_process_with_new_control_flow(tmp_path: Path, export_module: Any) -> None:
    enabled = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    path = str(export_module(hubplug.create_module_spec(module_fn), tmp_path / "old"))
    if enabled:
        v1.enable_control_flow_v2()
    with tf.Graph().as_default():
        module, x = hubplug.Module(path), tf.constant(2.0)
        y = module(x, signature="loop")
        assert run(y, tf.gradients(y, [x, *module.variables])) == [288.0, [324.0, 192.0]]


def test_update_ops_in_a_condition_of_v1_are_collected(v1_control_flow: None, spec: Any, new_graph: tf.Graph) -> None:
    module, x = hubplug.Module(spec, trainable=True), tf.constant(1.5)
    tf.cond(x > 1, lambda: module(x, signature="loop"), lambda: x)
    assert [op.name for op in v1.get_collection(KEYS.UPDATE_OPS)] == ["cond/module_apply_loop/AssignAddVariableOp"]


def test_an_initializer_with_a_condition_comes_along(v1_control_flow: None, new_graph: tf.Graph) -> None:
    def with_condition() -> None:
        w = v1.get_variable("w", initializer=lambda: tf.cond(tf.constant(True), lambda: 4.0, lambda: 5.0))
        hubplug.add_signature(outputs=w + 0.0)

    y = hubplug.Module(hubplug.create_module_spec(with_condition))()
    contexts = [context.name for context in v1.get_collection(KEYS.COND_CONTEXT)]
    assert len(contexts) == 2
    assert all(name.startswith("module/") for name in contexts)
    assert run(y) == [4.0]
