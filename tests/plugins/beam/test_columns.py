"""From columns to what inputs take, and what is said before anything starts when they do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hubplug
from hubplug import TensorInfo
from hubplug.errors import ConfigError, InputError, UnknownSignatureError
from hubplug_beam._calls import Call, check_columns, find_block_error, plan_call
from hubplug_beam._formats import Block
from hubplug_beam._values import Images, Ragged, Sparse, convert, rows_of
from hubplug_beam._writing import check_writing
from hubplug_format import ModuleBuilder, write_module

VECTORS = TensorInfo("float32", (None, 2))
WHOLE = TensorInfo("int32", (None,))
TEXTS = TensorInfo("string", (None,))
RAGGED = TensorInfo("int32", (None, None), "composite")
SPARSE = TensorInfo("int32", (None, 10), "sparse")


def test_lists_become_arrays_of_the_dtype() -> None:
    array = convert([[1, 2], [3.5, 4]], VECTORS)
    assert isinstance(array, np.ndarray)
    assert array.dtype == np.float32
    assert array.tolist() == [[1, 2], [3.5, 4]]


@pytest.mark.parametrize(
    ("column", "info", "said"),
    [
        ([[1, 2, 3]], VECTORS, r"expected values of shape \[2\], got \[3\]"),
        ([1.0], VECTORS, r"got \[\] \(single values\)"),
        ([[1, 2], [3]], VECTORS, "different shapes"),
        ([None], WHOLE, "there is no value"),
        ([1.5], WHOLE, "not whole"),
        ([2**40], WHOLE, "too large"),
        (["one"], WHOLE, "invalid literal"),
        ([True], WHOLE, "got true or false"),
        ([1], TensorInfo("bool", (None,)), "expected true or false"),
        ([1], TEXTS, "expected a text, got int"),
        ([float("nan")], WHOLE, "not whole"),
        ([{"a": 1}], WHOLE, "no number"),
        ([1e39], TensorInfo("float32", (None,)), "too large"),
        ([1e6], TensorInfo("float16", (None,)), "too large"),
        (["yes"], TensorInfo("bool", (None,)), "expected true or false, got another text"),
        ([5, True], WHOLE, "got true or false"),
        ([[1, None]], VECTORS, "there is no value"),
        (["\ud800"], TEXTS, "surrogate"),
        ([2**64], TensorInfo("uint64", (None,)), "too large"),
        ([[1.5]], RAGGED, "not whole"),
        ([[1], [2**40]], RAGGED, "too large"),
        ([[True]], RAGGED, "got true or false"),
        ([[1], [None]], RAGGED, "there is no value"),
        ([[1, [2]]], RAGGED, "lists of one depth"),
        ([["a", 1]], TensorInfo("string", (None, None), "composite"), "expected a text"),
        ([{"indices": [1.5], "values": [1]}], SPARSE, "not whole"),
        ([{"indices": [1, 1], "values": [1, 2]}], SPARSE, "each of 'indices' once"),
    ],
)
def test_what_does_not_fit_is_said(column: list[Any], info: TensorInfo, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        convert(column, info)


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        ([9007199254740993, 1.0], "int64"),
        ([2**63 + 1, 1], "uint64"),
        ([2**64 - 1, 0.0], "uint64"),
        ([[9007199254740993, 1.0]], "int64"),
    ],
)
def test_a_whole_number_is_the_same_whatever_stands_beside_it(column: list[Any], dtype: str) -> None:
    shape = (None, *np.shape(column)[1:])
    assert convert(column, TensorInfo(dtype, shape)).tolist() == column  # type: ignore[union-attr]


def test_a_number_larger_than_any_integer_is_a_float() -> None:
    assert convert([10**30, 1], TensorInfo("float64", (None,))).tolist() == [1e30, 1.0]  # type: ignore[union-attr]


def test_numbers_in_csv_are_texts() -> None:
    assert convert(["1", "-2"], WHOLE).tolist() == [1, -2]  # type: ignore[union-attr]
    assert convert(["1.5"], TensorInfo("float64", (None,))).tolist() == [1.5]  # type: ignore[union-attr]
    assert convert(["true", "False"], TensorInfo("bool", (None,))).tolist() == [True, False]  # type: ignore[union-attr]


def test_what_is_not_finite_stays_so() -> None:
    numbers = convert([float("inf"), -float("inf"), float("nan")], TensorInfo("float16", (None,)))
    assert np.array_equal(numbers, [np.inf, -np.inf, np.nan], equal_nan=True)  # type: ignore[arg-type]


def test_a_part_of_a_sparse_output_has_its_name_for_itself_in_records() -> None:
    call = Call("default", {}, {"default": SPARSE}, keep=("default_values",))
    check_writing("a-*.jsonl", call)
    with pytest.raises(ConfigError, match="'default_values' is a part of a sparse output"):
        check_writing("a-*.tfrecord", call)


def test_a_sparse_input_takes_lists_and_places() -> None:
    info = TensorInfo("float32", (None, 10), "sparse")
    found = convert([[5, 6], {"indices": [7, 2], "values": [1, 2]}, []], info)
    assert isinstance(found, Sparse)
    assert found.indices.tolist() == [[0, 0], [0, 1], [1, 2], [1, 7]]
    assert found.values.tolist() == [5, 6, 2, 1]
    assert found.shape == (3, 10)
    with pytest.raises(ValueError, match="from 0 to 9"):
        convert([{"indices": [10], "values": [1]}], info)


def test_a_ragged_input_takes_lists_of_any_length() -> None:
    found = convert([[1], [], [2, 3]], TensorInfo("int64", (None, None), "composite"))
    assert isinstance(found, Ragged)
    assert found.rows == [[1], [], [2, 3]]


def test_features_of_an_example_are_unwrapped_to_the_shape_of_the_input() -> None:
    assert convert([[1], [2]], WHOLE, flat=True).tolist() == [1, 2]  # type: ignore[union-attr]
    matrix = TensorInfo("float32", (None, 2, 2))
    assert convert([[1.0, 2.0, 3.0, 4.0]], matrix, flat=True).tolist() == [[[1, 2], [3, 4]]]  # type: ignore[union-attr]


def test_encoded_images_are_left_to_be_decoded() -> None:
    found = convert([b"png"], TensorInfo("float32", (None, 8, 8, 3)))
    assert isinstance(found, Images)


def test_arrow_arrays_are_taken_without_an_object_for_each_number() -> None:
    pa = pytest.importorskip("pyarrow")
    for kind in (pa.list_(pa.float64()), pa.list_(pa.float64(), 2), pa.large_list(pa.float32())):
        column = pa.array([[1, 2], [3, 4], [5, 6]], kind).slice(1)
        assert convert(column, VECTORS).tolist() == [[3, 4], [5, 6]]  # type: ignore[union-attr]
        assert rows_of(column, [1, 1]).to_pylist() == [[5, 6], [5, 6]]
    with pytest.raises(ValueError, match="there is no value"):
        convert(pa.array([1, None]), WHOLE)
    with pytest.raises(ValueError, match="different shapes"):
        convert(pa.array([[1], [1, 2, 3]]), VECTORS)
    assert convert(pa.array(["a", "b"]), TEXTS).tolist() == [b"a", b"b"]  # type: ignore[union-attr]


@pytest.fixture
def spec(tmp_path: Path) -> hubplug.ModuleSpec:
    builder = ModuleBuilder()
    text = builder.placeholder("text", "string", [None])
    weight = builder.placeholder("weight", "float32", [None])
    count = builder.placeholder("count", "int64", [])
    total = builder.placeholder("total", "float32", [1])
    builder.signature(inputs={"text": text, "weight": weight}, outputs={"default": weight, "text": text})
    builder.signature("sum", inputs={"weight": weight}, outputs={"each": weight, "all": total})
    builder.signature("counted", inputs={"count": count}, outputs={"default": weight})
    write_module(tmp_path / "module", builder)
    with hubplug.Hub({"chain": ["file", "tf1"]}).activate():
        return hubplug.load_module_spec(str(tmp_path / "module"))


def test_inputs_take_the_columns_of_their_names_or_those_that_are_said(spec: hubplug.ModuleSpec) -> None:
    call = check_columns(plan_call(spec, columns={"text": "body"}, keep=["id"]), "jsonl", ["body", "weight", "id"])
    assert call.columns == {"text": "body", "weight": "weight"}
    assert call.wanted == ["body", "weight", "id"]
    assert list(call.outputs) == ["default"]


def test_a_column_that_is_not_there_is_said_with_those_that_are(spec: hubplug.ModuleSpec) -> None:
    with pytest.raises(InputError, match="the column 'text', which the files do not have") as caught:
        check_columns(plan_call(spec), "jsonl", ["body", "weight"])
    assert "there are: 'body', 'weight'; say which with --column text=COLUMN" in str(caught.value)
    with pytest.raises(InputError, match="no column 'idd' to keep"):
        check_columns(plan_call(spec, keep=["idd"]), "jsonl", ["text", "weight", "id"])


def test_the_only_input_takes_the_column_that_anyone_could_mean(spec: hubplug.ModuleSpec) -> None:
    call = plan_call(spec, "sum", select=["each"])
    assert check_columns(call, "text", ["text"]).columns == {"weight": "text"}
    assert check_columns(call, "csv", ["value"]).columns == {"weight": "value"}
    with pytest.raises(InputError):
        check_columns(call, "csv", ["value", "other"])


def test_a_signature_that_does_not_fit_is_refused_before_anything_starts(spec: hubplug.ModuleSpec) -> None:
    with pytest.raises(UnknownSignatureError, match="There is no signature 'summ'"):
        plan_call(spec, "summ")
    with pytest.raises(InputError, match="no input 'texts'"):
        plan_call(spec, columns={"texts": "body"})
    with pytest.raises(InputError, match="no output named 'default'"):
        plan_call(spec, "sum")
    with pytest.raises(InputError, match="one value for a batch, not one for each row"):
        plan_call(spec, "sum", as_dict=True)
    with pytest.raises(InputError, match="takes a single value"):
        plan_call(spec, "counted")
    with pytest.raises(InputError, match="an output of the module and a column to keep"):
        plan_call(spec, as_dict=True, keep=["text"])


def test_the_first_rows_say_whether_any_row_can_fit(spec: hubplug.ModuleSpec) -> None:
    call = plan_call(spec)
    fine = Block([0, 1], {"text": ["a", "b"], "weight": ["no", 1.5]})
    assert find_block_error(call, fine) is None
    wrong = Block([0, 1], {"text": ["a", "b"], "weight": ["no", None]})
    assert "column 'weight', for the input 'weight'" in str(find_block_error(call, wrong))


@pytest.mark.parametrize(("padding", "sizes"), [("none", [3, 8]), ("powers", [4, 8]), ("full", [8, 8])])
def test_batches_are_filled_up_to_few_sizes(padding: str, sizes: list[int], spec: hubplug.ModuleSpec) -> None:
    call = plan_call(spec, batch_size=8, padding=padding)
    assert [call.padded_size(rows) for rows in (3, 8)] == sizes


def test_csv_is_refused_for_vectors_before_anything_starts() -> None:
    call = Call("default", {}, {"default": VECTORS})
    with pytest.raises(ConfigError, match="more than one value in a row"):
        check_writing("a-*.csv", call)
    check_writing("a-*.jsonl", call)


def test_outputs_of_a_signature_of_so_many_rows_are_for_each_row(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    seven = builder.placeholder("seven", "float32", [7, 2])
    three = builder.placeholder("three", "float32", [3, 2])
    builder.signature(inputs={"x": seven}, outputs={"default": seven, "other": three})
    write_module(tmp_path / "fixed", builder)
    with hubplug.Hub({"chain": ["file", "tf1"]}).activate():
        fixed = hubplug.load_module_spec(str(tmp_path / "fixed"))
        call = plan_call(fixed, keep=["id", "id"])
        assert (call.batch_size, call.padding, call.keep) == (7, "full", ("id",))
        with pytest.raises(InputError, match="one value for a batch"):
            plan_call(fixed, select=["other"])


@pytest.mark.parametrize("dtype", ["complex64", "quint8", "resource"])
@pytest.mark.parametrize("path", ["a-*.jsonl", "a-*.parquet", "a-*.tfrecord", "a-*.csv"])
def test_a_dtype_that_no_file_has_is_refused_before_anything_starts(dtype: str, path: str) -> None:
    with pytest.raises(ConfigError, match=f"dtype {dtype}"):
        check_writing(path, Call("default", {}, {"default": TensorInfo(dtype, (None,))}))
