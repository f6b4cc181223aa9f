"""Columns that are kept: nothing of them is lost or changed, whatever the first rows are."""

from __future__ import annotations

import datetime
import decimal
import io
import json
from typing import Any

import numpy as np
import pytest

from hubplug import TensorInfo
from hubplug_beam import _writing
from hubplug_beam._calls import Call

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

CALL = Call("default", {}, {"default": TensorInfo("float32", (None,))}, keep=("kept",))


def written(name: str, *batches: list[Any], **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    with _writing.writer(name, file, CALL, **options) as writer:
        for batch in batches:
            writer.write({"kept": batch, "default": [0.5] * len(batch)})
    return file


@pytest.mark.parametrize(
    ("first", "second", "read"),
    [
        ([None], ["a"], [None, "a"]),
        ([1], [1.5], [1.0, 1.5]),
        ([[]], [[1]], [[], [1]]),
        ([{"a": 1}], [{"b": 3}], [{"a": 1, "b": None}, {"a": None, "b": 3}]),
    ],
)
def test_a_column_may_become_wider(first: list[Any], second: list[Any], read: list[Any]) -> None:
    table = parquet.read_table(written("a.parquet", first, second))
    assert table.column("kept").to_pylist() == read
    assert table.column("default").to_pylist() == [0.5, 0.5]


@pytest.mark.parametrize(("first", "second"), [([True], [5]), ([5], ["7"]), (["a"], [5]), ([1], [2**64])])
def test_a_value_of_another_kind_is_refused_and_not_changed(first: list[Any], second: list[Any]) -> None:
    file = io.BytesIO()
    with _writing.writer("a.parquet", file, CALL) as writer:
        writer.write({"kept": first, "default": [0.5]})
        with pytest.raises(ValueError, match="Parquet: "):
            writer.write({"kept": second, "default": [0.5]})
        writer.write({"kept": first, "default": [0.5]})
    assert parquet.read_table(file).column("kept").to_pylist() == first * 2


def test_what_is_written_already_stays_of_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_writing, "_ROW_GROUP_BYTES", 1)
    file = io.BytesIO()
    with _writing.writer("a.parquet", file, CALL) as writer:
        writer.write({"kept": [1], "default": [0.5]})
        with pytest.raises(ValueError, match="which are written"):
            writer.write({"kept": [1.5], "default": [0.5]})
        writer.write({"kept": [None], "default": [0.5]})
    assert parquet.read_table(file).column("kept").to_pylist() == [1, None]


def test_a_shard_without_rows_has_the_types_of_the_input() -> None:
    table = parquet.read_table(written("a.parquet", types=lambda: {"kept": pa.list_(pa.int64())}))
    assert table.schema.field("kept").type == pa.list_(pa.int64())
    assert parquet.read_table(written("a.parquet")).schema.field("kept").type == pa.string()


def test_dates_and_decimals_are_texts_in_json() -> None:
    values = [datetime.datetime(2026, 1, 2, 3), datetime.date(2026, 1, 2), decimal.Decimal("1.10"), [datetime.time(4)]]
    lines = written("a.jsonl", values).getvalue().splitlines()
    assert [json.loads(line)["kept"] for line in lines] == ["2026-01-02T03:00:00", "2026-01-02", "1.10", ["04:00:00"]]


def test_a_vector_of_no_numbers_can_be_read_again() -> None:
    call = Call("default", {}, {"default": TensorInfo("float32", (None, 0))})
    file = io.BytesIO()
    with _writing.writer("a.parquet", file, call) as writer:
        for _ in range(2):
            writer.write({"default": np.zeros((2, 0), "float32")})
    assert parquet.read_table(file).column("default").to_pylist() == [[]] * 4
