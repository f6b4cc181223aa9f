"""The common signatures: which modules keep them, and what the others are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hubplug.types import Finding, TensorInfo
from hubplug_format import ModuleBuilder, write_module
from hubplug_signatures import CommonSignatures
from hubplug_signatures._profiles import PROFILES
from tests.plugins.signatures.conftest import attach_size, image_builder, spec_of, text_builder


def findings(tmp_path: Path, builder: ModuleBuilder, profile: str) -> list[Finding]:
    write_module(tmp_path / "m", builder)
    found = CommonSignatures().hubplug_validate(spec_of(tmp_path / "m"), profile)
    assert found is not None
    return found


def rules(found: list[Finding]) -> list[str]:
    return [finding.rule for finding in found]


def test_a_text_module_keeps_its_profile(tmp_path: Path) -> None:
    assert findings(tmp_path, text_builder(), "text-feature-vector") == []


def test_an_image_module_keeps_its_profile(tmp_path: Path) -> None:
    assert findings(tmp_path, image_builder(), "image-feature-vector") == []
    assert rules(findings(tmp_path / "2", image_builder(), "image-classification")) == [
        "image-classification/signature"
    ]


def test_a_classifier_keeps_its_profile(tmp_path: Path) -> None:
    assert findings(tmp_path, image_builder(signature="image_classification"), "image-classification") == []


def test_an_unknown_image_size_needs_an_attached_one(tmp_path: Path) -> None:
    found = findings(tmp_path, image_builder(None), "image-feature-vector")
    assert rules(found) == ["image-feature-vector/input-shape"] * 2
    assert "[?, ?, ?, 3], expected [batch, size, size, 3]" in found[0].message
    builder = image_builder(None)
    attach_size(builder, 224, 224)
    assert findings(tmp_path / "2", builder, "image-feature-vector") == []
    builder = image_builder(None)
    attach_size(builder, 0, 224)
    assert findings(tmp_path / "3", builder, "image-feature-vector") != []


def respecify(builder: ModuleBuilder, side: str, key: str, info: TensorInfo) -> ModuleBuilder:
    builder.signature("default", **{side: {key: info}})
    return builder


def dense(dtype: str, shape: tuple[int | None, ...] | None) -> TensorInfo:
    return TensorInfo(dtype, shape, "dense", {"name": "texts:0"})


@pytest.mark.parametrize(
    ("side", "key", "info", "rule", "said"),
    [
        ("inputs", "texts", dense("float32", (None,)), "input-dtype", "has the dtype float32, expected string"),
        ("inputs", "texts", dense("string", (7,)), "input-shape", "[7], expected [batch]"),
        ("inputs", "texts", dense("string", None), "input-shape", "the rank must be known"),
        ("inputs", "texts", dense("string", (None, 1)), "input-shape", "the rank is 2, not 1"),
        ("inputs", "more", dense("string", (None,)), "input-count", "2 inputs: 'more', 'texts', expected exactly one"),
        ("outputs", "default", dense("float64", (None, 3)), "output-dtype", "float64, expected float32"),
        ("outputs", "default", dense("float32", (None, None)), "output-shape", "[?, ?], expected [batch, N]"),
        ("outputs", "default", dense("float32", (2, 3)), "output-shape", "the batch, must be unknown"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, side: str, key: str, info: TensorInfo, rule: str, said: str
) -> None:
    found = findings(tmp_path, respecify(text_builder(), side, key, info), "text-feature-vector")
    assert rules(found) == [f"text-feature-vector/{rule}"]
    assert said in found[0].message
    assert found[0].level == "error"
    assert found[0].signature == "default"
    assert found[0].tags == frozenset()


def test_sparse_inputs_do_not_fit(tmp_path: Path) -> None:
    sparse = TensorInfo("string", (None,), "sparse", {"values": "texts:0", "indices": "texts:0", "shape": "texts:0"})
    found = findings(tmp_path, respecify(text_builder(), "inputs", "texts", sparse), "text-feature-vector")
    assert rules(found) == ["text-feature-vector/input-kind"]


def test_a_missing_signature_lists_those_there_are(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    builder.signature("encode", outputs={"x": builder.constant(1.0)})
    (found,) = findings(tmp_path, builder, "text-feature-vector")
    assert found.rule == "text-feature-vector/signature"
    assert "no signature 'default'" in found.message
    assert "'encode'" in found.message


def test_a_missing_output_and_a_wrongly_named_input_are_errors(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    image = builder.placeholder("image", "float32", [None, 4, 4, 3])
    for name in ("default", "image_feature_vector"):
        builder.signature(name, inputs={"image": image}, outputs={"net/x": image})
    found = findings(tmp_path, builder, "image-feature-vector")
    assert rules(found) == ["image-feature-vector/input-name", "image-feature-vector/output-name"] * 2


def test_a_further_output_without_prefix_is_a_warning(tmp_path: Path) -> None:
    builder = text_builder()
    builder.signature(outputs={"hidden": builder.constant(1.0)})
    (found,) = findings(tmp_path, builder, "text-feature-vector")
    assert (found.rule, found.level, found.where) == ("text-feature-vector/output-prefix", "warning", "hidden")


def test_every_graph_variant_is_checked(tmp_path: Path) -> None:
    bad = respecify(text_builder(("train",)), "outputs", "default", dense("float32", None))
    write_module(tmp_path / "m", text_builder(), bad)
    found: Any = CommonSignatures().hubplug_validate(spec_of(tmp_path / "m"), "text-feature-vector")
    assert [finding.tags for finding in found] == [frozenset({"train"})]


def test_a_damaged_image_size_is_a_finding(tmp_path: Path) -> None:
    builder = image_builder(None)
    builder.attach("image_module_info", b"\xff\xff")
    assert rules(findings(tmp_path, builder, "image-feature-vector")) == ["image-feature-vector/unreadable"]


def test_other_profiles_are_left_to_others(tmp_path: Path) -> None:
    write_module(tmp_path / "m", text_builder())
    assert CommonSignatures().hubplug_validate(spec_of(tmp_path / "m"), "house-rules") is None


def test_the_plugin_says_which_profiles_it_knows(text_module: Path) -> None:
    plugin = CommonSignatures()
    assert set(PROFILES) < set(plugin.profiles)
    spec = spec_of(text_module)
    assert all(plugin.hubplug_validate(spec, profile) is not None for profile in plugin.profiles)
    assert plugin.hubplug_validate(spec, "house") is None
