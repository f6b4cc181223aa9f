"""Which op types exist, and which package has others."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from hubplug_format import OpRegistry


def test_ops_of_tensorflow_are_known() -> None:
    registry = OpRegistry.bundled()
    assert "MatMul" in registry
    assert "InitializeTableFromTextFileV2" in registry
    assert "NoSuchOp" not in registry
    assert registry.package_of("MatMul") is None
    assert len(registry) > 1800


@pytest.mark.parametrize(
    ("op", "package"),
    [
        ("SentencepieceOp", "tensorflow-text"),
        ("WordpieceTokenizeWithOffsets", "tensorflow-text"),
        ("TFText>NgramsStringJoin", "tensorflow-text"),
        ("IO>LayerKafkaCall", "tensorflow-io"),
        ("NoSuchOp", None),
    ],
)
def test_the_package_of_a_known_custom_op_is_named(op: str, package: str | None) -> None:
    assert OpRegistry.bundled().package_of(op) == package


def test_every_op_has_one_class_and_every_class_a_reason() -> None:
    listed = json.loads(
        resources.files("hubplug_format").joinpath("module/registered_ops.json").read_text(encoding="utf-8")
    )
    ops = [op for about in listed["classes"].values() for op in about["ops"]]
    assert len(ops) == len(set(ops)) == len(OpRegistry.bundled())
    for about in listed["classes"].values():
        assert about["level"] in ("allowed", "warning", "error")
        assert about["reason"]
        assert about["ops"] == sorted(about["ops"])


@pytest.mark.parametrize(
    ("op", "name", "level"),
    [
        ("MatMul", "computation", "allowed"),
        ("HashTableV2", "state-in-memory", "allowed"),
        ("PartitionedCall", "calls", "allowed"),
        ("TensorSliceDataset", "datasets", "allowed"),
        ("Print", "messages", "allowed"),
        ("ReadFile", "reads-files", "error"),
        ("CalibrationStatisticsSaver", "writes-files", "error"),
        ("ListSnapshotChunksDataset", "reads-files", "error"),
        ("DebugIdentityV3", "debugging", "error"),
        ("CollectiveReduceV2", "network", "error"),
        ("ConfigureDistributedTPU", "devices", "error"),
        ("XlaCallModule", "runs-code", "error"),
        ("_Recv", "internal", "error"),
        ("Abort", "kills-or-hangs", "warning"),
    ],
)
def test_an_op_has_the_class_of_what_its_kernels_do(op: str, name: str, level: str) -> None:
    found = OpRegistry.bundled().class_of(op)
    assert found is not None
    assert (found.name, found.level) == (name, level)


def test_an_op_that_is_not_tensorflows_has_no_class() -> None:
    assert OpRegistry.bundled().class_of("SentencepieceOp") is None
