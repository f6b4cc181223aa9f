"""Control flow that does not add up, or has no equal in functions, is refused with the name of an op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from hubplug_tf1._errors import RaisingError
from hubplug_tf1._raising.importing import import_raised
from tests.raised_graphs import world_of_tensorflow_1

# Functions are called as programs of TensorFlow 2 call them.
pytestmark = pytest.mark.usefixtures("eager")

v1 = tf.compat.v1


def raised(graph_def: Any, element: str) -> Any:
    def function(x: Any) -> Any:
        found = import_raised(graph_def, {"x:0": x}, [element])[0]
        if isinstance(found, tf.Operation):
            with tf.control_dependencies([found]):
                return tf.constant(0)
        return found

    return v1.wrap_function(function, [tf.TensorSpec([None])])


def graph_def_of(build: Callable[[Any], Any]) -> Any:
    with world_of_tensorflow_1(tf), tf.Graph().as_default() as graph:
        tf.identity(build(v1.placeholder(tf.float32, [None], name="x")), name="y")
    return graph.as_graph_def()


def loop(x: Any) -> Any:
    return v1.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * x), [0, x])[1]


def condition(x: Any) -> Any:
    return tf.cond(x[0] > 0, lambda: x * 2.0, lambda: x - 1.0)


def node(graph_def: Any, name: str) -> Any:
    return next(each for each in graph_def.node if each.name == name)


def without_condition(graph_def: Any) -> None:
    node(graph_def, "while/LoopCond").op = "Identity"
    node(graph_def, "while/LoopCond").attr["T"].type = tf.bool.as_datatype_enum


def out_of_the_frame(graph_def: Any) -> None:
    node(graph_def, "while/mul").input[1] = "x"
    node(graph_def, "while/mul").input.append("^y/more")
    graph_def.node.add(name="y/more", op="NoOp")


def another_frame(graph_def: Any) -> None:
    node(graph_def, "while/Enter_1").attr["frame_name"].s = b"other"


def circle(graph_def: Any) -> None:
    node(graph_def, "while/mul").input.append("^while/NextIteration_1")


def missing_op(graph_def: Any) -> None:
    node(graph_def, "while/mul").input.append("^gone")


def exit_of_nothing(graph_def: Any) -> None:
    node(graph_def, "while/Exit_1").input[0] = "x"


def value_of_all_turns(graph_def: Any) -> None:
    node(graph_def, "while/Exit_1").input[0] = "while/Merge_1"


def result_of_its_own(graph_def: Any) -> None:
    cast = graph_def.node.add(name="while_cast", op="Cast")
    cast.input.append("while/Exit")
    cast.attr["SrcT"].type, cast.attr["DstT"].type = tf.int32.as_datatype_enum, tf.float32.as_datatype_enum
    node(graph_def, "while/Enter_1").input[0] = "while_cast"


@pytest.mark.parametrize(
    "damage",
    [
        without_condition,
        out_of_the_frame,
        another_frame,
        circle,
        missing_op,
        exit_of_nothing,
        value_of_all_turns,
        result_of_its_own,
    ],
    ids=lambda damage: damage.__name__,
)
def test_a_damaged_loop_is_refused(damage: Callable[[Any], None]) -> None:
    graph_def = graph_def_of(loop)
    damage(graph_def)
    with pytest.raises(RaisingError, match=r"while|gone|'x'"):
        raised(graph_def, "y:0")


def one_branch_twice(graph_def: Any) -> None:
    merge = node(graph_def, "cond/Merge")
    merge.input[:] = [merge.input[0], merge.input[0]]


def always_there(graph_def: Any) -> None:
    node(graph_def, "cond/Merge").input[0] = "strided_slice"


def another_predicate(graph_def: Any) -> None:
    graph_def.node.add(name="other", op="LogicalNot").input.append("Greater")
    for each in graph_def.node:
        if each.op == "Switch" and each.name.startswith("cond/mul"):
            each.input[1] = "other"
        if each.name == "cond/mul/y":
            each.input[:] = []


@pytest.mark.parametrize(
    "damage", [one_branch_twice, always_there, another_predicate], ids=lambda damage: damage.__name__
)
def test_a_merge_of_what_is_not_one_of_two_is_refused(damage: Callable[[Any], None]) -> None:
    graph_def = graph_def_of(condition)
    damage(graph_def)
    with pytest.raises(RaisingError, match="'cond/Merge'"):
        raised(graph_def, "y:0")


@pytest.mark.parametrize("element", ["cond/mul:0", "cond/Switch_1:1"])
def test_a_tensor_that_is_there_by_condition_only_cannot_be_asked_for(element: str) -> None:
    with pytest.raises((RaisingError, ValueError), match=r"condition only|not in the graph"):
        raised(graph_def_of(condition), element)


def test_what_is_in_a_loop_cannot_be_asked_for() -> None:
    for element in ("while/mul:0", "while/mul"):
        with pytest.raises(RaisingError, match=r"'while/mul(:0)?' is in a loop"):
            raised(graph_def_of(loop), element)


@pytest.mark.parametrize("build", [loop, lambda x: tf.map_fn(lambda each: each * each, x)], ids=["loop", "array"])
def test_gradients_of_loops_that_tensorflow_1_made_are_refused(build: Callable[[Any], Any]) -> None:
    def with_gradient(x: Any) -> Any:
        return tf.gradients(build(x), x)[0]

    with pytest.raises(RaisingError, match=r"Stack|TensorArrayGradV3"):
        raised(graph_def_of(with_gradient), "y:0")


def test_conditions_in_each_other_are_raised_until_python_has_had_enough() -> None:
    def nested(depth: int, x: Any) -> Any:
        others = []
        for each in range(depth, 0, -1):
            other, x = tf.raw_ops.Switch(data=x, pred=x[0] > each)
            others.append(other * float(each))
        for other in reversed(others):
            x, _ = tf.raw_ops.Merge(inputs=[other, x])
        return x

    function = raised(graph_def_of(lambda x: nested(20, x)), "y:0")
    np.testing.assert_array_equal(function(tf.constant([3.5])), [70.0])
    with pytest.raises(RaisingError, match="nested too deeply"):
        raised(graph_def_of(lambda x: nested(90, x)), "y:0")


def test_an_op_in_a_condition_runs_if_the_condition_holds() -> None:
    state = tf.Variable([0.0])

    def build(x: Any) -> Any:
        v = v1.get_variable("v", [1], use_resource=True, initializer=v1.zeros_initializer())

        def add() -> Any:
            with tf.control_dependencies([tf.raw_ops.AssignAddVariableOp(resource=v.handle, value=x, name="add")]):
                return tf.identity(x)

        return tf.cond(x[0] > 0, add, lambda: x)

    graph_def = graph_def_of(build)
    name = next(each.name for each in graph_def.node if each.op == "AssignAddVariableOp")

    def function(x: Any) -> Any:
        with tf.control_dependencies(import_raised(graph_def, {"x:0": x, "v:0": state.handle}, [name])):
            return tf.constant(0)

    wrapped = v1.wrap_function(function, [tf.TensorSpec([1])])
    for value, expected in ((2.0, 2.0), (-1.0, 2.0), (3.0, 5.0)):
        wrapped(tf.constant([value]))
        np.testing.assert_array_equal(state, [expected])
