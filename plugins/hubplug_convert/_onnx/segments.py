"""Sums of segments, as text modules take them over the words of each sentence, and the shapes of sparse values: exact for
empty batches too, for which what tf2onnx makes of them divides by zero or takes the largest of nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from onnx import TensorProto
from tf2onnx import utils
from tf2onnx.onnx_opset import tensor

Handler = Callable[[Any, Any, str, Sequence[Any]], None]


def segment_handlers() -> dict[str, tuple[Handler, list[Any]]]:
    """What tf2onnx takes as ``custom_op_handlers``."""
    sums = [("Sum", "SegmentSum"), ("Sum", "UnsortedSegmentSum")]
    for reduction in ("Sum", "Mean", "SqrtN"):
        sums += [(reduction, f"SparseSegment{reduction}{ending}") for ending in ("", "WithNumSegments")]
    found: dict[str, tuple[Handler, list[Any]]] = {op: (partial(_reduce, reduction), []) for reduction, op in sums}
    return found | {"SparseReshape": (_reshape, [])}


class _Maker:
    """Makes nodes in the place of one."""

    def __init__(self, ctx: Any, name: str) -> None:
        self._ctx = ctx
        self._name = name

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        made: str = self._ctx.make_node(op, list(inputs), attr=attributes, op_name_scope=self._name).output[0]
        return made

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        made: str = self._ctx.make_const(utils.make_name(self._name), np.asarray(value, dtype)).output[0]
        return made


def _reduce(reduction: str, ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """Rows are added up by ScatterND, into as many rows as there are segments."""
    make = _Maker(ctx, name)
    op, given, (out,) = node.type, list(node.input), node.output
    dtype, shape = ctx.get_dtype(out), ctx.get_shape(out)
    data = given.pop(0)
    if op.startswith("Sparse"):
        data = make.node("Gather", data, given.pop(0), axis=0)
    if op.startswith("Unsorted") and ctx.get_rank(given[0]) != 1:
        raise ValueError(f"{op}: segments that are no vector")
    ids = make.node("Cast", given.pop(0), to=TensorProto.INT64)
    if given:
        asked = make.node("Reshape", make.node("Cast", given[0], to=TensorProto.INT64), make.constant([1]))
    else:
        # Of no rows at all, the largest is -1.
        last = make.node("Concat", ids, make.constant([-1]), axis=0)
        asked = make.node("Add", make.node("ReduceMax", last, keepdims=1), make.constant([1]))
    # What has a negative number is dropped: it goes into a row of its own, behind the others.
    ids = make.node("Where", make.node("Less", ids, make.constant(0)), asked, ids)
    places = make.node("Unsqueeze", ids, make.constant([1]))
    rows = make.node("Add", asked, make.constant([1]))
    number = utils.map_onnx_to_numpy_type(dtype)
    inner = make.node("Slice", make.node("Shape", data), make.constant([1]), make.constant([2**31]), make.constant([0]))

    def added(what: str, sizes: str) -> str:
        zeros = make.node("Expand", make.constant(0, number), sizes)
        total = make.node("ScatterND", zeros, places, what, reduction="add")
        return make.node("Slice", total, make.constant([0]), asked, make.constant([0]))

    total = added(data, make.node("Concat", rows, inner, axis=0))
    if reduction != "Sum":
        counts = added(make.node("Expand", make.constant(1, number), make.node("Shape", ids)), rows)
        divisor = make.node("Max", counts, make.constant(1, number))
        if reduction == "SqrtN":
            divisor = make.node("Sqrt", divisor)
        ones = make.node("Expand", make.constant(1), make.node("Shape", inner))
        total = make.node("Div", total, make.node("Reshape", divisor, make.node("Concat", asked, ones, axis=0)))
    ctx.remove_node(name)
    ctx.make_node("Identity", [total], name=name, outputs=[out], dtypes=[dtype], shapes=[shape])


def _reshape(ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """As tf2onnx does it, but that nothing is divided by the size of what is empty, and that a product of no rows is none:
    onnxruntime's MatMul refuses them."""
    there = {each.name for each in ctx.get_nodes()}
    tensor.SparseReshape.any_version(ctx.opset, ctx, node)
    make = _Maker(ctx, name)
    for each in list(ctx.get_nodes()):
        if each.name not in there and each.type in ("Div", "Mod"):
            size = each.input[1]
            divisor = make.node("Where", make.node("Equal", size, make.constant(0)), make.constant(1), size)
            ctx.replace_input(each, size, divisor, 1)
        elif each.name not in there and each.type == "MatMul":
            each.type, product = "Mul", each.output[0]
            ctx.set_shape(product, [-1, -1])
            ctx.insert_new_node_on_output("ReduceSum", product, inputs=[product, make.constant([1])], keepdims=0)
