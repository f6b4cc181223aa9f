"""Where the converter is silently wrong or gives up, and ONNX has an exact form: handlers in the place of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from onnx import TensorProto
from tf2onnx import constants, utils
from tf2onnx.onnx_opset import math

from hubplug_convert._onnx.making import Handler, Maker
from hubplug_convert._onnx.segments import segment_handlers

Tables = Mapping[bytes, tuple[Any, Any]]

# Of the keys and the values that LabelEncoder takes, what lists of them are called; other integers travel as int64.
_LISTS = {TensorProto.STRING: "strings", TensorProto.INT64: "int64s", TensorProto.FLOAT: "floats"}
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
_WIDER = {TensorProto.INT32: TensorProto.INT64}


def handlers(tables: Tables) -> dict[str, tuple[Handler, list[Any]]]:
    """What tf2onnx takes as ``custom_op_handlers``.

    Args:
        tables: Of the graph: shared name -> keys and values.
    """
    found: dict[str, Handler] = {
        "Select": _select,
        "SelectV2": _select,
        "Log1p": _log1p,
        "Print": _print,
        "FloorDiv": _floor_div,
        "FloorMod": _floor_mod,
        "OneHot": _one_hot,
        "StringLower": _in_ascii,
        "StringUpper": _in_ascii,
        "StringToHashBucketFast": _hash_bucket,
        "LookupTableFindV2": partial(_lookup, tables),
    }
    return {op: (handler, []) for op, handler in found.items()} | segment_handlers()


def _select(ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """tf2onnx multiplies by 0 and 1, and an infinity by 0 is NaN."""
    condition = node.input[0]
    if node.type == "Select" and ctx.get_rank(condition) == 1 and ctx.get_rank(node.input[1]) != 1:
        # TensorFlow 1 takes a vector to choose rows.
        rank = ctx.get_rank(node.input[1]) or ctx.get_rank(node.output[0])
        if rank is None:
            raise ValueError("Select by a vector, among values of unknown rank")
        shape = ctx.make_const(utils.make_name(name), np.array([-1] + [1] * (rank - 1), np.int64))
        rows = ctx.make_node("Reshape", [condition, shape.output[0]], op_name_scope=name)
        ctx.replace_input(node, condition, rows.output[0], 0)
    node.type = "Where"


def _floor_mod(ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """Of integers, tf2onnx gives the remainder of the quotient nearest to 0."""
    if ctx.get_dtype(node.output[0]) in _FLOATS:
        math.FloorMod.version_7(ctx, node)
    else:
        node.type = "Mod"


def _floor_div(ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """Of integers, tf2onnx gives the quotient nearest to 0."""
    if ctx.get_dtype(node.output[0]) in _FLOATS:
        math.FloorDiv.version_6(ctx, node)
        return
    make = Maker(ctx, node)
    x, y = node.input
    # One less, where something is left, and not with the sign of the divisor.
    zero, rest = make.constant(0, make.number), make.node("Mod", x, y, fmod=1)
    is_left = make.node("Not", make.node("Equal", rest, zero))
    other_side = make.node("Xor", make.node("Less", rest, zero), make.node("Less", y, zero))
    less = make.node("Cast", make.node("And", is_left, other_side), to=make.dtype)
    make.replace(make.node("Sub", make.node("Div", x, y), less))


def _one_hot(ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """Where a number is that of its place. ONNX's own counts negative ones from the end, and that of older onnxruntimes
    ends the process for an empty batch."""
    make = Maker(ctx, node)
    ids, depth, on, off = node.input
    axis, rank = node.get_attr_value("axis", -1), ctx.get_rank(ids)
    depth = make.node("Cast", depth, to=TensorProto.INT64)
    places = make.node("Range", make.constant(0), depth, make.constant(1))
    if axis >= 0:
        if rank is None:
            raise ValueError("OneHot of values of unknown rank")
        places = make.node("Reshape", places, make.constant([-1] + [1] * (rank - axis)))
    spread = make.node("Unsqueeze", make.node("Cast", ids, to=TensorProto.INT64), make.constant([axis]))
    make.replace(make.node("Where", make.node("Equal", spread, places), on, off))


def _in_ascii(ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """Letters of ASCII, as TensorFlow has it without an encoding; ONNX's StringNormalizer takes those of a locale, which may
    not be there."""
    if node.get_attr_value("encoding"):
        raise ValueError(f"{node.type} of letters beyond ASCII")
    _without_attributes(node)
    node.domain = constants.CONTRIB_OPS_DOMAIN


def _print(ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """Its value is its first input; tf2onnx drops what prints nothing but aside, as ``tf.print``, too."""
    ctx.replace_inputs(node, [node.input[0]])
    _without_attributes(node)
    node.type = "Identity"


def _without_attributes(node: Any) -> None:
    for attribute in list(node.attr):
        del node.attr[attribute]


def _log1p(ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """``log(1 + x)`` loses what is small; ``x * log(u) / (u - 1)`` with ``u = 1 + x`` does not, since the rounding of ``u``
    is in both (Kahan); it is ``x`` where ``u`` is 1, and ``log(u)`` where ``u`` is infinite."""
    make = Maker(ctx, node)
    (x,) = node.input
    zero, one, infinity = (make.constant(value, make.number) for value in (0, 1, np.inf))
    u = make.node("Add", one, x)
    logarithm, rest = make.node("Log", u), make.node("Sub", u, one)
    is_zero = make.node("Equal", rest, zero)
    exact = make.node("Mul", x, make.node("Div", logarithm, make.node("Where", is_zero, one, rest)))
    finite = make.node("Where", make.node("Equal", u, infinity), logarithm, exact)
    make.replace(make.node("Where", is_zero, x, finite))


def _hash_bucket(ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """Of one bucket it is 0, as for the one word out of a vocabulary; others are refused before."""
    make = Maker(ctx, node)
    make.replace(make.node("Expand", make.constant(0), make.node("Shape", node.input[0])))


def _lookup(tables: Tables, ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """A table is a LabelEncoder; tf2onnx itself knows tables of strings and int64 only."""
    table = node.inputs[0]
    while table.type == "Identity":
        table = table.inputs[0]
    keys, values = tables[table.get_attr_value("shared_name")]
    if not node.inputs[2].is_const():
        raise ValueError("LookupTableFindV2: a default value that is computed")
    default = node.inputs[2].get_tensor_value(as_list=False)
    make, words = Maker(ctx, node), node.input[1]
    key_dtype = ctx.get_dtype(words)
    inner, key_inner = _WIDER.get(make.dtype, make.dtype), _WIDER.get(key_dtype, key_dtype)
    known = inner in _LISTS and key_inner in _LISTS and key_inner != TensorProto.FLOAT
    if not known or values.ndim != 1 or not len(keys):
        raise ValueError(
            f"LookupTableFindV2: a table of {len(keys)} keys {keys.dtype} and values {values.dtype} of shape "
            f"{list(values.shape[1:])}; ONNX has those of strings, integers and float"
        )
    if key_inner != key_dtype:
        words = make.node("Cast", words, to=key_inner)
    attributes = {
        f"keys_{_LISTS[key_inner]}": keys.tolist(),
        f"values_{_LISTS[inner]}": values.tolist(),
        f"default_{_LISTS[inner][:-1]}": default.item(),
    }
    encoder = ctx.make_node("LabelEncoder", [words], attributes, domain=constants.AI_ONNX_ML_DOMAIN, op_name_scope=name)
    found = encoder.output[0]
    make.replace(found if inner == make.dtype else make.node("Cast", found, to=make.dtype))
