"""The default graph is per thread: a module is applied in its own graph, whichever thread that is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import tensorflow as tf

import hubplug

v1 = tf.compat.v1


def doubling() -> None:
    x = v1.placeholder(tf.float32, [None])
    w = v1.get_variable("w", initializer=2.0)
    hubplug.add_signature(inputs=x, outputs=w * x)


def test_threads_that_enter_the_graph_apply_the_module() -> None:
    with tf.Graph().as_default() as graph:
        module = hubplug.Module(hubplug.create_module_spec(doubling))

        def apply(value: float) -> tf.Tensor:
            with graph.as_default():
                return module([value])

        with ThreadPoolExecutor(4) as pool:
            outputs = list(pool.map(apply, range(8)))
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            assert [float(value[0]) for value in session.run(outputs)] == [2.0 * value for value in range(8)]


def test_a_thread_with_another_default_graph_is_told_so() -> None:
    with tf.Graph().as_default():
        module = hubplug.Module(hubplug.create_module_spec(doubling))

        def apply() -> None:
            with tf.Graph().as_default():
                module([1.0])

        with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="in the graph it was instantiated for"):
            pool.submit(apply).result()


def test_one_spec_serves_several_threads() -> None:
    spec = hubplug.create_module_spec(doubling)

    def compute(value: float) -> float:
        with tf.Graph().as_default():
            output = hubplug.Module(spec)([value])
            with v1.Session() as session:
                session.run(v1.global_variables_initializer())
                return float(session.run(output)[0])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(compute, range(8))) == [2.0 * value for value in range(8)]
