"""Whether one module can take the place of another."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubplug.types import Finding, TensorInfo
from hubplug_format import ModuleBuilder, write_module
from hubplug_signatures._diff import diff
from tests.plugins.signatures.conftest import spec_of, text_builder


def compared(tmp_path: Path, old: list[ModuleBuilder], new: list[ModuleBuilder]) -> list[Finding]:
    for name, builders in (("old", old), ("new", new)):
        write_module(tmp_path / name, *builders)
    return diff(spec_of(tmp_path / "old"), spec_of(tmp_path / "new"))


def said(found: list[Finding], level: str) -> list[str]:
    return [finding.message for finding in found if finding.level == level]


def test_equal_modules_have_no_difference(tmp_path: Path) -> None:
    assert compared(tmp_path, [text_builder()], [text_builder()]) == []


def test_a_variant_that_is_gone_breaks_and_a_new_one_does_not(tmp_path: Path) -> None:
    both = [text_builder(), text_builder(("train",))]
    found = compared(tmp_path, both, [text_builder(), text_builder(("serve",))])
    assert said(found, "error") == ["the graph variant ['train'] is gone"]
    assert said(found, "note") == ["the graph variant ['serve'] is new"]


def test_signatures_inputs_and_outputs_that_are_gone_break(tmp_path: Path) -> None:
    old, new = text_builder(), text_builder()
    constant = old.constant(1.0, name="c")
    new.constant(1.0, name="c")
    old.signature("other", outputs={"default": constant})
    old.signature(inputs={"extra": constant}, outputs={"extra": constant})
    new.signature("fresh", outputs={"default": constant})
    new.signature(inputs={"needed": constant}, outputs={"free": constant})
    found = compared(tmp_path, [old], [new])
    assert said(found, "error") == [
        "input 'extra' is gone",
        "input 'needed' is new, which programs do not feed",
        "output 'extra' is gone",
        "the signature 'other' is gone",
    ]
    assert said(found, "note") == ["output 'free' is new, an addition", "the signature 'fresh' is new"]


def info(dtype: str = "float32", shape: tuple[int | None, ...] | None = (None, 3)) -> TensorInfo:
    return TensorInfo(dtype, shape, "dense", {"name": "texts:0"})


@pytest.mark.parametrize(
    ("side", "old", "new", "breaks"),
    [
        ("outputs", info(), info("float64"), True),
        ("outputs", info(), info(shape=(None, 4)), True),
        ("outputs", info(), info(shape=(None, None)), True),
        ("outputs", info(), info(shape=None), True),
        ("outputs", info(shape=(None, None)), info(), False),
        ("inputs", info(), info(shape=(None, None)), False),
        ("inputs", info(), info(shape=None), False),
        ("inputs", info(), info(shape=(1, 3)), True),
        ("inputs", info(), info(shape=(None,)), True),
    ],
)
def test_a_change_breaks_what_programs_relied_on(
    tmp_path: Path, side: str, old: TensorInfo, new: TensorInfo, breaks: bool
) -> None:
    builders = [text_builder(), text_builder()]
    for builder, port in zip(builders, (old, new), strict=True):
        builder.signature(**{side: {"port": port}})
    found = compared(tmp_path, builders[:1], builders[1:])
    assert [finding.level for finding in found] == ["error" if breaks else "note"]
    assert found[0].where == "port"


def test_values_that_moved_are_measured(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    moved = [[0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [2.0, 0.5, 0.0], [3.0, 3.0, 3.5]]
    (finding,) = compared(tmp_path, [text_builder()], [text_builder(values=moved)])
    assert (finding.rule, finding.level, finding.where) == ("diff/value", "note", "embeddings")
    assert finding.message == "variable 'embeddings' moved by up to 0.5, 0.0798 of its norm"


def test_variables_that_changed_are_warnings(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    old, new = text_builder(), text_builder(values=[[1.0, 1.0, 1.0]] * 5)
    old.variable("gone", 1.0)
    old.variable("words", ["a", "b"])
    new.variable("fresh", 1.0)
    new.variable("words", ["a", "c"])
    found = compared(tmp_path, [old], [new])
    assert [(finding.where, finding.level) for finding in found if finding.rule == "diff/variable"] == [
        ("embeddings", "warning"),
        ("fresh", "warning"),
        ("gone", "warning"),
    ]
    assert "variable 'words' has different values in 1 of 2 places" in said(found, "note")


def test_assets_attachments_and_ops_are_compared(tmp_path: Path) -> None:
    old, new = text_builder(), text_builder()
    for builder, content in ((old, b"a"), (new, b"b")):
        builder.asset("vocab.txt", content, name="vocab")
        builder.attach("note", content)
    old.asset("old.txt", b"", name="gone")
    old.attach("gone", b"")
    new.node("ReadFile", name="r")
    found = compared(tmp_path, [old], [new])
    assert said(found, "error") == ["the attachment 'gone' is gone"]
    assert said(found, "warning") == [
        "the attachment 'note' has different content",
        "op ReadFile, which can read files, is new",
    ]
    assert said(found, "note") == [
        "new ops: ReadFile",
        "the asset 'old.txt' is gone",
        "the asset 'vocab.txt' has different content",
    ]
