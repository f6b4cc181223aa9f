"""Writing small modules without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import pytest

import hubplug_format
from hubplug.errors import ExportError
from hubplug.types import TensorInfo
from hubplug_format import Func, ModuleBuilder, SavedModelFile, Shape, Type, write_module


def test_a_module_is_never_written_over_another(small_module: Path) -> None:
    with pytest.raises(ExportError, match="is not empty"):
        write_module(small_module, ModuleBuilder())


def test_the_same_module_has_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        builder = ModuleBuilder()
        builder.variable("v", [1.0, 2.0])
        builder.signature(outputs={"default": builder.constant("x"), "other": builder.constant("y")})
        write_module(tmp_path / name, builder)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 4
    assert [(tmp_path / "a" / file).read_bytes() for file in files] == [
        (tmp_path / "b" / file).read_bytes() for file in files
    ]


def test_every_kind_of_attribute_is_written() -> None:
    builder = ModuleBuilder()
    attrs = {
        "flag": True,
        "number": 3,
        "ratio": 0.5,
        "text": "x",
        "raw": b"\xff",
        "type": Type("int64"),
        "shape": Shape([None, 3]),
        "func": Func("f", {"T": Type("bool")}),
        "types": [Type("float32"), Type("string")],
        "shapes": [Shape(None)],
    }
    builder.node("Anything", (), attrs, name="n")
    node = builder.meta_graph.graph_def.node[0]
    assert node.attr["flag"].b
    assert node.attr["number"].i == 3
    assert node.attr["raw"].s == b"\xff"
    assert node.attr["type"].type == 9
    assert [dim.size for dim in node.attr["shape"].shape.dim] == [-1, 3]
    assert node.attr["func"].func.attr["T"].type == 10
    assert list(node.attr["types"].list.type) == [1, 7]
    assert node.attr["shapes"].list.shape[0].unknown_rank
    with pytest.raises(ValueError, match="No attribute can be a dict"):
        builder.node("Anything", (), {"x": {}})


def test_names_are_unique() -> None:
    builder = ModuleBuilder()
    assert [builder.constant(1.0).name for _ in range(3)] == ["Const:0", "Const_1:0", "Const_2:0"]
    with pytest.raises(ValueError, match="There is a node 'Const' already"):
        builder.constant(1.0, name="Const")


def test_sparse_inputs_are_declared_by_their_tensor_info(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    sparse = TensorInfo("string", (None,), "sparse", {"values": "v:0", "indices": "i:0", "shape": "s:0"})
    builder.signature(inputs={"s": sparse})
    write_module(tmp_path / "m", builder)
    assert SavedModelFile.read(tmp_path / "m").variant().signatures["default"].inputs["s"] == sparse


def test_variants_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    first, second = ModuleBuilder(), ModuleBuilder(["train"])
    first.variable("v", 1.0)
    second.variable("v", 2.0)
    with pytest.raises(ValueError, match="different values for the variable 'v'"):
        write_module(tmp_path / "m", first, second)


def test_an_asset_cannot_leave_its_directory() -> None:
    with pytest.raises(ValueError, match="leads out of assets/"):
        ModuleBuilder().asset("../x", b"")


def test_every_public_name_can_be_imported() -> None:
    for name in hubplug_format.__all__:
        assert getattr(hubplug_format, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = hubplug_format.absent
