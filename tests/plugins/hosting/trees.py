"""Small real modules, made without TensorFlow."""

from __future__ import annotations

from pathlib import Path

from hubplug_format import ModuleBuilder, Type, write_module


def make_module(directory: Path, weight: float = 2.0, evil: str = "") -> Path:
    """A module in TF1 Hub format that multiplies; ``evil`` goes into a name that its page shows."""
    builder = ModuleBuilder()
    x = builder.placeholder("x", "float32", [None, 2])
    w = builder.variable("w", [[weight, 0.0], [0.0, weight]])
    y = builder.node("MatMul", [x, w], {"T": Type("float32")}, shape=[None, 2])
    builder.asset("vocabulary.txt", b"one\ntwo\n")
    builder.signature(inputs={f"x{evil}": x}, outputs={"default": y})
    write_module(directory, builder)
    return directory
