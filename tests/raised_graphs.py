"""Runs a graph of TensorFlow 1 in a session and, raised, in functions of TensorFlow 2, and compares what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

Build = Callable[..., Any]
"""From placeholders to outputs: a tensor, or a list of tensors."""


@contextmanager
def world_of_tensorflow_1(tf: Any, *, references: bool = False) -> Iterator[None]:
    """Control flow as in published modules, and either kind of variables."""
    v1 = tf.compat.v1
    control_flow, resources = v1.control_flow_v2_enabled(), v1.resource_variables_enabled()
    v1.disable_control_flow_v2()
    (v1.disable_resource_variables if references else v1.enable_resource_variables)()
    try:
        yield
    finally:
        (v1.enable_control_flow_v2 if control_flow else v1.disable_control_flow_v2)()
        (v1.enable_resource_variables if resources else v1.disable_resource_variables)()


class Program:
    """A graph of TensorFlow 1 with what a session computes in it.

    Attributes:
        values: The outputs.
        slopes: Gradients of the sum of all floating outputs, for all floating inputs and variables; None where there is none.
        starts, ends: Values of the variables before and after.
    """

    def __init__(
        self, tf: Any, build: Build, fed: Sequence[Any], *, references: bool = False, gradients: bool = True
    ) -> None:
        v1 = tf.compat.v1
        self.tf = tf
        self.fed = [np.asarray(each) for each in fed]
        with world_of_tensorflow_1(tf, references=references), tf.Graph().as_default() as graph:
            tf.compat.v1.set_random_seed(1)
            inputs = [
                v1.placeholder(
                    each.dtype if each.dtype.kind != "U" else tf.string, [None] * each.ndim, name=f"input{index}"
                )
                for index, each in enumerate(self.fed)
            ]
            outputs = build(*inputs)
            outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
            self.graph_def = graph.as_graph_def()
            self.outputs = [each.name for each in outputs]
            variables = v1.global_variables()
            self.variables = [each.op.name + ":0" for each in variables]
            self.shapes = [each.shape for each in variables]
            total = [tf.reduce_sum(each) for each in outputs if isinstance(each, tf.Tensor) and each.dtype.is_floating]
            trained = [each for each in (*inputs, *variables) if each.dtype.base_dtype.is_floating]
            self.trained = [each.op.name + ":0" for each in trained]
            # No gradients of gradients here: what is in the graph by then is not what is raised.
            slopes = tf.gradients(total, trained) if gradients and total and trained else [None] * len(trained)
            slopes = [each if each is None else tf.convert_to_tensor(each) for each in slopes]
            feed = dict(zip(inputs, self.fed, strict=True))
            with v1.Session() as session:
                session.run([v1.global_variables_initializer(), v1.tables_initializer()])
                self.starts = session.run(variables)
                got = session.run(outputs, feed)
                self.ends = session.run(variables)
                self.slopes = []
                for slope in slopes:
                    for each, start in zip(variables, self.starts, strict=True):
                        each.load(start, session)
                    self.slopes.append(None if slope is None else session.run(slope, feed))
        self.values = [got[index] for index, each in enumerate(outputs) if not isinstance(each, tf.Operation)]
        self.slots = [index for index, each in enumerate(outputs) if not isinstance(each, tf.Operation)]

    def function(self) -> tuple[Any, list[Any]]:
        """The graph as a function of TensorFlow 2, and its variables."""
        from hubplug_tf1._raising.importing import import_raised
        from hubplug_tf1._raising.references import resource_graph

        tf = self.tf
        raised = resource_graph(_needed(tf, self.graph_def, self.outputs), self.outputs)
        states = [tf.Variable(start, shape=shape) for start, shape in zip(self.starts, self.shapes, strict=True)]

        def function(*inputs: Any) -> Any:
            graph = tf.compat.v1.get_default_graph()
            for each in states:
                graph.watch_variable(each)
            nodes = {node.name for node in raised.graph_def.node}
            mapped = {f"input{index}:0": each for index, each in enumerate(inputs)}
            mapped.update((name, each.handle) for name, each in zip(self.variables, states, strict=True))
            mapped = {name: each for name, each in mapped.items() if name.partition(":")[0] in nodes}
            found = import_raised(raised.graph_def, mapped, [raised.elements[name] for name in self.outputs])
            with tf.control_dependencies([each for each in found if isinstance(each, tf.Operation)]):
                return [tf.identity(found[index]) for index in self.slots]

        specs = [
            tf.TensorSpec([None] * each.ndim, each.dtype if each.dtype.kind != "U" else tf.string) for each in self.fed
        ]
        return tf.compat.v1.wrap_function(function, specs), states

    def check(self, *, gradients: bool = True, exact: bool = True, everywhere: bool = True) -> Any:
        """Raises AssertionError where the function differs from the session; gives the function.

        Args:
            gradients: Whether to compare gradients as well.
            exact: Whether values have to be equal, or nearly so.
            everywhere: Whether to call it in a ``tf.function`` and in ``Dataset.map`` too.
        """
        tf = self.tf
        function, states = self.function()
        fed = [tf.constant(each) for each in self.fed]

        def reset() -> None:
            for state, start in zip(states, self.starts, strict=True):
                state.assign(start)

        def same(values: Any) -> None:
            for value, expected in zip(values, self.values, strict=True):
                assert value.dtype == expected.dtype or value.dtype.kind == "O"
                if exact:
                    np.testing.assert_array_equal(value, expected)
                else:
                    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)

        same([each.numpy() for each in function(*fed)])
        for state, end in zip(states, self.ends, strict=True):
            np.testing.assert_allclose(state.numpy(), end, rtol=0 if exact else 1e-5)
        reset()
        if everywhere:
            same([each.numpy() for each in tf.function(lambda *inputs: function(*inputs))(*fed)])
            reset()
        if everywhere and self.fed:
            data = tf.data.Dataset.from_tensors(tuple(fed)).map(lambda *inputs: tuple(function(*inputs)))
            same([each.numpy() for each in next(iter(data))])
            reset()
        if gradients and self.trained:
            self._check_gradients(function, states, fed)
            reset()
            if everywhere:
                tf.function(lambda: self._slopes(function, states, fed))()
            reset()
        return function

    def _slopes(self, function: Any, states: Sequence[Any], fed: Sequence[Any]) -> list[Any]:
        tf = self.tf
        by_name = {f"input{index}:0": each for index, each in enumerate(fed)}
        by_name.update(zip(self.variables, states, strict=True))
        sources = [by_name[name] for name in self.trained]
        with tf.GradientTape() as tape:
            for each in fed:
                tape.watch(each)
            total = [tf.reduce_sum(each) for each in function(*fed) if each.dtype.is_floating]
            total = tf.add_n([tf.cast(each, tf.float64) for each in total]) if total else tf.constant(0.0)
        return [None if each is None else tf.convert_to_tensor(each) for each in tape.gradient(total, sources)]

    def _check_gradients(self, function: Any, states: Sequence[Any], fed: Sequence[Any]) -> None:
        for name, slope, expected in zip(self.trained, self._slopes(function, states, fed), self.slopes, strict=True):
            if expected is None:
                assert slope is None or not np.any(slope.numpy()), name
            else:
                slope = np.zeros_like(expected) if slope is None else slope.numpy()
                np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6, err_msg=name)


def _needed(tf: Any, graph_def: Any, elements: Sequence[str]) -> Any:
    return tf.compat.v1.graph_util.extract_sub_graph(graph_def, [each.partition(":")[0] for each in elements])


def raised_ops(function: Any) -> set[str]:
    """The types of the ops in a function and in those that it calls."""
    graph_def = function.graph.as_graph_def()
    nodes = [*graph_def.node, *(node for each in graph_def.library.function for node in each.node_def)]
    return {node.op for node in nodes}
