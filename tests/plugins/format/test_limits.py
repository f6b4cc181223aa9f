"""Files made to take time or memory: refused, or read at a cost that follows their size.

What fails here otherwise takes minutes; the bound is far from what a busy machine needs.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hubplug.errors import FormatError
from hubplug_format import CheckpointIndex, SavedModelFile, message_class, read_module_def
from hubplug_format.checkpoint.slice_keys import slice_key
from hubplug_format.protos.varints import put_varint
from tests.plugins.format.crafted import (
    SNAPPY,
    block,
    collection,
    entries,
    field,
    header,
    signature,
    table,
    tags,
    tensor,
    variant,
)

MILLION = 1_000_000


@contextmanager
def soon() -> Iterator[None]:
    started = time.process_time()
    yield
    assert time.process_time() - started < 10


def snappy(copies: int, length: int) -> bytes:
    """A block of copies of a few bytes from far back."""
    literal = random.Random(1).randbytes(60_000)
    copy = bytes([(length - 1) << 2 | 2]) + struct.pack("<H", len(literal))
    size = put_varint(len(literal) + copies * length)
    return size + bytes([61 << 2]) + struct.pack("<H", len(literal) - 1) + literal + copy * copies


def float_entry(**fields: object) -> bytes:
    made = message_class("BundleEntryProto")(dtype=1, size=4, **fields)
    made.shape.SetInParent()
    data: bytes = made.SerializeToString()
    return data


def many_parts(count: int) -> bytes:
    kind = message_class("BundleEntryProto")
    whole, part = kind(dtype=1), kind(dtype=1, size=4)
    whole.shape.dim.add(size=count)
    part.shape.dim.add(size=1)
    pairs = []
    for start in range(count):
        whole.slices.add().extent.add(start=start, length=1)
        part.offset = 4 * start
        pairs.append((slice_key("w", [(start, 1)]), part.SerializeToString()))
    pairs.append((b"w", whole.SerializeToString()))
    return table(block(entries([(0, b"", header()), *((0, key, value) for key, value in sorted(pairs))])))


def one_entry(value: bytes, times: int = 1) -> bytes:
    return table(block(entries([(0, b"", header()), *((0, b"t%05d" % i, value) for i in range(times))])))


LONG = b"k" * 4 * MILLION
INDEXES: dict[str, tuple[Callable[[], bytes], str]] = {
    "copies of one byte": (lambda: table(block(snappy(2_700_000, 1), SNAPPY)), "compressed"),
    "copies below the cap": (lambda: table(block(snappy(600_000, 1), SNAPPY)), "restart points"),
    "copies that unpack to much": (
        lambda: table(*[block(snappy(600_000, 64), SNAPPY)] * 2),
        "restart points|own index",
    ),
    "keys that share": (
        lambda: table(
            block(entries([(0, b"", header()), (0, LONG, b""), *((len(LONG) + i, b"a", b"") for i in range(100_000))]))
        ),
        "unpacks to more",
    ),
    "one block many times": (
        lambda: table(
            block(entries([(0, b"k", LONG)])),
            index=lambda handles: ((0, b"%05d" % i, handles[0]) for i in range(90_000)),
        ),
        "own index",
    ),
    "a block that comes again": (
        lambda: table(
            block(entries([(0, b"", header())])),
            block(entries([(0, b"k", b"v")])),
            index=lambda handles: [(0, b"a", handles[0]), (0, b"z", handles[1]), (0, b"zz", handles[0])],
        ),
        "begins before",
    ),
    "restart points": (
        lambda: table(block(entries([(0, b"", header())], restarts=[0] * 7 * MILLION))),
        "restart point",
    ),
    "entries": (lambda: one_entry(float_entry(), 300_000), "unpacks to more"),
    "parts of empty entries": (lambda: one_entry(b"\x08\x01" + b"\x3a\x00" * MILLION, 10), "more parts"),
    "dimensions of an entry": (lambda: one_entry(b"\x08\x01" + field(2, b"\x12\x00" * 900_000), 10), "dimensions"),
    "dimensions of many entries": (lambda: one_entry(b"\x08\x01" + field(2, b"\x12\x00" * 254), 60_000), "dimensions"),
    "unknown fields": (lambda: one_entry(b"\xa0\x06\x00" * MILLION), "an entry of 3000000 bytes"),
    "size": (lambda: b"\0" * (33 << 20), "more than the 33554432"),
}


@pytest.mark.parametrize("kind", INDEXES)
def test_an_index_made_to_hurt_is_refused_soon(kind: str, tmp_path: Path) -> None:
    make, said = INDEXES[kind]
    (tmp_path / "v.index").write_bytes(make())
    with soon(), pytest.raises(FormatError, match=said) as got:
        CheckpointIndex.read(tmp_path / "v", check_shards=False)
    assert got.value.hint
    assert len(str(got.value)) < 1000


@pytest.mark.parametrize("count", [100, 30_000])
def test_parts_of_one_tensor_are_read_soon(tmp_path: Path, count: int) -> None:
    (tmp_path / "v.index").write_bytes(many_parts(count))
    with soon():
        index = CheckpointIndex.read(tmp_path / "v", check_shards=False)
    assert len(index.entries["w"].slices) == count


def numbered(make: Callable[[bytes], bytes], count: int) -> bytes:
    return b"".join(make(b"%d" % number) for number in range(count))


MODELS: dict[str, tuple[Callable[[], bytes], str]] = {
    "graph variants": (lambda: numbered(lambda n: variant(tags(n)), MILLION), "1000 graph variants"),
    "tags": (lambda: variant(tags(*(b"x%d" % n for n in range(300_000)))), "items"),
    "tags of many variants": (
        lambda: numbered(lambda n: variant(tags(*(n + b"-%d" % i for i in range(1000)))), 900),
        "items|bytes",
    ),
    "collections": (lambda: variant(numbered(lambda n: collection(n, 2, b"\x0a\x00"), MILLION)), "50000 collections"),
    "collections of many variants": (
        lambda: numbered(lambda n: variant(tags(n), numbered(lambda m: collection(m, 2, b"\x0a\x00"), 1000)), 900),
        "50000 collections",
    ),
    "variables": (lambda: variant(collection(b"variables", 2, b"\x0a\x00" * MILLION)), "items"),
    "attachments": (lambda: variant(collection(b"hub_module_attachments", 2, b"\x0a\x00" * MILLION)), "items"),
    "assets": (lambda: variant(collection(b"saved_model_assets", 5, b"\x0a\x00" * MILLION)), "items"),
    "assets in the field": (lambda: variant(b"\x32\x00" * MILLION), "50000"),
    "signatures": (lambda: variant(numbered(signature, MILLION)), "50000|bytes"),
    "inputs": (lambda: variant(signature(b"default", numbered(tensor, 200_000))), "tensors"),
    "dimensions": (lambda: variant(signature(b"s", tensor(b"x", field(3, b"\x12\x00" * MILLION)))), "tensors"),
    "type specs": (
        lambda: variant(
            signature(b"s", tensor(b"x", field(5, field(1, field(2, field(51, field(1, b"") * MILLION))))))
        ),
        "tensors",
    ),
    "op names": (lambda: variant(field(1, field(2, b"\x0a\x00" * MILLION))), "items"),
    "bytes": (lambda: variant(collection(b"variables", 2, field(1, b"x" * 30 * MILLION))), "bytes in its collections"),
    "bytes of signatures": (lambda: variant(numbered(tensor, 300_000)), "50000"),
    "graphs": (lambda: variant(b"\x12\x00" * MILLION), "50000"),
    "unknown fields": (lambda: b"\x18\x01" * MILLION, "50000"),
    "text": (lambda: b"# " * 3 * MILLION, "more than the 4194304"),
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_definition_made_to_hurt_is_refused_soon(kind: str, tmp_path: Path) -> None:
    make, said = MODELS[kind]
    (tmp_path / ("saved_model.pbtxt" if kind == "text" else "saved_model.pb")).write_bytes(make())
    with soon(), pytest.raises(FormatError, match=said) as got:
        SavedModelFile.read(tmp_path)
    assert got.value.hint
    assert len(str(got.value)) < 1000


def test_a_definition_of_the_size_of_the_largest_models_is_read_soon(tmp_path: Path) -> None:
    variables = numbered(lambda n: field(1, field(1, b"layer/" + n + b":0")), 20_000)
    model = variant(
        *(collection(name, 2, variables) for name in (b"variables", b"trainable_variables", b"model_variables")),
        signature(b"default", numbered(tensor, 5_000)),
    )
    (tmp_path / "saved_model.pb").write_bytes(model)
    with soon():
        (read,) = SavedModelFile.read(tmp_path).variants.values()
        assert len(read.variables) == 20_000
        assert read.variables[0].collections == ("variables", "trainable_variables", "model_variables")
        assert len(read.signatures["default"].inputs) == 5_000


def test_a_part_of_a_variable_has_no_more_dimensions_than_a_tensor(tmp_path: Path) -> None:
    part = field(2, b"\x01" * MILLION)
    (tmp_path / "saved_model.pb").write_bytes(variant(collection(b"variables", 2, field(1, field(4, part)))))
    (read,) = SavedModelFile.read(tmp_path).variants.values()
    with pytest.raises(FormatError, match="more dimensions"):
        _ = read.variables


def test_required_features_are_named_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "tfhub_module.pb").write_bytes(b"\x08\x03" + field(2, b"feature") * 7000)
    with pytest.raises(FormatError, match="6992 more") as got:
        read_module_def(tmp_path)
    assert len(str(got.value)) < 1000
