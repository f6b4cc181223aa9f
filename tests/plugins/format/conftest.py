"""A small module with something of everything, written without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubplug_format import ModuleBuilder, Type, write_module


def make_builder(tags: tuple[str, ...] = ()) -> ModuleBuilder:
    builder = ModuleBuilder(tags)
    x = builder.placeholder("x", "float32", [None, 2])
    weights = builder.variable("scope/w", [[1.0, 2.0], [3.0, 4.0]])
    names = builder.variable("names", ["a", "bcd", ""], trainable=False)
    count = builder.variable("count", 7)
    vocabulary = builder.asset("vocab.txt", b"one\ntwo\n", name="vocab_path")
    y = builder.node("MatMul", [x, weights], {"T": Type("float32")}, shape=[None, 2])
    builder.signature(inputs={"x": x}, outputs={"default": y, "names": names, "count": count, "vocab": vocabulary})
    builder.signature("constants", outputs={"default": builder.constant([1, 2, 3])})
    builder.attach("note", b"\x0a\x05hello")
    return builder


@pytest.fixture
def small_module(tmp_path: Path) -> Path:
    """Two graph variants, three variables, an asset, an attachment."""
    write_module(tmp_path / "module", make_builder(), make_builder(("train",)))
    return tmp_path / "module"
