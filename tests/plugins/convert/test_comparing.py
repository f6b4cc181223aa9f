"""Values are compared number by number, and generated inputs are of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hubplug.types import SignatureInfo, TensorInfo
from hubplug_convert import Ragged, Sparse
from hubplug_convert._cases import Case, cases_of, find_unsupported
from hubplug_convert._comparing import compare
from hubplug_convert._values import pack, unpack

nan, inf = np.nan, np.inf


def floats(*values: float) -> Any:
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("source", "result", "same"),
    [
        (floats(1, nan, inf, -inf), floats(1, nan, inf, -inf), True),
        (floats(1e6), floats(1e6 + 9), True),
        (floats(1e6), floats(1e6 + 12), False),
        (floats(0.0), floats(9e-6), True),
        (floats(0.0), floats(1.1e-5), False),
        (floats(nan), floats(0), False),
        (floats(0), floats(nan), False),
        (floats(inf), floats(-inf), False),
        (floats(inf), floats(3e38), False),
        (floats(3e38), floats(inf), False),
        (floats(), floats(), True),
        (floats(1), floats(1, 1), False),
        (np.array([1 + 2j]), np.array([1 + 2.1j]), False),
        (np.array([1, 2]), np.array([1, 3]), False),
        (np.array([b"a"], object), np.array([b"a"], object), True),
        (np.array([b"a"], object), np.array([b"b"], object), False),
        (np.array([True]), np.array([False]), False),
        (np.array([1], np.int32), np.array([1], np.int64), False),
        (Sparse(np.array([[0]]), floats(1), np.array([2])), Sparse(np.array([[1]]), floats(1), np.array([2])), False),
        (Sparse(np.array([[0]]), floats(1), np.array([2])), floats(1, 0), False),
        (Ragged(floats(1, 2), np.array([0, 2])), Ragged(floats(1, 2), np.array([0, 1, 2])), False),
        (Ragged(floats(1, 2), np.array([0, 2])), Ragged(floats(1, 2), np.array([0, 2])), True),
    ],
)
def test_values_are_equal_or_not(source: Any, result: Any, same: bool) -> None:
    found = compare(source, result)
    assert (found.said is None) is same, found.said
    if not same:
        assert found.largest > 1e-5


def test_a_difference_names_its_place_and_both_values() -> None:
    found = compare(np.zeros([2, 3], np.float32), np.array([[0, 0, 0], [0, 2, 1]], np.float32))
    assert found.said == "is 2 at [1, 1], where the source gives 0 (2 of 6 values differ)"
    assert found.largest == 2


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6).reshape(2, 3),
        np.array([[b"a", b"\xff\0"]], object),
        np.array(2.5, np.float16),
        np.zeros([0, 4], np.complex64),
        Sparse(np.array([[0, 1]]), np.array([b"x"], object), np.array([1, 2])),
        Ragged(Ragged(np.array([1, 2, 3]), np.array([0, 1, 3])), np.array([0, 2])),
    ],
)
def test_values_come_whole_from_another_process(value: Any) -> None:
    assert compare(value, unpack(pack(value))).said is None


def cases(**inputs: TensorInfo) -> list[Case]:
    return list(cases_of("default", SignatureInfo(inputs, {}), [b"known", b"words"], None))


def test_batches_of_none_one_and_many_are_tried_and_the_same_each_time() -> None:
    found = cases(x=TensorInfo("float32", (None, 2)))
    assert {case.inputs["x"].shape[0] for case in found} >= {0, 1, 3, 5}
    again = cases(x=TensorInfo("float32", (None, 2)))
    for one, other in zip(found, again, strict=True):
        assert compare(one.inputs["x"], other.inputs["x"]).said is None
    values = np.concatenate([case.inputs["x"].ravel() for case in found])
    assert np.isnan(values).any()
    assert np.isposinf(values).any()
    assert np.isneginf(values).any()
    assert (values > 1e37).any()
    assert ((values > 0) & (values < 1e-37)).any()


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "string", "complex64"])
def test_inputs_of_one_kind_have_different_values(dtype: str) -> None:
    """Or what compares, subtracts or divides two of them would see one case only."""
    for case in cases(x=TensorInfo(dtype, (None, 2)), y=TensorInfo(dtype, (None, 2)))[:2]:
        assert not np.array_equal(case.inputs["x"], case.inputs["y"]), case.about


def test_sparse_and_ragged_inputs_have_values_in_the_same_places() -> None:
    """As ids and their weights."""
    parts = {"values": "v", "indices": "i", "shape": "s"}
    infos = {key: TensorInfo(dtype, (None, 3), "sparse", parts) for key, dtype in (("x", "int64"), ("y", "float32"))}
    for case in cases(**infos):
        np.testing.assert_array_equal(case.inputs["x"].indices, case.inputs["y"].indices)
    rows = {key: TensorInfo("float32", (None, None), "composite", {"0": "v", "1": "r"}) for key in ("x", "y")}
    for case in cases(**rows):
        np.testing.assert_array_equal(case.inputs["x"].row_splits, case.inputs["y"].row_splits)


def test_there_are_ties_and_integers_of_both_signs() -> None:
    found = cases(x=TensorInfo("float32", (None, 2)), ids=TensorInfo("int8", (None, 2)))
    assert any({-0.5, 2.5} & set(case.inputs["x"].ravel().tolist()) for case in found)
    assert any(case.inputs["ids"].min(initial=0) < -1 and case.inputs["ids"].max(initial=0) > 1 for case in found)


def test_strings_are_known_unknown_empty_long_and_no_text() -> None:
    found = cases(text=TensorInfo("string", (None,)))
    texts = {text for case in found for text in case.inputs["text"]}
    assert {b"known", b"", b"\0"} <= texts
    assert max(map(len, texts)) >= 5000
    assert any(b"\xff" in text for text in texts)


def test_extremes_of_one_kind_come_with_ordinary_values_of_the_others() -> None:
    """Or an index out of range would hide what a number does."""
    found = cases(x=TensorInfo("float32", (None,)), ids=TensorInfo("int64", (None,)))
    with_nan = [case for case in found if np.isnan(case.inputs["x"]).any()]
    assert with_nan
    assert all(case.inputs["ids"].max() <= 2 for case in with_nan)
    assert any(case.inputs["ids"].max(initial=0) == np.iinfo(np.int64).max for case in found)


@pytest.mark.parametrize(
    "info",
    [
        TensorInfo("float32", (None, 3), "sparse", {"values": "v", "indices": "i", "shape": "s"}),
        TensorInfo("float32", (None, None), "composite", {"0": "v", "1": "r"}),
        TensorInfo("string", (None, None, None), "composite", {"0": "v", "1": "r", "2": "r2"}),
        TensorInfo("float32", None),
        TensorInfo("string", ()),
        TensorInfo("bool", (2,)),
        TensorInfo("uint8", (None, None, None, 3)),
        TensorInfo("bfloat16", (None,)),
        TensorInfo("complex64", (None,)),
    ],
    ids=str,
)
def test_values_of_every_kind_can_be_made(info: TensorInfo) -> None:
    assert not find_unsupported(SignatureInfo({"x": info}, {}))
    found = cases(x=info)
    assert any(case.has_values for case in found)
    for case in found:
        unpack(pack(case.inputs["x"]))


def test_what_no_values_can_be_made_for_is_named() -> None:
    info = TensorInfo("resource", ())
    assert find_unsupported(SignatureInfo({"x": info}, {})) == ["'x' (dense resource)"]
