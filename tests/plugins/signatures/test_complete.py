"""Profile ``complete``: graph, checkpoint, signatures and assets agree."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from hubplug.types import Finding, TensorInfo
from hubplug_format import ModuleBuilder, Values, dtype_number, message_class, write_checkpoint, write_module
from hubplug_signatures._complete import check_directory
from hubplug_signatures._running_ops import RunningOps
from tests.plugins.format.conftest import write_partitioned
from tests.plugins.signatures.conftest import attach_size, image_builder, text_builder


def checked(tmp_path: Path, *builders: ModuleBuilder) -> list[Finding]:
    write_module(tmp_path / "m", *builders)
    return check_directory(tmp_path / "m")


def test_whole_modules_are_clean(tmp_path: Path) -> None:
    with_assets = text_builder()
    with_assets.asset("vocab.txt", b"a\n")
    attach_size(with_assets, 3, 3)
    assert checked(tmp_path, with_assets, text_builder(("train",))) == []
    assert checked(tmp_path / "image", image_builder()) == []


def test_published_modules_are_clean(shared_modules: Path) -> None:
    assert check_directory(shared_modules / "DM21m") == []


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"other": 1.0}, "variable 'embeddings' is not in the checkpoint"),
        ({"embeddings": [[1, 2]]}, "is float32 in the graph and int32 in the checkpoint"),
        ({"embeddings": [[1.0, 2.0]]}, "has the shape [4, 3] in the graph and [1, 2] in the checkpoint"),
    ],
)
def test_variables_are_compared_with_the_checkpoint(tmp_path: Path, stored: dict[str, object], said: str) -> None:
    write_module(tmp_path / "m", text_builder())
    write_checkpoint(tmp_path / "m/variables/variables", stored)
    (finding,) = check_directory(tmp_path / "m")
    assert finding.rule == "complete/variable"
    assert said in finding.message
    assert finding.where == "embeddings:0"


def test_the_exported_variant_must_have_the_variables_of_the_others(tmp_path: Path) -> None:
    train = text_builder(("train",))
    train.variable("step", 0)
    (finding,) = checked(tmp_path, text_builder(), train)
    assert (finding.rule, finding.tags) == ("complete/variants", frozenset({"train"}))
    assert "step" in finding.message


def test_ops_of_other_packages_and_unknown_ones_are_named(tmp_path: Path) -> None:
    builder = text_builder()
    builder.node("SentencepieceOp")
    builder.node("MysteryOp")
    found = checked(tmp_path, builder)
    assert [(f.rule, f.level, f.where) for f in found] == [
        ("complete/unknown-op", "error", "MysteryOp"),
        ("complete/custom-op", "warning", "SentencepieceOp"),
    ]
    assert "pip install tensorflow-text" in found[1].message


def test_ops_are_compared_with_the_tensorflow_that_runs(tmp_path: Path) -> None:
    builder = text_builder()
    builder.node("SentencepieceOp")
    builder.node("MysteryOp")
    builder.node("LostOp")
    builder.node("Abs")
    builder.node("DecodeWebP")
    write_module(tmp_path / "m", builder)
    has = {node.op for node in builder.meta_graph.graph_def.node} - {"LostOp", "DecodeWebP"}
    found = check_directory(tmp_path / "m", RunningOps("2.15.1", has))
    assert [(f.rule, f.level, f.where) for f in found] == [
        ("complete/op-of-another-release", "error", "DecodeWebP"),
        ("complete/unknown-op", "error", "LostOp"),
    ]
    assert "TensorFlow 2.15.1" in found[0].message
    assert "TensorFlow 2.15.1" in found[1].message


def test_tensorflow_is_not_imported_to_know_its_ops(tmp_path: Path) -> None:
    write_module(tmp_path / "m", text_builder())
    program = f"import hubplug, sys; assert hubplug.validate({str(tmp_path / 'm')!r}, ['complete']) == []"
    program += "; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_signatures_name_tensors_of_the_graph(tmp_path: Path) -> None:
    builder = text_builder()
    builder.signature(outputs={"gone": TensorInfo("float32", (), "dense", {"name": "nowhere:0"})})
    (finding,) = checked(tmp_path, builder)
    assert (finding.rule, finding.signature, finding.where) == ("complete/signature", "default", "gone")
    assert "'nowhere:0'" in finding.message


def write_tf2(
    path: Path, stored: dict[str, object], full_name: str = "dense/kernel", shape: tuple[int, ...] = (-1, 3)
) -> None:
    """A TF2 SavedModel with one variable, float32 ``shape``, in its object graph; ``stored`` is what the checkpoint holds."""
    builder = text_builder()
    nodes = builder.meta_graph.object_graph_def.nodes
    nodes.add().asset.asset_file_def_index = 0
    variable = nodes.add().variable
    variable.name, variable.dtype = "dense/kernel", dtype_number("float32")
    for size in shape:
        variable.shape.dim.add(size=size)
    nodes.add().variable.name = "never stored"
    write_module(path, builder)
    graph = message_class("TrackableObjectGraph")()
    graph.nodes.add()
    graph.nodes.add().attributes.add(name="VARIABLE_VALUE", full_name=full_name, checkpoint_key="kernel/.VALUE")
    tensors = {"embeddings": [[0.0] * 3] * 4, "_CHECKPOINTABLE_OBJECT_GRAPH": Values.of(graph.SerializeToString())}
    write_checkpoint(path / "variables/variables", {**tensors, **stored})


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"kernel/.VALUE": [[1.0, 2.0, 3.0]]}, None),
        ({"kernel/.VALUE": [[1.0, 2.0]]}, "has the shape [-1, 3] in the object graph and [1, 2] in the checkpoint"),
        ({"kernel/.VALUE": [1.0, 2.0, 3.0]}, "has the shape [-1, 3] in the object graph and [3] in the checkpoint"),
        ({"kernel/.VALUE": [[1, 2, 3]]}, "is float32 in the object graph and int32 in the checkpoint"),
        ({}, "variable 'dense/kernel' is 'kernel/.VALUE' in the checkpoint, which does not have it"),
    ],
)
def test_variables_of_a_tf2_saved_model_are_compared_with_the_checkpoint(
    tmp_path: Path, stored: dict[str, object], said: str | None
) -> None:
    write_tf2(tmp_path / "m", stored)
    found = check_directory(tmp_path / "m")
    assert [(finding.rule, finding.where) for finding in found] == (
        [("complete/variable", "dense/kernel")] if said else []
    )
    assert not said or said in found[0].message


def test_a_variable_that_the_checkpoint_calls_by_another_name_is_not_compared(tmp_path: Path) -> None:
    write_tf2(tmp_path / "m", {"kernel/.VALUE": [1]}, full_name="another")
    assert check_directory(tmp_path / "m") == []


def test_a_damaged_object_graph_of_a_checkpoint_is_a_finding(tmp_path: Path) -> None:
    write_tf2(tmp_path / "m", {"_CHECKPOINTABLE_OBJECT_GRAPH": Values.of(b"\xff\xff")})
    (finding,) = check_directory(tmp_path / "m")
    assert finding.rule == "complete/files"
    assert "the object graph of" in finding.message


def test_missing_files_and_damaged_attachments_are_findings(tmp_path: Path) -> None:
    builder = text_builder()
    builder.asset("vocab.txt", b"")
    builder.collection("hub_module_attachments").bytes_list.value.append(b"\xff\xff")
    write_module(tmp_path / "m", builder)
    (tmp_path / "m/assets/vocab.txt").unlink()
    (tmp_path / "m/variables/variables.data-00000-of-00001").unlink()
    found = check_directory(tmp_path / "m")
    assert {finding.rule for finding in found} == {"complete/files"}
    assert len(found) == 3


def partitioned(*parts: tuple[int, int]) -> ModuleBuilder:
    """A variable of the shape [5, 2], of which the graph has parts: first row and number of rows."""
    builder = ModuleBuilder()
    for number, (start, rows) in enumerate(parts):
        builder.variable(f"w/part_{number}", [[1.0, 2.0]] * rows)
        definition = message_class("VariableDef").FromString(builder.collection("variables").bytes_list.value[number])
        part = definition.save_slice_info_def
        part.full_name = "w"
        part.full_shape.extend([5, 2])
        part.var_offset.extend([start, 0])
        part.var_shape.extend([rows, 2])
        builder.collection("variables").bytes_list.value[number] = definition.SerializeToString()
    return builder


def test_a_partitioned_variable_is_compared_as_a_whole(tmp_path: Path) -> None:
    write_module(tmp_path / "m", partitioned((0, 2), (2, 3)))
    write_checkpoint(tmp_path / "m/variables/variables", {"w": Values("float32", (5, 2), (0.0,) * 10)})
    assert check_directory(tmp_path / "m") == []
    write_checkpoint(tmp_path / "m/variables/variables", {"w": Values("float32", (4, 2), (0.0,) * 8)})
    assert {finding.rule for finding in check_directory(tmp_path / "m")} == {"complete/variable"}
    assert "[5, 2] in the graph and [4, 2] in the checkpoint" in check_directory(tmp_path / "m")[0].message


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([(0, 2), (3, 2)], "of variable 'w', its 2 parts have 8 of the 10 values"),
        ([(0, 3), (2, 3)], "of variable 'w', the parts [0:3, 0:2] and [2:5, 0:2] overlap"),
        ([(0, 2), (2, 4)], "of variable 'w', the part [2:6, 0:2] is not one of the shape [5, 2]"),
    ],
)
def test_parts_in_the_graph_that_are_not_a_whole_are_findings(
    tmp_path: Path, parts: list[tuple[int, int]], said: str
) -> None:
    write_module(tmp_path / "m", partitioned(*parts))
    write_checkpoint(tmp_path / "m/variables/variables", {"w": Values("float32", (5, 2), (0.0,) * 10)})
    (finding,) = check_directory(tmp_path / "m")
    assert (finding.rule, finding.where, finding.message) == ("complete/partition", "w", said)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([(0, 2), (2, 3)], None),
        ([(2, 3)], "in the checkpoint, of 'w', its 1 parts have 6 of the 10 values"),
        ([(0, 3), (2, 3)], "in the checkpoint, of 'w', the parts [0:3, 0:2] and [2:5, 0:2] overlap"),
    ],
)
def test_parts_in_the_checkpoint_that_are_not_a_whole_are_findings(
    tmp_path: Path, parts: list[tuple[int, int]], said: str | None
) -> None:
    write_module(tmp_path / "m", partitioned((0, 2), (2, 3)))
    write_partitioned(tmp_path / "m/variables/variables", "w", (5, 2), parts)
    found = check_directory(tmp_path / "m")
    assert [(finding.rule, finding.message) for finding in found] == ([("complete/partition", said)] if said else [])


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index", "tfhub_module.pb"])
def test_damaged_files_make_findings_and_no_exception(tmp_path: Path, name: str) -> None:
    write_module(tmp_path / "m", text_builder())
    path = tmp_path / "m" / name
    good = path.read_bytes()
    chooser = random.Random(5)
    for _ in range(150):
        damaged = bytearray(good[: chooser.randrange(len(good) + 1)])
        if damaged:
            damaged[chooser.randrange(len(damaged))] ^= chooser.randrange(1, 256)
        path.write_bytes(damaged)
        assert all(isinstance(finding, Finding) for finding in check_directory(tmp_path / "m"))
