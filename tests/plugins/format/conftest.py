"""A small module with something of everything, written without TensorFlow."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from hubplug_format import ModuleBuilder, Type, message_class, write_module
from hubplug_format.checkpoint.crc32c import crc32c, masked
from hubplug_format.checkpoint.slice_keys import slice_key
from hubplug_format.checkpoint.table import write_table


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


def write_partitioned(prefix: Path, name: str, shape: tuple[int, int], parts: Sequence[tuple[int, int]]) -> None:
    """A checkpoint with one float32 tensor in parts, each given by its first row and number of rows; row r holds r."""
    whole = message_class("BundleEntryProto")(dtype=1)
    for size in shape:
        whole.shape.dim.add(size=size)
    pairs = {b"": message_class("BundleHeaderProto")(num_shards=1).SerializeToString()}
    data = b""
    for start, rows in parts:
        values = b"".join(struct.pack("<f", row) * shape[1] for row in range(start, start + rows))
        entry = message_class("BundleEntryProto")(
            dtype=1, offset=len(data), size=len(values), crc32c=masked(crc32c(values))
        )
        for size in (rows, shape[1]):
            entry.shape.dim.add(size=size)
        extents = whole.slices.add().extent
        extents.add(start=start, length=rows)
        extents.add()
        pairs[slice_key(name, [(start, rows), (0, -1)])] = entry.SerializeToString()
        data += values
    pairs[name.encode()] = whole.SerializeToString()
    Path(f"{prefix}.index").write_bytes(write_table(sorted(pairs.items())))
    Path(f"{prefix}.data-00000-of-00001").write_bytes(data)
