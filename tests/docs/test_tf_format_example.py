"""The format that docs/hooks.md shows is complete: load, signatures, instantiate, apply, export, reload."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import hubplug
from hubplug.errors import NobodyAnswered, UnknownSignatureError
from tests.docs.test_hook_examples import example


@pytest.fixture
def scope() -> dict[str, Any]:
    return example("hubplug_load_format")


@pytest.fixture
def tables(scope: dict[str, Any], tmp_path: Path) -> hubplug.ModuleSpec:
    """The spec of a module in a format that only one Hub knows, and the default one does not."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "table.json").write_text(json.dumps({"a": "b"}))
    return hubplug.Hub({"chain": ["file"]}, plugins=[scope["Tables"]()]).load_spec(str(tmp_path / "in"))


def test_a_module_of_a_third_partys_format_asks_its_own_hub(tables: hubplug.ModuleSpec, tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        module = hubplug.Module(tables)
        found = module(["a", "z"])
        session.run(tf.compat.v1.tables_initializer())
        assert session.run(found).tolist() == [b"b", b""]
        module.export(str(tmp_path / "out"), session)
        with pytest.raises(tf.errors.AlreadyExistsError):
            module.export(str(tmp_path / "out"), session)
    again = hubplug.Hub({"chain": ["file"]}, plugins=tables.hub._first).load_spec(str(tmp_path / "out"))
    assert again.table == {"a": "b"}


def test_a_spec_exports_from_a_checkpoint_through_its_own_hub(tables: hubplug.ModuleSpec, tmp_path: Path) -> None:
    tables.export(str(tmp_path / "out"), checkpoint_path="none is needed")
    assert json.loads((tmp_path / "out" / "table.json").read_text()) == {"a": "b"}
    with pytest.raises(tf.errors.AlreadyExistsError):
        tables.export(str(tmp_path / "out"), checkpoint_path="none is needed")


def test_the_default_hub_is_not_asked(scope: dict[str, Any], tables: hubplug.ModuleSpec, tmp_path: Path) -> None:
    foreign = scope["TableSpec"]({"a": "b"})
    foreign.hub = hubplug.Hub({"chain": ["file", "tf1"]})
    with pytest.raises(NobodyAnswered):
        foreign.export(str(tmp_path / "out"), checkpoint_path="x")
    with foreign.hub.activate():
        tables.export(str(tmp_path / "out"), checkpoint_path="x")


def test_inputs_and_outputs_are_described_by_what_the_signatures_say(tables: hubplug.ModuleSpec) -> None:
    (info,) = tables.get_input_info_dict().values()
    assert (info.dtype, info.is_sparse) == (tf.string, False)
    assert info.get_shape().is_compatible_with([7])
    assert info.type_spec == tf.TensorSpec([None], tf.string)
    assert list(tables.get_output_info_dict("default")) == ["default"]
    with pytest.raises(UnknownSignatureError, match="'nope'"):
        tables.get_output_info_dict("nope")


def test_other_encodings_are_described_too() -> None:
    class Encoded(hubplug.ModuleSpec):
        def signatures(self, tags: object = None) -> dict[str, hubplug.SignatureInfo]:
            inputs = {
                "sparse": hubplug.TensorInfo("int64", (None, 3), "sparse"),
                "ragged": hubplug.TensorInfo("float32", (2, None), "composite"),
                "any": hubplug.TensorInfo("float32", None),
            }
            return {"default": hubplug.SignatureInfo(inputs, {})}

    found = {key: info.type_spec for key, info in Encoded().get_input_info_dict().items()}
    assert found["sparse"] == tf.SparseTensorSpec([None, 3], tf.int64)
    assert found["ragged"] == tf.RaggedTensorSpec([2, None], tf.float32)
    assert found["any"] == tf.TensorSpec(None, tf.float32)
