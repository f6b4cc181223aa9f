"""Blocks of rows out of files, and files cut into parts: each row is read once, and what cannot be read is named."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from hubplug.errors import ConfigError, FormatError, MissingError
from hubplug_beam._cutting import check_output, plan_parts
from hubplug_beam._files import find, find_numbered
from hubplug_beam._formats import Block, columns_of, read_blocks
from hubplug_beam._parts import Part, shard_path

LINES = "".join(f'{{"id": {number}, "text": "line {number}"}}\n' for number in range(10))


def rows(blocks: Iterable[Block], column: str) -> list[Any]:
    return [value for block in blocks for value in block.columns.get(column, ())]


def whole(path: Path) -> Part:
    return Part.of_file(str(path))


def test_blocks_have_so_many_rows_and_the_last_one_the_rest(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(LINES)
    blocks = list(read_blocks(whole(tmp_path / "a.jsonl"), "jsonl", 4))
    assert [len(block.numbers) for block in blocks] == [4, 4, 2]
    assert rows(blocks, "id") == list(range(10))
    assert sum(block.size for block in blocks) == len(LINES)


@pytest.mark.parametrize("split", [1, 7, 30, 31, 1000])
@pytest.mark.parametrize("ending", ["\n", ""])
def test_each_line_is_in_one_range_wherever_a_file_is_cut(split: int, ending: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(LINES.rstrip("\n") + ending)
    form, parts = plan_parts(str(tmp_path / "*.jsonl"), split_bytes=split)
    assert form == "jsonl"
    assert [row for part in parts for row in rows(read_blocks(part, form, 3), "id")] == list(range(10))


def test_lines_that_are_not_json_objects_are_named_and_the_others_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 0}\n{"id": \n[1]\n\n{"id": NaN}\n')
    (block,) = read_blocks(whole(tmp_path / "a.jsonl"), "jsonl", 10)
    assert list(block.numbers) == [0, 3]
    assert [number for number, _ in block.bad] == [1, 2]
    assert "an object is expected" in block.bad[1][1]


def test_a_row_of_csv_with_too_few_values_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,text\n1,"two\nlines"\n2\n3,three\n')
    (block,) = read_blocks(whole(tmp_path / "a.csv"), "csv", 10, ["text"])
    assert block.columns == {"text": ["two\nlines", "three"]}
    assert block.bad == [(1, "has 1 values, and there are 2 columns")]
    assert columns_of(whole(tmp_path / "a.csv"), "csv") == ["id", "text"]


def test_lines_of_text_are_bytes_as_they_stand(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\r\n\n\xff\nlast")
    (block,) = read_blocks(whole(tmp_path / "a.txt"), "text", 10)
    assert block.columns == {"text": [b"one", b"", b"\xff", b"last"]}


def test_what_is_compressed_is_read_and_not_cut(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(LINES.encode()))
    form, (part,) = plan_parts(str(tmp_path / "*"), split_bytes=1)
    assert rows(read_blocks(part, form, 100), "id") == list(range(10))


def test_row_groups_of_parquet_are_ranges_and_only_wanted_columns_are_read(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"id": list(range(100)), "text": ["x" * 100] * 100})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=10)
    form, parts = plan_parts(str(tmp_path / "a.parquet"), split_bytes=500)
    assert len(parts) > 1
    blocks = [block for part in parts for block in read_blocks(part, form, 7, ["id"])]
    assert [value.as_py() for value in rows(blocks, "id")] == list(range(100))
    assert all(set(block.columns) == {"id"} for block in blocks)


def test_a_file_that_is_not_parquet_is_an_error_that_names_it(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_text("no")
    with pytest.raises(FormatError, match=r"a\.parquet cannot be read as Parquet"):
        list(read_blocks(whole(tmp_path / "a.parquet"), "parquet", 10))


def test_images_are_rows_of_one_part(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    form, (part,) = plan_parts(str(tmp_path / "*"))
    (block,) = read_blocks(part, form, 10)
    assert block.columns["image"] == [b"a.jpg", b"b.png"]
    assert block.columns["path"] == [str(tmp_path / "a.jpg"), str(tmp_path / "b.png")]


def test_files_are_found_where_fsspec_reaches() -> None:
    files = fsspec.filesystem("memory")
    files.pipe("/reading/a/1.jsonl", LINES.encode())
    form, (part,) = plan_parts("memory://reading/**/*.jsonl")
    assert part.files[0].startswith("memory://")
    assert rows(read_blocks(part, form, 10), "text")[9] == "line 9"


def test_an_input_that_is_not_there_or_a_directory_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="No file matches"):
        plan_parts(str(tmp_path / "*.jsonl"))
    with pytest.raises(MissingError, match=r"DIRECTORY/\*"):
        plan_parts(str(tmp_path))
    (tmp_path / "a.dat").write_text("")
    with pytest.raises(ConfigError, match="does not tell its format"):
        plan_parts(str(tmp_path / "*"))
    (tmp_path / "b.csv").write_text("")
    (tmp_path / "b.txt").write_text("")
    with pytest.raises(ConfigError, match="several formats: csv, text"):
        plan_parts(str(tmp_path / "b.*"))


def test_shards_have_names_of_their_own(tmp_path: Path) -> None:
    for name in ("a/x.jsonl", "b/x.jsonl"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(LINES)
    _, parts = plan_parts(str(tmp_path / "*" / "*.jsonl"))
    assert [shard_path("o/*.csv", part) for part in parts] == ["o/00000-of-00002.csv", "o/00001-of-00002.csv"]
    assert len({Part.of_file(str(tmp_path / name / "x.jsonl")).name for name in "ab"}) == 2


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("out.jsonl", r"has no '\*'"),
        ("*/*.jsonl", r"has 2 '\*'"),
        ("*/out.jsonl", "is not in the name of a file"),
        ("out/*.txt", "does not tell in which format"),
        ("out/*", "does not tell in which format"),
        ("gs://b/x::file://*.csv", "chains file systems"),
    ],
)
def test_an_output_that_cannot_be_is_refused(output: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_output(output)


def test_json_of_numbers_beyond_the_finite_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"x": float("inf")}) + "\n")
    (block,) = read_blocks(whole(tmp_path / "a.jsonl"), "jsonl", 10)
    assert block.columns == {"x": [float("inf")]}


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


def _with_another_sum(data: bytes) -> bytes:
    return data[:-8] + b"0000" + data[-4:]


@pytest.mark.parametrize("damage", [_cut, _flipped, _with_another_sum, lambda data: b"this is not gzip at all"])
@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz", "a.txt.gz"])
def test_a_compressed_file_that_is_damaged_is_an_error_that_names_it(
    name: str, damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    random = "".join(f'{{"id": "{hashlib.sha256(bytes([number])).hexdigest()}"}}\n' for number in range(250))
    (tmp_path / name).write_bytes(damage(gzip.compress(random.encode())))
    form = {"jsonl": "jsonl", "csv": "csv", "txt": "text"}[name.split(".")[1]]
    with pytest.raises(FormatError, match=re.escape(name)):
        list(read_blocks(whole(tmp_path / name), form, 10))


def test_a_page_of_parquet_that_is_damaged_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"id": [hashlib.sha256(bytes([number])).hexdigest() for number in range(250)]}), path)
    data = bytearray(path.read_bytes())
    data[40:4000] = bytes(3960)
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"a\.parquet"):
        list(read_blocks(whole(path), "parquet", 10))


def test_a_line_that_is_nested_too_deeply_costs_that_row(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("[" * 200_000 + '\n{"id": 1}\n')
    (block,) = read_blocks(whole(tmp_path / "a.jsonl"), "jsonl", 10)
    assert block.bad == [(0, "is not JSON: it is nested too deeply")]
    assert rows([block], "id") == [1]


def test_brackets_in_the_name_of_a_folder_are_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "o[1]?"
    folder.mkdir()
    (folder / "v-1.jsonl").write_text(LINES)
    assert [path for path, _ in find_numbered(f"{folder}/v-*.jsonl")] == [str(folder / "v-1.jsonl")]
    monkeypatch.chdir(folder)
    assert [path for path, _ in find("v-*.jsonl")] == [str(folder / "v-1.jsonl")]
