"""The index of a checkpoint, its data files, and the values in them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from hubplug.errors import FormatError
from hubplug_format import (
    CheckpointIndex,
    CheckpointWriter,
    Part,
    Values,
    find_slices_error,
    message_class,
    write_checkpoint,
)
from hubplug_format.checkpoint.crc32c import crc32c, masked
from hubplug_format.checkpoint.slice_keys import slice_key
from hubplug_format.checkpoint.snappy import decompress
from hubplug_format.checkpoint.table import read_table, write_table
from hubplug_format.protos.varints import put_varint
from tests.plugins.format.conftest import write_partitioned

TENSORS = {
    "a/w": [[1.0, -2.5], [3.0, 4.0]],
    "a/words": ["", "x", "z" * 300],
    "count": 7,
    "empty": Values("float32", (0, 3), ()),
    "flags": [True, False],
    "wide": Values("int64", (2,), (-1, 1 << 60)),
}


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    write_checkpoint(tmp_path / "ckpt", TENSORS)
    return tmp_path / "ckpt"


def data_file(prefix: Path) -> Path:
    return prefix.with_name("ckpt.data-00000-of-00001")


def test_names_dtypes_and_shapes_are_read(prefix: Path) -> None:
    index = CheckpointIndex.read(prefix)
    assert {name: (entry.dtype, entry.shape) for name, entry in index.entries.items()} == {
        "a/w": ("float32", (2, 2)),
        "a/words": ("string", (3,)),
        "count": ("int32", ()),
        "empty": ("float32", (0, 3)),
        "flags": ("bool", (2,)),
        "wide": ("int64", (2,)),
    }
    assert index.shards == (data_file(prefix),)


def test_values_are_read(prefix: Path) -> None:
    pytest.importorskip("numpy")
    index = CheckpointIndex.read(prefix)
    assert index.array("a/w").tolist() == TENSORS["a/w"]
    assert index.array("a/words").tolist() == [b"", b"x", b"z" * 300]
    assert index.array("count").tolist() == 7
    assert index.array("empty").shape == (0, 3)
    assert index.array("wide").tolist() == [-1, 1 << 60]
    assert index.raw("count") == struct.pack("<i", 7)


def test_many_tensors_span_blocks_and_restarts(tmp_path: Path) -> None:
    names = [f"layer_{i:04d}/kernel" for i in range(1500)]
    write_checkpoint(tmp_path / "ckpt", {name: float(i) for i, name in enumerate(names)})
    assert list(CheckpointIndex.read(tmp_path / "ckpt").entries) == names
    assert (tmp_path / "ckpt.index").stat().st_size < 60 * len(names)


@pytest.mark.parametrize("length", [4, 1 << 20, 1 << 40, (1 << 64) - 1])
def test_strings_longer_than_their_bytes_are_refused_though_their_checksums_are_right(
    tmp_path: Path, length: int
) -> None:
    wide = struct.pack("<I" if length <= 0xFFFFFFFF else "<Q", length)
    stored = struct.pack("<I", masked(crc32c(wide)))
    data = put_varint(length) + stored + b"xyz"
    with CheckpointWriter(tmp_path / "ckpt") as writer:
        writer.add_encoded("text", "string", (), [data], crc32c(wide + stored + b"xyz"))
    with pytest.raises(FormatError, match="'text' are not 1 strings"):
        CheckpointIndex.read(tmp_path / "ckpt")


def test_a_writer_that_fails_leaves_no_index(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    with pytest.raises(ValueError, match="has 'a' already"), CheckpointWriter(tmp_path / "ckpt") as writer:
        writer.add("a", "float32", numpy.ones(3, numpy.float32))
        writer.add("a", "float32", numpy.ones(3, numpy.float32))
    assert not (tmp_path / "ckpt.index").exists()


def test_a_writer_takes_parts_in_any_order_and_large_tensors_in_pieces(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    whole = numpy.arange(300_000, dtype=numpy.int32).reshape(300, 1000)
    with CheckpointWriter(tmp_path / "ckpt") as writer:
        writer.add("z", "int32", whole)
        writer.add("parts", "int32", whole[200:], Part((300, 1000), (200, 0)))
        writer.add("parts", "int32", whole[:200], Part((300, 1000), (0, 0)))
        writer.add("text", "string", numpy.array("end\0", object))
    index = CheckpointIndex.read(tmp_path / "ckpt")
    assert list(index.entries) == ["parts", "text", "z"]
    assert len(index.shards) == 1
    for name in ("z", "parts"):
        assert (index.array(name) == whole).all()
    assert index.array("text").tolist() == b"end\0"


@pytest.mark.parametrize(("name", "dtype"), [("", "float32"), ("\0a", "float32"), ("a", "float64"), ("a", "resource")])
def test_a_writer_refuses_what_no_checkpoint_can_hold(tmp_path: Path, name: str, dtype: str) -> None:
    numpy = pytest.importorskip("numpy")
    with pytest.raises(ValueError, match=r"."), CheckpointWriter(tmp_path / "ckpt") as writer:
        writer.add(name, dtype, numpy.ones(3, numpy.float32))


def test_a_missing_data_file_is_named(prefix: Path) -> None:
    data_file(prefix).unlink()
    with pytest.raises(FormatError, match="data-00000-of-00001 is missing"):
        CheckpointIndex.read(prefix)
    assert "a/w" in CheckpointIndex.read(prefix, check_shards=False).entries


def test_a_truncated_data_file_is_named_with_both_sizes(prefix: Path) -> None:
    size = data_file(prefix).stat().st_size
    data_file(prefix).write_bytes(data_file(prefix).read_bytes()[:-1])
    with pytest.raises(FormatError, match=f"has {size - 1} bytes, and .*needs {size}"):
        CheckpointIndex.read(prefix)


def test_every_flipped_byte_of_the_values_is_noticed_when_they_are_read(prefix: Path) -> None:
    index = CheckpointIndex.read(prefix)
    good = data_file(prefix).read_bytes()
    for position in range(len(good)):
        damaged = bytearray(good)
        damaged[position] ^= 0x10
        data_file(prefix).write_bytes(damaged)
        (name,) = (e.name for e in index.entries.values() if e.offset <= position < e.offset + e.size)
        with pytest.raises(FormatError):
            index.raw(name)


def test_a_missing_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"ckpt\.index is missing"):
        CheckpointIndex.read(tmp_path / "ckpt")


def rewrite(prefix: Path, change: dict[bytes, bytes | None]) -> None:
    path = Path(f"{prefix}.index")
    pairs = dict(read_table(path.read_bytes(), "index")) | change
    path.write_bytes(write_table(sorted((key, value) for key, value in pairs.items() if value is not None)))


def entry_bytes(**fields: object) -> bytes:
    data: bytes = message_class("BundleEntryProto")(**fields).SerializeToString()
    return data


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (entry_bytes(dtype=1, size=5), "has 5 bytes, where float32 "),
        (entry_bytes(dtype=1, size=4, offset=-1), "lies at -1"),
        (entry_bytes(dtype=1, size=4, shard_id=3), "data file 3 of 1"),
        (entry_bytes(dtype=1, size=4, offset=1), "have bytes in common"),
        (entry_bytes(dtype=20, size=4), "the dtype resource, which is not stored"),
        (entry_bytes(dtype=101, size=4), "the dtype float32_ref, which is not stored"),
        (entry_bytes(dtype=7, size=4), "too few for 1 strings"),
        (entry_bytes(dtype=1, size=4, shape={"unknown_rank": True}), "an unknown number"),
        (entry_bytes(dtype=1, size=4, shape={"dim": [{"size": 1}] * 255}), "255 dimensions"),
        (entry_bytes(dtype=1, shape={"dim": [{"size": 0}, {"size": 1 << 62}, {"size": 4}]}), "has the shape"),
        (b"\xff\xff", "is damaged"),
    ],
)
def test_entries_that_contradict_themselves_are_refused(prefix: Path, entry: bytes, said: str) -> None:
    rewrite(prefix, {b"count": entry})
    with pytest.raises(FormatError, match=said):
        CheckpointIndex.read(prefix)


def test_an_index_without_header_is_refused(prefix: Path) -> None:
    rewrite(prefix, {b"": None})
    with pytest.raises(FormatError, match="has no header"):
        CheckpointIndex.read(prefix)


def test_a_partitioned_tensor_is_put_together(prefix: Path) -> None:
    pytest.importorskip("numpy")
    index = CheckpointIndex.read(prefix)
    rows = index.entries["a/w"]
    kind = message_class("BundleEntryProto")
    whole = kind(dtype=1)
    whole.shape.dim.add(size=2)
    whole.shape.dim.add(size=2)
    change: dict[bytes, bytes | None] = {b"a/w": None}
    data = data_file(prefix).read_bytes()[rows.offset : rows.offset + 16]
    for row in range(2):
        extent = whole.slices.add().extent
        extent.add(start=row, length=1)
        extent.add()
        part = kind(dtype=1, offset=rows.offset + 8 * row, size=8, crc32c=masked(crc32c(data[8 * row : 8 * row + 8])))
        part.shape.dim.add(size=1)
        part.shape.dim.add(size=2)
        change[slice_key("a/w", [(row, 1), (0, -1)])] = part.SerializeToString()
    change[b"a/w"] = whole.SerializeToString()
    rewrite(prefix, change)
    index = CheckpointIndex.read(prefix)
    assert index.entries["a/w"].shape == (2, 2)
    assert index.entries["a/w"].slices == (((0, 1), (0, -1)), ((1, 1), (0, -1)))
    assert index.array("a/w").tolist() == TENSORS["a/w"]
    rewrite(prefix, {slice_key("a/w", [(1, 1), (0, -1)]): None})
    with pytest.raises(FormatError, match="is missing, expected float32"):
        CheckpointIndex.read(prefix)


def test_parts_that_are_not_a_whole_are_refused_where_the_values_are_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    write_partitioned(tmp_path / "good", "w", (5, 2), [(3, 2), (0, 3)])
    assert CheckpointIndex.read(tmp_path / "good").array("w").tolist() == [[row, row] for row in range(5)]
    for number, (parts, said) in enumerate([([(0, 2), (3, 2)], "have 8 of the 10"), ([(0, 3), (2, 3)], "overlap")]):
        write_partitioned(tmp_path / f"bad{number}", "w", (5, 2), parts)
        with pytest.raises(FormatError, match=said):
            CheckpointIndex.read(tmp_path / f"bad{number}").array("w")


@pytest.mark.parametrize(
    ("shape", "slices", "said"),
    [
        ((4, 4), [[(0, 2), (0, 4)], [(2, 2), (0, 2)], [(2, 2), (2, 2)]], None),
        ((4, 4), [[(0, 2), (0, 4)], [(2, 2), (0, 2)], [(1, 3), (2, 2)]], "overlap"),
        ((4, 4), [[(0, 2), (0, 4)], [(2, 2), (0, 2)]], "12 of the 16"),
        ((4, 4), [[(0, 4), (0, 4)], [(0, 0), (0, 4)]], None),
        ((4,), [[(2, 3)]], "not one of the shape"),
        ((4,), [[(0, 4), (0, 1)]], "not one of the shape"),
        ((), [[]], None),
        ((), [[], []], "more than one"),
        ((0, 3), [], None),
        ((3,), [], "0 of the 3"),
        ((1 << 40, 2), [[(0, 1 << 40), (0, 1)], [(0, 1 << 40), (1, 1)]], None),
        ((3000, 3000), [[(0, 3000), (number, 1)] for number in range(3000)], None),
        ((100, 200, 200), [[(0, 100), (x, 1), (y, 1)] for x in range(200) for y in range(200)], "more than can be"),
    ],
)
def test_whether_parts_are_a_whole(
    shape: tuple[int, ...], slices: list[list[tuple[int, int]]], said: str | None
) -> None:
    found = find_slices_error(shape, slices)
    assert found is None if said is None else said in (found or "")


def test_keys_out_of_order_are_refused() -> None:
    with pytest.raises(FormatError, match="keys are out of order"):
        read_table(write_table([(b"b", b""), (b"a", b"")]), "table")


def test_the_checksum_of_a_block_is_checked() -> None:
    table = bytearray(write_table([(b"a", b"value")]))
    table[5] ^= 1
    with pytest.raises(FormatError, match="checksum of the block at byte 0"):
        read_table(bytes(table), "table")


def test_snappy_blocks_are_read() -> None:
    literal_and_overlapping_copy = bytes([12, 3 << 2]) + b"abcd" + bytes([1 | 4 << 2, 4])
    assert decompress(literal_and_overlapping_copy) == b"abcdabcdabcd"
    assert decompress(bytes([5, 0]) + b"x" + bytes([2 | 3 << 2, 1, 0])) == b"xxxxx"
    long = bytes(range(256)) * 2
    assert decompress(b"\x80\x04" + bytes([61 << 2]) + struct.pack("<H", 511) + long) == long


@pytest.mark.parametrize(
    "data", [b"", b"\x05", b"\x05\x00", b"\x02\x00x\x05\x05", b"\x01\x00xx", b"\xff\xff\xff\x0f\x00x", b"\x02\xf0\x05"]
)
def test_damaged_snappy_blocks_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decompress(data)


def test_the_index_of_a_published_module_is_read(shared_modules: Path) -> None:
    index = CheckpointIndex.read(shared_modules / "DM21m" / "variables" / "variables")
    assert len(index.entries) == 28
    assert {entry.dtype for entry in index.entries.values()} == {"float32"}


def test_checksums_are_those_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"6789", crc32c(b"12345")) == 0xE3069283
    assert masked(0) == 0xA282EAD8


def test_values_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="do not fit dtype uint8"):
        write_checkpoint(tmp_path / "c", {"x": Values("uint8", (1,), (300,))})
    with pytest.raises(ValueError, match="different lengths"):
        Values.of([[1, 2], [3]])
    with pytest.raises(ValueError, match="do not make a tensor"):
        Values.of([1, "x"])
    with pytest.raises(ValueError, match="There is no data type 'float'"):
        Values.of([1], "float")
