"""Which op types exist, and which package has others."""

from __future__ import annotations

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
