"""Modules that reached out of themselves at load under cover of a saver or an asset: the effect is real, and refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hubplug
from hubplug.errors import ValidationError
from hubplug_format import message_class
from tests.plugins.signatures.test_tf_legitimate_modules import save_tf1, save_tf2

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("eager")]


@pytest.fixture(scope="module")
def tf() -> Any:
    import tensorflow

    return tensorflow


def changed(directory: Path, change: Callable[[Any], None]) -> None:
    path = directory / "saved_model.pb"
    model = message_class("SavedModel").FromString(path.read_bytes())
    change(model.meta_graphs[0])
    path.write_bytes(model.SerializeToString())


def node_of(meta_graph: Any, name: str) -> Any:
    return next(node for node in meta_graph.graph_def.node if node.name == name.partition(":")[0])


def text_constant(meta_graph: Any, name: str, value: bytes) -> Any:
    node = meta_graph.graph_def.node.add(name=name, op="Const")
    node.attr["dtype"].type = 7
    tensor = node.attr["value"].tensor
    tensor.dtype = 7
    tensor.tensor_shape.SetInParent()
    tensor.string_val.append(value)
    return node


def vector_constant(meta_graph: Any, name: str, value: bytes) -> None:
    text_constant(meta_graph, name, value).attr["value"].tensor.tensor_shape.dim.add(size=1)


def load_demanding_safe(directory: Path) -> None:
    with hubplug.Hub(
        {"chain": ["file", "tf1", "savedmodel", "signatures"], "validate": {f"file://{directory}": ["safe"]}}
    ).activate():
        hubplug.load(str(directory))


def write_before_the_restore(meta_graph: Any, separator: bytes) -> None:
    """A SaveV2 that restoring waits for, with a path that a separator makes."""
    saver = meta_graph.saver_def
    text_constant(meta_graph, "smuggled/part", b"stolen")
    joined = meta_graph.graph_def.node.add(name="smuggled/path", op="StringJoin")
    joined.input.extend([saver.filename_tensor_name.partition(":")[0], "smuggled/part"])
    joined.attr["N"].i = 2
    joined.attr["separator"].s = separator
    vector_constant(meta_graph, "smuggled/names", b"name")
    vector_constant(meta_graph, "smuggled/slices", b"")
    written = meta_graph.graph_def.node.add(name="smuggled/write", op="SaveV2")
    written.input.extend(["smuggled/path", "smuggled/names", "smuggled/slices", "smuggled/part"])
    written.attr["dtypes"].list.type.append(7)
    node_of(meta_graph, saver.restore_op_name).input.append("^smuggled/write")


def test_what_restoring_would_write_is_refused(tf: Any, tmp_path: Path) -> None:
    save_tf1(tf, tmp_path / "m", tmp_path)
    load_demanding_safe(tmp_path / "m")
    changed(tmp_path / "m", lambda meta_graph: write_before_the_restore(meta_graph, b"_"))
    with pytest.raises(ValidationError, match="smuggled/write"):
        load_demanding_safe(tmp_path / "m")
    written = tmp_path / "m/variables/variables_stolen.index"
    assert not written.exists()
    tf.saved_model.load(str(tmp_path / "m"))
    assert written.exists()


def test_a_file_that_a_captured_constant_names_is_refused(tf: Any, tmp_path: Path) -> None:
    save_tf2(tf, tmp_path / "m", tmp_path)
    load_demanding_safe(tmp_path / "m")
    canary = tmp_path / "canary"
    canary.write_text("secret\n", encoding="utf-8")

    def change(meta_graph: Any) -> None:
        text_constant(meta_graph, "smuggled", str(canary).encode())
        meta_graph.asset_file_def[0].tensor_info.name = "smuggled:0"
        (asset,) = (node for node in meta_graph.object_graph_def.nodes if node.WhichOneof("kind") == "asset")
        asset.constant.operation = "smuggled"

    changed(tmp_path / "m", change)
    with pytest.raises(ValidationError, match="canary"):
        load_demanding_safe(tmp_path / "m")
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    assert loaded.f(tf.constant(["secret"])).numpy().tolist() == [loaded.v.numpy()[0].tolist()]


def test_a_table_that_a_signature_fills_is_refused(tf: Any, tmp_path: Path) -> None:
    save_tf1(tf, tmp_path / "m", tmp_path)
    canary = tmp_path / "vocab.txt"  # of the same name as the asset, and another file
    canary.write_text("secret\n", encoding="utf-8")

    def change(meta_graph: Any) -> None:
        (fill,) = (node for node in meta_graph.graph_def.node if node.op.startswith("InitializeTableFromTextFile"))
        (lookup,) = (node for node in meta_graph.graph_def.node if node.op.startswith("LookupTableFind"))
        lookup.input.append(f"^{fill.name}")
        for name in ("saved_model_main_op", "legacy_init_op", "table_initializer"):
            if name in meta_graph.collection_def:
                del meta_graph.collection_def[name]
        meta_graph.signature_def.pop("__saved_model_init_op", None)

    changed(tmp_path / "m", change)
    with pytest.raises(ValidationError, match="a signature runs"):
        load_demanding_safe(tmp_path / "m")
    words = tf.saved_model.load(str(tmp_path / "m")).signatures["serving_default"](tf.constant(["secret"]))
    assert words["y"].numpy().tolist() == [0.0]
