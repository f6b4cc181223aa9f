"""Modules with ops that the process does not have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import hubplug
from hubplug.errors import HubplugError

v1 = tf.compat.v1


@pytest.fixture
def path(tmp_path: Path, export_module: Any, read_saved_model: Any) -> Path:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [], name="x")
        hubplug.add_signature(inputs=x, outputs=tf.negative(tf.abs(x, name="a"), name="b"))

    path = export_module(hubplug.create_module_spec(module_fn), tmp_path / "module")
    saved = read_saved_model(path)
    meta = saved.meta_graphs[0]
    for node in meta.graph_def.node:
        node.op = {"Abs": "SentencepieceOp", "Neg": "NobodysOp"}.get(node.op, node.op)
    meta.meta_info_def.stripped_op_list.op.add(name="UnusedOp")
    (path / "saved_model.pb").write_bytes(saved.SerializeToString())
    return path


def test_all_missing_ops_are_named_in_one_error_with_what_brings_them(path: Path, new_graph: tf.Graph) -> None:
    spec = hubplug.load_module_spec(str(path))
    with pytest.raises(tf.errors.NotFoundError) as caught:
        hubplug.Module(spec)
    assert isinstance(caught.value, HubplugError)
    first, hint = str(caught.value).splitlines()
    assert "NobodysOp, SentencepieceOp, UnusedOp" in first
    assert "pip install tensorflow-text" in hint
    assert "import tensorflow_text" in hint
    assert caught.value.error_code == tf.errors.NOT_FOUND


def test_nothing_is_added_to_the_graph_and_no_name_is_taken(path: Path, new_graph: tf.Graph) -> None:
    with pytest.raises(tf.errors.NotFoundError):
        hubplug.Module(str(path))
    assert new_graph.get_operations() == []
    with v1.variable_scope(None, default_name="module") as scope:
        assert scope.name == "module"


def test_attributes_of_a_newer_producer_at_their_defaults_are_dropped(
    tmp_path: Path, export_module: Any, read_saved_model: Any, new_graph: tf.Graph
) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [], name="x")
        hubplug.add_signature(inputs=x, outputs=tf.negative(x))

    path = export_module(hubplug.create_module_spec(module_fn), tmp_path / "module")
    saved = read_saved_model(path)
    meta = saved.meta_graphs[0]
    for definition in meta.meta_info_def.stripped_op_list.op:
        if definition.name == "Neg":
            definition.attr.add(name="from_the_future", type="int").default_value.i = 5
    for node in meta.graph_def.node:
        if node.op == "Neg":
            node.attr["from_the_future"].i = 5
    (path / "saved_model.pb").write_bytes(saved.SerializeToString())
    y = hubplug.Module(str(path))(2.0)
    with v1.Session() as session:
        assert session.run(y) == -2.0
