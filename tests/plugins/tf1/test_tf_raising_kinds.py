"""Kinds of graphs that people wrote with TensorFlow 1, raised: recurrent networks, loops of everything, odd conditions."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.raised_graphs import Build, Program, raised_ops
from tests.raised_programs import program

# Functions are called as programs of TensorFlow 2 call them.
pytestmark = pytest.mark.usefixtures("eager")

v1 = tf.compat.v1

OLD = {"Switch", "Merge", "Enter", "Exit", "NextIteration", "LoopCond", "TensorArrayV3", "VariableV2"}


def cells() -> Any:
    pytest.importorskip("tf_keras", reason="of no pre-release")
    return v1.nn.rnn_cell


def lstm(x: Any) -> Any:
    cell = cells().LSTMCell(3)
    outputs, state = v1.nn.dynamic_rnn(cell, x[tf.newaxis, :, tf.newaxis], sequence_length=[2], dtype=tf.float32)
    return [outputs, state.c, state.h]


def both_directions(x: Any) -> Any:
    there, back = (cells().BasicRNNCell(2) for _ in range(2))
    inputs = x[tf.newaxis, :, tf.newaxis]
    outputs, _ = v1.nn.bidirectional_dynamic_rnn(there, back, inputs, dtype=tf.float32, swap_memory=True)
    return tf.concat(outputs, 2)


def raw_rnn(x: Any) -> Any:
    cell = cells().BasicRNNCell(2)
    inputs = tf.TensorArray(tf.float32, 3).unstack(x[:, None, None] * tf.ones([1, 1, 2]))

    def turn(time: Any, output: Any, state: Any, _: Any) -> Any:
        over = time >= 3
        following = tf.cond(over, lambda: tf.zeros([1, 2]), lambda: inputs.read(time))
        state = cell.zero_state(1, tf.float32) if output is None else state
        return tf.fill([1], over), following, state, output, None

    outputs, state, _ = v1.nn.raw_rnn(cell, turn)
    return [outputs.stack(), state]


def no_turn(x: Any) -> Any:
    return v1.while_loop(lambda i, a: i < 0, lambda i, a: (i + 1, a * x), [0, x])[1]


def most_turns(x: Any) -> Any:
    turn = lambda i, a: [i + 1, a * x + 1.0]  # noqa: E731
    return v1.while_loop(lambda i, a: tf.reduce_sum(a) < 1e6, turn, [0, x], maximum_iterations=3)[1]


def partitioned_variable(x: Any) -> Any:
    split = v1.fixed_size_partitioner(3)
    w = v1.get_variable("w", [6, 2], initializer=v1.ones_initializer(), partitioner=split)
    return v1.nn.embedding_lookup(w, [0, 3, 5]) * x[:, None]


def strings(x: Any) -> Any:
    text = tf.strings.as_string(x, precision=1)
    joined = v1.while_loop(lambda i, a: i < 2, lambda i, a: (i + 1, tf.strings.join([a, text], "-")), [0, text])[1]
    return [joined, tf.map_fn(lambda each: tf.strings.length(each), joined, dtype=tf.int32)]


def many_dtypes(x: Any) -> Any:
    def turn(i: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
        return i + 1, a + tf.cast(x, tf.float64), tf.logical_not(b), c * tf.complex(x, x), d + tf.cast(i, tf.int64)

    starts = [0, tf.cast(x, tf.float64), tf.constant(True), tf.complex(x, -x), tf.constant(0, tf.int64)]
    _, a, b, c, d = v1.while_loop(lambda i, *_: i < 3, turn, starts)
    return [a, b, tf.math.real(c), d]


def sparse(x: Any) -> Any:
    start = tf.SparseTensor([[0, 0], [1, 1], [2, 0]], x, [3, 2])
    turn = lambda i, s: (i + 1, tf.SparseTensor(s.indices, s.values * x, s.dense_shape))  # noqa: E731
    _, s = v1.while_loop(lambda i, _: i < 2, turn, [0, start])
    s = tf.cond(x[0] > 0, lambda: tf.SparseTensor(s.indices, s.values * 2.0, s.dense_shape), lambda: s)
    return [v1.sparse_reduce_sum(s, 1), s.indices]


def ragged(x: Any) -> Any:
    rows = tf.RaggedTensor.from_row_lengths(x, [1, 2])
    return [tf.map_fn(tf.reduce_sum, rows, fn_output_signature=tf.float32), tf.reduce_sum(rows * 2.0, 1)]


def batch_norm_by_condition(x: Any) -> Any:
    images = x[:, None, None, None]
    mean = v1.get_variable("mean", [1], initializer=v1.zeros_initializer(), trainable=False)
    scale = v1.get_variable("scale", [1], initializer=v1.ones_initializer())

    def training() -> Any:
        y, batch_mean, _ = v1.nn.fused_batch_norm(images, scale, [0.0])
        with tf.control_dependencies([v1.assign(mean, 0.9 * mean + 0.1 * batch_mean)]):
            return tf.identity(y)

    return tf.cond(x[0] > 0, training, lambda: images * scale + mean)


def variables_in_loops_in_conditions(x: Any) -> Any:
    w = v1.get_variable("w", [3], initializer=v1.ones_initializer())

    def turn(i: Any, a: Any) -> Any:
        inner = lambda: v1.while_loop(lambda j, b: j < i, lambda j, b: (j + 1, b * w + x), [0, a])[1]  # noqa: E731
        return i + 1, tf.cond(a[0] > 2.0, lambda: a + tf.gather(w, [i, i, 0]), inner)

    return v1.while_loop(lambda i, a: i < 3, turn, [0, x])[1]


def map_in_map(x: Any) -> Any:
    return tf.map_fn(lambda each: tf.map_fn(lambda inner: inner * each + x[0], x), x)


def twelve_cases(x: Any) -> Any:
    total = tf.reduce_sum(x)
    cases = [(total < -2 + i * 0.5, lambda i=i: x * float(i)) for i in range(12)]
    return v1.case(cases, default=lambda: x - 1.0)


def conditions_on_one_predicate(x: Any) -> Any:
    positive = x[0] > 0
    a, b, c = tf.cond(positive, lambda: (x, x * 2.0, tf.constant(1)), lambda: (x * 3.0, x, tf.constant(2)))
    return [a, b, c, tf.cond(positive, lambda: a * b, lambda: a - b)]


def which_input_of_a_merge(x: Any) -> Any:
    false, true = tf.raw_ops.Switch(data=x, pred=x[0] > 0)
    merged, index = tf.raw_ops.Merge(inputs=[false * 2.0, true * 3.0])
    return [merged, tf.identity(index)]


def wider_shapes_in_an_inner_loop(x: Any) -> Any:
    shapes = [tf.TensorShape([]), tf.TensorShape([None])]

    def turn(i: Any, a: Any) -> Any:
        inner = lambda j, b: (j + 1, tf.concat([b, a[:1]], 0))  # noqa: E731
        return i + 1, v1.while_loop(lambda j, _: j < 2, inner, [0, a], shapes)[1]

    return v1.while_loop(lambda i, _: i < 2, turn, [0, x], shapes)[1]


def condition_after_an_assignment(x: Any) -> Any:
    v = v1.get_variable("v", [3], initializer=v1.zeros_initializer(), trainable=False)
    with tf.control_dependencies([v1.assign_add(v, tf.stop_gradient(x))]):
        positive = tf.identity(x[0] > 0)
    return tf.cond(positive, lambda: x + tf.stop_gradient(v.read_value()), lambda: x - tf.stop_gradient(v.read_value()))


def functions_with_conditions(x: Any) -> Any:
    v1.enable_control_flow_v2()
    square = tf.function(lambda value: tf.cond(value[0] > 0, lambda: value * value, lambda: value))
    y = square(x)
    v1.disable_control_flow_v2()
    return v1.while_loop(lambda i, _: i < 2, lambda i, a: (i + 1, square(a) + y), [0, x])[1]


BUILDERS = [
    lstm,
    both_directions,
    raw_rnn,
    no_turn,
    most_turns,
    partitioned_variable,
    strings,
    many_dtypes,
    sparse,
    ragged,
    batch_norm_by_condition,
    variables_in_loops_in_conditions,
    map_in_map,
    twelve_cases,
    conditions_on_one_predicate,
    which_input_of_a_merge,
    wider_shapes_in_an_inner_loop,
    condition_after_an_assignment,
    functions_with_conditions,
]

# Matrix products of different shapes, by different kernels.
ROUNDED = {lstm, both_directions, raw_rnn}
# TensorFlow has no gradient of an imported function with a condition, in a session neither.
WITHOUT_GRADIENT = {functions_with_conditions}


@pytest.mark.parametrize("references", [False, True], ids=["resources", "references"])
@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_what_a_session_computes_a_function_computes(build: Build, references: bool) -> None:
    fed = np.array([-1.0, 2.0, 0.5] if references else [1.0, 2.0, 3.0], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cells are deprecated
        program = Program(tf, build, [fed], references=references, gradients=build not in WITHOUT_GRADIENT)
        function = program.check(
            exact=build not in ROUNDED, gradients=build not in WITHOUT_GRADIENT, everywhere=not references
        )
    assert not raised_ops(function) & OLD


@pytest.mark.parametrize("seed", [5, 25, 64, 186, 268, 311])
def test_random_programs_compute_what_they_compute_in_a_session(seed: int) -> None:
    fed = np.random.RandomState(seed).randn(3).astype(np.float32)
    function = Program(tf, program(tf, seed), [fed]).check(everywhere=False)
    assert not raised_ops(function) & OLD
