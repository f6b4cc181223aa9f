"""Colocation constraints of a module's ops, rewritten for what its inputs and state become."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

import hubplug

v1 = tf.compat.v1


def groups(graph: tf.Graph, op: str) -> list[bytes]:
    return graph.get_operation_by_name(op).colocation_groups()


def test_with_an_input_means_with_what_was_fed(new_graph: tf.Graph) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [], name="x")
        with v1.colocate_with(x):
            hubplug.add_signature(inputs=x, outputs=tf.identity(x, name="y"))

    module = hubplug.Module(hubplug.create_module_spec(module_fn))
    with tf.device("/device:CPU:0"):
        fed = tf.constant(1.0, name="fed")
    y = module(fed)
    assert y.op.colocation_groups() == [b"loc:@fed"]
    assert y.device == "/device:CPU:0"
    with v1.colocate_with(tf.constant(0.0, name="anchor")):
        beside = tf.constant(1.0, name="beside")
    assert module(beside).op.colocation_groups() == [b"loc:@anchor"]


@pytest.mark.parametrize("use_resource", [True, False])
def test_with_a_variable_means_with_the_state(new_graph: tf.Graph, use_resource: bool) -> None:
    def module_fn() -> None:
        w = v1.get_variable("w", [], use_resource=use_resource)
        with v1.colocate_with(w.op):
            hubplug.add_signature(outputs=tf.identity(w, name="y"))

    y = hubplug.Module(hubplug.create_module_spec(module_fn))()
    assert y.op.colocation_groups() == [b"loc:@module/w"]


def test_with_an_imported_op_means_with_its_copy(new_graph: tf.Graph) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [], name="x")
        with tf.device("/device:CPU:0"):
            a = tf.negative(x, name="a")
        with v1.colocate_with(a):
            hubplug.add_signature(inputs=x, outputs=tf.negative(a, name="y"))

    y = hubplug.Module(hubplug.create_module_spec(module_fn))(1.0)
    assert y.op.colocation_groups() == [b"loc:@module_apply_default/a"]
    assert y.device == "/device:CPU:0"


def test_a_device_function_is_asked_about_the_same_ops_at_every_call(new_graph: tf.Graph) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [], name="x")
        a = tf.negative(x, name="a")
        with v1.colocate_with(a):
            y = tf.negative(a, name="y")
        hubplug.add_signature(inputs=x, outputs=tf.negative(y, name="z"))

    asked: list[str] = []

    def device(op: tf.Operation) -> str:
        asked.append(op.name)
        return f"/device:CPU:{len(asked) % 2}"

    module, x = hubplug.Module(hubplug.create_module_spec(module_fn)), tf.constant(1.0)
    with v1.device(device):
        for _ in range(3):
            module(x)
    scopes = ["module_apply_default", "module_apply_default_1", "module_apply_default_2"]
    assert asked == [f"{scope}/{op}" for scope in scopes for op in ("a", "z")]
    devices = [[new_graph.get_operation_by_name(f"{scope}/{op}").device for op in ("a", "y", "z")] for scope in scopes]
    assert devices == [["/device:CPU:1", "/device:CPU:1", "/device:CPU:0"]] * 3


def test_ops_beside_one_that_is_left_out_stay_together(new_graph: tf.Graph) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [], name="x")
        left_out = tf.negative(x, name="left_out")
        with v1.colocate_with(left_out):
            a = tf.negative(x, name="a")
            b = tf.negative(x, name="b")
        hubplug.add_signature(inputs=x, outputs=a + b)

    hubplug.Module(hubplug.create_module_spec(module_fn))(1.0)
    assert groups(new_graph, "module_apply_default/a") == groups(new_graph, "module_apply_default/b")
    assert groups(new_graph, "module_apply_default/a") == [b"loc:@module_apply_default/a"]


def test_a_chain_over_one_that_is_left_out_is_followed(new_graph: tf.Graph) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [], name="x")
        w = v1.get_variable("w", [], use_resource=True)
        with v1.colocate_with(w.handle.op):
            left_out = tf.negative(x, name="left_out")
        y = tf.negative(x, name="y")
        y.op._set_attr("_class", tf.compat.v1.AttrValue(list=tf.compat.v1.AttrValue.ListValue(s=[b"loc:@left_out"])))
        hubplug.add_signature(inputs=x, outputs=y)
        hubplug.add_signature("other", inputs=x, outputs=left_out)

    y = hubplug.Module(hubplug.create_module_spec(module_fn))(1.0)
    assert y.op.colocation_groups() == [b"loc:@module/w"]


def two_outputs() -> None:
    x = v1.placeholder(tf.float32, [4], name="x")
    p, q = tf.split(x, 2, name="split")
    with v1.colocate_with(p):
        y = tf.identity(x, name="y")
    hubplug.add_signature("unused", inputs={"p": p}, outputs=p + 1.0)
    hubplug.add_signature("some", inputs={"p": p, "x": x}, outputs={"y": y, "q": q})
    hubplug.add_signature("all", inputs={"p": p, "q": q, "x": x}, outputs={"y": y})


@pytest.fixture
def split(new_graph: tf.Graph, caplog: Any) -> hubplug.Module:
    return hubplug.Module(hubplug.create_module_spec(two_outputs))


def test_outputs_of_one_op_fed_from_two_are_ambiguous(split: Any) -> None:
    p, q = tf.zeros([2], name="p"), tf.zeros([2], name="q")
    with pytest.raises(ValueError, match=r"'module_apply_all/y'.*'loc:@module_apply_all/split'.*'p:0'.*'q:0'"):
        split({"p": p, "q": q, "x": tf.zeros([4])}, signature="all", as_dict=True)


def test_outputs_of_one_op_fed_from_one_are_not(split: Any) -> None:
    p, q = tf.unstack(tf.zeros([2, 2]), name="both")
    outputs = split({"p": p, "q": q, "x": tf.zeros([4])}, signature="all", as_dict=True)
    assert outputs["y"].op.colocation_groups() == [b"loc:@both"]


def test_an_op_that_is_fed_in_part_and_used_in_part_is_ambiguous(split: Any) -> None:
    with pytest.raises(ValueError, match=r"is substituted by .* is not substituted by inputs"):
        split({"p": tf.zeros([2]), "x": tf.zeros([4])}, signature="some", as_dict=True)


def test_what_is_not_imported_is_never_ambiguous(split: Any) -> None:
    assert split({"p": tf.zeros([2])}, signature="unused").shape == [2]
