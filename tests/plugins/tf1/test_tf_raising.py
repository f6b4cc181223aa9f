"""Control flow of TensorFlow 1 in functions of TensorFlow 2: values, effects and gradients are those of a session."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.raised_graphs import Build, Program, raised_ops

# Functions are called as programs of TensorFlow 2 call them.
pytestmark = pytest.mark.usefixtures("eager")

v1 = tf.compat.v1

OLD = {"Switch", "Merge", "Enter", "Exit", "NextIteration", "LoopCond", "TensorArrayV3", "VariableV2"}


def vector(*values: float) -> Any:
    return np.array(values, np.float32)


def plain(x: Any) -> Any:
    return x * 2.0


def condition(x: Any) -> Any:
    return tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2.0, lambda: x - 1.0)


def loop(x: Any) -> Any:
    return v1.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * x), [0, x])[1]


def scan(x: Any) -> Any:
    return tf.scan(lambda state, each: state * 0.5 + each, x, tf.constant(0.0))


def map_fn(x: Any) -> Any:
    return tf.map_fn(lambda each: tf.sin(each) * each, x)


def foldl(x: Any) -> Any:
    return tf.foldl(lambda state, each: state * each + 1.0, x)


def loop_in_condition_in_loop(x: Any) -> Any:
    def turn(i: Any, a: Any) -> Any:
        def inner(j: Any, b: Any) -> Any:
            return j + 1, tf.cond(j > i, lambda: b * x, lambda: b + 1.0)

        return i + 1, tf.cond(i > 0, lambda: v1.while_loop(lambda j, b: j < 3, inner, [0, a])[1], lambda: a - x)

    return v1.while_loop(lambda i, a: i < 3, turn, [0, x])[1]


def three_conditions_deep(x: Any) -> Any:
    total = tf.reduce_sum(x)
    return tf.cond(
        total > 0,
        lambda: tf.cond(total > 1, lambda: tf.cond(total > 2, lambda: x * x * x, lambda: x * x), lambda: x * 4.0),
        lambda: -x,
    )


def cases(x: Any) -> Any:
    total = tf.reduce_sum(x)
    return v1.case(
        [(total < 0, lambda: x * 2.0), (total < 5, lambda: x * 3.0), (total < 100, lambda: x * x)],
        default=lambda: x - 1.0,
    )


def growing_shape(x: Any) -> Any:
    shapes = [tf.TensorShape([]), tf.TensorShape([None])]
    return v1.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.concat([a, a], 0)), [0, x], shapes)[1]


def assertion(x: Any) -> Any:
    with tf.control_dependencies([v1.Assert(tf.reduce_sum(x) > -100, [x])]):
        return tf.identity(x) * 2.0


def assignment_in_a_branch(x: Any) -> Any:
    v = v1.get_variable("v", [], initializer=v1.ones_initializer())
    y = tf.cond(x[0] > 0, lambda: v1.assign_add(v, x[0]) * 1.0, lambda: v * 5.0)
    with tf.control_dependencies([y]):
        return [y, v.read_value() * 1.0]


def assignment_in_each_turn(x: Any) -> Any:
    v = v1.get_variable("v", [], initializer=v1.zeros_initializer(), trainable=False)

    def turn(i: Any, a: Any) -> Any:
        with tf.control_dependencies([v1.assign_add(v, tf.stop_gradient(tf.cast(i, tf.float32) + x[0]))]):
            return i + 1, a + tf.stop_gradient(v.read_value()) * tf.exp(x)

    y = v1.while_loop(lambda i, a: i < 4, turn, [0, x], parallel_iterations=1)[1]
    with tf.control_dependencies([y]):
        return [y, tf.stop_gradient(v.read_value())]


def array_in_and_out_of_a_loop(x: Any) -> Any:
    n = tf.shape(x)[0]
    read = tf.TensorArray(tf.float32, n, clear_after_read=False).unstack(x)
    written = tf.TensorArray(tf.float32, 0, dynamic_size=True, clear_after_read=False)
    _, written = v1.while_loop(lambda i, _: i < n, lambda i, out: (i + 1, out.write(i, read.read(i) * x)), [0, written])
    return [written.stack(), written.gather([1, 0]), written.size(), written.read(2), written.concat()]


def array_of_pieces(x: Any) -> Any:
    pieces = tf.TensorArray(tf.float32, 2, infer_shape=False, clear_after_read=False).split(x, [1, tf.shape(x)[0] - 1])
    return [pieces.concat(), pieces.read(0)]


def array_through_a_condition(x: Any) -> Any:
    array = tf.TensorArray(tf.float32, 3, clear_after_read=False).write(0, x[2])
    array = tf.cond(x[0] > 0, lambda: array.scatter([1, 2], x[:2]), lambda: array.write(2, x[0] * 3.0).write(1, x[0]))
    return array.stack()


def gradient_of_a_condition(x: Any) -> Any:
    y = tf.cond(tf.reduce_sum(x) > 0, lambda: tf.sin(x) * x, lambda: x * x * x)
    return [y, tf.gradients(y, x)[0]]


def gradient_of_nested_conditions(x: Any) -> Any:
    y = three_conditions_deep(tf.sin(x)) * tf.cond(x[0] > 0, lambda: tf.exp(x), lambda: x * x)
    return [y, tf.gradients(y, x)[0]]


BUILDERS = [
    plain,
    condition,
    loop,
    scan,
    map_fn,
    foldl,
    loop_in_condition_in_loop,
    three_conditions_deep,
    cases,
    growing_shape,
    assertion,
    assignment_in_a_branch,
    assignment_in_each_turn,
    array_in_and_out_of_a_loop,
    array_of_pieces,
    array_through_a_condition,
    gradient_of_a_condition,
    gradient_of_nested_conditions,
]


@pytest.mark.parametrize("fed", [vector(1.0, 2.0, 3.0), vector(-1.0, -2.0, 0.5)], ids=["rising", "falling"])
@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_what_a_session_computes_a_function_computes(build: Build, fed: Any) -> None:
    function = Program(tf, build, [fed]).check()
    assert not raised_ops(function) & OLD


@pytest.mark.parametrize("build", [assignment_in_a_branch, assignment_in_each_turn], ids=lambda build: build.__name__)
def test_references_in_control_flow_are_read_when_a_session_reads_them(build: Build) -> None:
    # No gradients: those of a session take what is in a variable at the end for what was in it in between.
    function = Program(tf, build, [vector(1.0, 2.0, 3.0)], references=True).check(gradients=False)
    assert not raised_ops(function) & OLD
