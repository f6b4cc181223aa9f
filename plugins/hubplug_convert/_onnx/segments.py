"""Sums of segments, as text modules take them over the words of each sentence, and the shapes of sparse values: exact for
empty batches too, for which what tf2onnx makes of them divides by zero or takes the largest of nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from onnx import TensorProto
from tf2onnx.onnx_opset import tensor

from hubplug_convert._onnx.making import Handler, Maker


def segment_handlers() -> dict[str, tuple[Handler, list[Any]]]:
    """What tf2onnx takes as ``custom_op_handlers``."""
    sums = [("Sum", "SegmentSum"), ("Sum", "UnsortedSegmentSum")]
    for reduction in ("Sum", "Mean", "SqrtN"):
        sums += [(reduction, f"SparseSegment{reduction}{ending}") for ending in ("", "WithNumSegments")]
    found: dict[str, tuple[Handler, list[Any]]] = {op: (partial(_reduce, reduction), []) for reduction, op in sums}
    return found | {"SparseReshape": (_reshape, [])}


def _reduce(reduction: str, ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """Rows are added up by ScatterND, into as many rows as there are segments."""
    make = Maker(ctx, node)
    op, given = node.type, list(node.input)
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
    inner = make.node("Slice", make.node("Shape", data), make.constant([1]), make.constant([2**31]), make.constant([0]))

    def added(what: str, sizes: str) -> str:
        zeros = make.node("Expand", make.constant(0, make.number), sizes)
        total = make.node("ScatterND", zeros, places, what, reduction="add")
        return make.node("Slice", total, make.constant([0]), asked, make.constant([0]))

    total = added(data, make.node("Concat", rows, inner, axis=0))
    if reduction != "Sum":
        counts = added(make.node("Expand", make.constant(1, make.number), make.node("Shape", ids)), rows)
        divisor = make.node("Max", counts, make.constant(1, make.number))
        if reduction == "SqrtN":
            divisor = make.node("Sqrt", divisor)
        ones = make.node("Expand", make.constant(1), make.node("Shape", inner))
        total = make.node("Div", total, make.node("Reshape", divisor, make.node("Concat", asked, ones, axis=0)))
    make.replace(total)


def _reshape(ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """As tf2onnx does it, but that nothing is divided by the size of what is empty, and that a product of no rows is none:
    onnxruntime's MatMul refuses them."""
    make = Maker(ctx, node)
    there = {each.name for each in ctx.get_nodes()}
    tensor.SparseReshape.any_version(ctx.opset, ctx, node)
    for each in list(ctx.get_nodes()):
        if each.name not in there and each.type in ("Div", "Mod"):
            size = each.input[1]
            divisor = make.node("Where", make.node("Equal", size, make.constant(0)), make.constant(1), size)
            ctx.replace_input(each, size, divisor, 1)
        elif each.name not in there and each.type == "MatMul":
            each.type, product = "Mul", each.output[0]
            ctx.set_shape(product, [-1, -1])
            ctx.insert_new_node_on_output("ReduceSum", product, inputs=[product, make.constant([1])], keepdims=0)
