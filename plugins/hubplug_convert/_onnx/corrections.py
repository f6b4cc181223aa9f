"""Where the converter is silently wrong or gives up, and ONNX has an exact form: handlers in the place of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from onnx import TensorProto
from tf2onnx import constants, utils
from tf2onnx.onnx_opset import math, tensor

from hubplug_convert._onnx.segments import segment_handlers

Tables = Mapping[bytes, tuple[Any, Any]]
Handler = Callable[[Any, Any, str, Sequence[Any]], None]

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
    x, y = node.input
    (out,), dtype, shape = node.output, ctx.get_dtype(node.output[0]), ctx.get_shape(node.output[0])
    ctx.remove_node(name)

    def make(op: str, *inputs: str, **attributes: Any) -> str:
        made: str = ctx.make_node(op, list(inputs), attr=attributes, op_name_scope=name).output[0]
        return made

    # One less, where something is left, and not with the sign of the divisor.
    zero = ctx.make_const(utils.make_name(name), np.array(0, utils.map_onnx_to_numpy_type(dtype))).output[0]
    rest = make("Mod", x, y, fmod=1)
    is_left = make("Not", make("Equal", rest, zero))
    other_side = make("Xor", make("Less", rest, zero), make("Less", y, zero))
    less = make("Cast", make("And", is_left, other_side), to=dtype)
    ctx.make_node("Sub", [make("Div", x, y), less], name=name, outputs=[out], dtypes=[dtype], shapes=[shape])


def _one_hot(ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """What is negative is nothing; ONNX counts it from the end."""
    ids, depth = node.input[:2]
    dtype = ctx.get_dtype(ids)
    beyond = ctx.make_node("Cast", [depth], attr={"to": dtype}, op_name_scope=name).output[0]
    zero = ctx.make_const(utils.make_name(name), np.array(0, utils.map_onnx_to_numpy_type(dtype))).output[0]
    negative = ctx.make_node("Less", [ids, zero], op_name_scope=name).output[0]
    chosen = ctx.make_node(
        "Where", [negative, beyond, ids], op_name_scope=name, dtypes=[dtype], shapes=[ctx.get_shape(ids)]
    )
    ctx.replace_input(node, ids, chosen.output[0], 0)
    tensor.OneHot.version_11(ctx, node)


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
    (x,) = node.input
    (out,) = node.output
    dtype, shape = ctx.get_dtype(out), ctx.get_shape(out)
    ctx.remove_node(name)
    number = utils.map_onnx_to_numpy_type(dtype)

    def make(op: str, *inputs: str) -> str:
        made: str = ctx.make_node(op, list(inputs), op_name_scope=name).output[0]
        return made

    one = ctx.make_const(utils.make_name(name), np.array(1, number)).output[0]
    infinity = ctx.make_const(utils.make_name(name), np.array(np.inf, number)).output[0]
    u = make("Add", one, x)
    logarithm, rest = make("Log", u), make("Sub", u, one)
    is_zero, is_infinite = (
        make("Equal", rest, ctx.make_const(utils.make_name(name), np.array(0, number)).output[0]),
        make("Equal", u, infinity),
    )
    exact = make("Mul", x, make("Div", logarithm, make("Where", is_zero, one, rest)))
    finite = make("Where", is_infinite, logarithm, exact)
    ctx.make_node("Where", [is_zero, x, finite], name=name, outputs=[out], dtypes=[dtype], shapes=[shape])


def _hash_bucket(ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """Of one bucket it is 0, as for the one word out of a vocabulary; others are refused before."""
    (text,) = node.input
    (out,) = node.output
    shape = ctx.get_shape(out)
    ctx.remove_node(name)
    sizes = ctx.make_node("Shape", [text], op_name_scope=name).output[0]
    zero = utils.make_name(name)
    value = ctx.make_const(zero, np.array(0, np.int64)).output[0]
    ctx.make_node("Expand", [value, sizes], name=name, outputs=[out], dtypes=[TensorProto.INT64], shapes=[shape])


def _lookup(tables: Tables, ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """A table is a LabelEncoder; tf2onnx itself knows tables of strings and int64 only."""
    table = node.inputs[0]
    while table.type == "Identity":
        table = table.inputs[0]
    keys, values = tables[table.get_attr_value("shared_name")]
    if not node.inputs[2].is_const():
        raise ValueError("LookupTableFindV2: a default value that is computed")
    default = node.inputs[2].get_tensor_value(as_list=False)
    (out,), words = node.output, node.input[1]
    dtype, key_dtype, shape = ctx.get_dtype(out), ctx.get_dtype(words), ctx.get_shape(words)
    inner, key_inner = _WIDER.get(dtype, dtype), _WIDER.get(key_dtype, key_dtype)
    if (
        inner not in _LISTS
        or key_inner not in _LISTS
        or key_inner == TensorProto.FLOAT
        or values.ndim != 1
        or not len(keys)
    ):
        raise ValueError(
            f"LookupTableFindV2: a table of {len(keys)} keys {keys.dtype} and values {values.dtype} of shape {list(values.shape[1:])}; "
            "ONNX has those of strings, int64 and float"
        )
    ctx.remove_node(name)
    if key_inner != key_dtype:
        words = ctx.make_node("Cast", [words], attr={"to": key_inner}, op_name_scope=name).output[0]
    attributes = {
        f"keys_{_LISTS[key_inner]}": keys.tolist(),
        f"values_{_LISTS[inner]}": values.tolist(),
        {"strings": "default_string", "int64s": "default_int64", "floats": "default_float"}[
            _LISTS[inner]
        ]: default.item(),
    }
    found = ctx.make_node(
        "LabelEncoder",
        [words],
        domain=constants.AI_ONNX_ML_DOMAIN,
        attr=attributes,
        op_name_scope=name,
        shapes=[shape],
        dtypes=[inner],
    ).output[0]
    last = {"attr": {"to": dtype}} if inner != dtype else {}
    ctx.make_node(
        "Cast" if last else "Identity", [found], name=name, outputs=[out], dtypes=[dtype], shapes=[shape], **last
    )
