"""Modules of the kinds that are rare, and that a function of TensorFlow 2 has no equal of at hand: see ``module_kinds``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.module_kinds import Define


def _weights(tf: Any, name: str, value: Any, **arguments: Any) -> Any:
    return tf.compat.v1.get_variable(name, initializer=np.asarray(value, np.float32), **arguments)


def loop_in_a_condition_with_conditions_in_it(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [])
    w = _weights(tf, "w", 2.0)

    def step(i: Any, y: Any) -> Any:
        return i + 1, tf.compat.v1.cond(y > 5.0, lambda: y * w, lambda: y + w)

    def loop() -> Any:
        return tf.compat.v1.while_loop(lambda i, _: i < 3, step, [0, x])[1]

    hub.add_signature(inputs=x, outputs=tf.compat.v1.cond(x > 0.0, loop, lambda: x - w))


def recurrent(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None, 3, 2])
    w = _weights(tf, "w", np.ones([4, 2]) / 3)
    steps = tf.TensorArray(tf.float32, 3).unstack(tf.transpose(x, [1, 0, 2]))

    def step(i: Any, state: Any, states: Any) -> Any:
        state = tf.tanh(tf.matmul(tf.concat([steps.read(i), state], 1), w))
        return i + 1, state, states.write(i, state)

    begin = [0, tf.zeros_like(x[:, 0]), tf.TensorArray(tf.float32, 3)]
    _, state, states = tf.compat.v1.while_loop(lambda i, *_: i < 3, step, begin)
    hub.add_signature(inputs=x, outputs={"default": state, "all": states.stack()})


def loop_over_a_reference(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [])
    w = _weights(tf, "w", 2.0, use_resource=False)
    _, y = tf.compat.v1.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y * w), [0, x])
    hub.add_signature(inputs=x, outputs=y)


def map_over_rows(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None, 2])
    w = _weights(tf, "w", [2.0, 3.0])
    hub.add_signature(inputs=x, outputs=tf.map_fn(lambda row: row * w, x))


def updates_of_references(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None, 2])
    a = _weights(tf, "a", [1.0, 2.0], use_resource=False)
    b = _weights(tf, "b", [[1.0, 1.0], [2.0, 2.0]], use_resource=False)
    count = tf.compat.v1.get_variable(
        "count", [], tf.int64, tf.compat.v1.zeros_initializer(), trainable=False, use_resource=False
    )
    mean = tf.reduce_mean(x, 0)
    v1 = tf.compat.v1
    for update in (v1.assign_add(a, mean), v1.scatter_add(b, [0], [mean]), v1.assign_sub(count, 3)):
        v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update)
    hub.add_signature(inputs=x, outputs=x * a + b[0])


def partitioned_with_losses(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None, 4])
    w = tf.compat.v1.get_variable(
        "w",
        [4, 2],
        partitioner=tf.compat.v1.fixed_size_partitioner(2),
        regularizer=tf.nn.l2_loss,
        use_resource=False,
    )
    hub.add_signature(inputs=x, outputs=tf.matmul(x, w))


def composite_outputs(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None, 2])
    hub.add_signature(inputs=x, outputs={"default": tf.sparse.from_dense(x), "rows": tf.RaggedTensor.from_tensor(x)})


def outputs_that_are_not_computed(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
    y = tf.compat.v1.placeholder(tf.float32, [None], name="y")
    w = _weights(tf, "w", [1.0])
    outputs = {"default": x, "w": w.read_value(), "constant": tf.constant(3.0), "sum": x + y}
    hub.add_signature(inputs={"x": x, "y": y}, outputs=outputs)


def an_input_twice(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None])
    hub.add_signature(inputs={"a": x, "b": x}, outputs=x * 2.0)


def an_input_that_is_a_constant(tf: Any, hub: Any, files: Path) -> None:
    x = tf.constant([1.0, 2.0])
    hub.add_signature(inputs=x, outputs=x * 2.0)


def variable_of_strings(tf: Any, hub: Any, files: Path) -> None:
    words = tf.compat.v1.get_variable("words", initializer=tf.constant(["a", "b"]), trainable=False)
    hub.add_signature(outputs=tf.identity(words))


def variable_of_unknown_shape(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None])
    w = tf.compat.v1.get_variable("w", initializer=tf.constant([1.0, 2.0]), validate_shape=False, use_resource=True)
    hub.add_signature(inputs=x, outputs=x * w)


def table_that_is_a_reference(tf: Any, hub: Any, files: Path) -> None:
    words = tf.compat.v1.placeholder(tf.string, [None])
    table = tf.raw_ops.HashTable(key_dtype=tf.string, value_dtype=tf.int64, shared_name="t")
    keys, values = ["a", "b"], tf.constant([1, 2], tf.int64)
    fill = tf.raw_ops.InitializeTable(table_handle=table, keys=keys, values=values)
    tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.TABLE_INITIALIZERS, fill)
    missing = tf.constant(-1, tf.int64)
    hub.add_signature(
        inputs=words, outputs=tf.raw_ops.LookupTableFind(table_handle=table, keys=words, default_value=missing)
    )


def table_that_can_change(tf: Any, hub: Any, files: Path) -> None:
    words = tf.compat.v1.placeholder(tf.string, [None])
    table = tf.raw_ops.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.int64, shared_name="t")
    fill = tf.raw_ops.LookupTableInsertV2(table_handle=table, keys=["a"], values=tf.constant([4], tf.int64))
    tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.TABLE_INITIALIZERS, fill)
    missing = tf.constant(-1, tf.int64)
    hub.add_signature(
        inputs=words, outputs=tf.raw_ops.LookupTableFindV2(table_handle=table, keys=words, default_value=missing)
    )


def two_ops_of_one_table(tf: Any, hub: Any, files: Path) -> None:
    words = tf.compat.v1.placeholder(tf.string, [None])
    for _ in range(2):
        table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64, shared_name="same")
        fill = tf.raw_ops.InitializeTableV2(table_handle=table, keys=["a"], values=tf.constant([5], tf.int64))
        tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.TABLE_INITIALIZERS, fill)
    missing = tf.constant(-1, tf.int64)
    hub.add_signature(
        inputs=words, outputs=tf.raw_ops.LookupTableFindV2(table_handle=table, keys=words, default_value=missing)
    )


def queue(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None])
    waiting = tf.queue.FIFOQueue(2, tf.float32, shapes=[[]])
    with tf.control_dependencies([waiting.enqueue(3.0)]):
        hub.add_signature(inputs=x, outputs=x + waiting.dequeue())


def custom_gradient_of_a_variable(tf: Any, hub: Any, files: Path) -> None:
    @tf.custom_gradient
    def double(value: Any) -> Any:
        return value * 2.0, lambda upstream: upstream * 7.0

    x = tf.compat.v1.placeholder(tf.float32, [None])
    hub.add_signature(inputs=x, outputs=double(x * _weights(tf, "w", [3.0])))


HARD_KINDS: list[Define] = [
    loop_in_a_condition_with_conditions_in_it,
    recurrent,
    loop_over_a_reference,
    map_over_rows,
    updates_of_references,
    partitioned_with_losses,
    composite_outputs,
    outputs_that_are_not_computed,
    an_input_twice,
    an_input_that_is_a_constant,
    variable_of_strings,
    variable_of_unknown_shape,
    table_that_is_a_reference,
    table_that_can_change,
    two_ops_of_one_table,
    queue,
    custom_gradient_of_a_variable,
]
