"""Ops of which this process has no gradient: a module computes with them under a tape, and says so when the gradient is run.

A publisher's ``tf.custom_gradient`` is registered in the publisher's process alone. TensorFlow looks for the gradients of
all ops of a function when the function is called under a tape, whether or not anyone asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from hubplug_tf1._graph.protos import registered_op_def
from hubplug_tf1._private_tensorflow.gradients import has_gradient
from hubplug_tf1._surroundings.autograph import not_converted

_STAND_IN = "HubplugMissingGradient"
_TYPE = "_gradient_op_type"
_MISSING = "_hubplug_missing_gradient"

_FLOATING = frozenset(
    kind.as_datatype_enum for kind in (tf.float16, tf.bfloat16, tf.float32, tf.float64, tf.complex64, tf.complex128)
)

# TensorFlow finds the gradients of calls in the functions that they call, whatever name is registered for them.
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall", "RemoteCall", "SymbolicGradient"})


def mark_missing_gradients(graph_def: Any) -> None:
    """Gives ops without a gradient one that says what is missing, in place."""
    _mark(graph_def.node)
    for function in graph_def.library.function:
        _mark(function.node_def)


def _mark(nodes: Iterable[Any]) -> None:
    for node in nodes:
        if node.op in _CALLS:
            continue
        wanted = node.attr[_TYPE].s.decode("utf-8", "replace") if _TYPE in node.attr else node.op
        if (_TYPE in node.attr or _is_differentiated(node)) and not has_gradient(wanted):
            node.attr[_TYPE].s = _STAND_IN.encode()
            node.attr[_MISSING].s = wanted.encode()


def _is_differentiated(node: Any) -> bool:
    """Whether TensorFlow looks for the gradient of an op: one with floating point outputs."""
    definition = registered_op_def(node.op)
    return definition is not None and any(
        kind in _FLOATING for argument in definition.output_arg for kind in _types(argument, node)
    )


def _types(argument: Any, node: Any) -> Iterable[int]:
    """The dtypes of the tensors of an argument; nodes in functions may leave out attributes that have a default."""
    name = argument.type_list_attr or argument.type_attr
    if not name or name not in node.attr:
        return [argument.type]
    return list(node.attr[name].list.type) if argument.type_list_attr else [node.attr[name].type]


def _register() -> None:
    if not has_gradient(_STAND_IN):
        tf.RegisterGradient(_STAND_IN)(_say_what_is_missing)


@not_converted
def _say_what_is_missing(op: Any, *upstream: Any) -> list[Any]:
    # A SavedModel that is being written asks without an op, with tensors like its inputs.
    what = "" if op is None else f", {op.name} ({op.type})"
    name = "" if op is None else f" {op.get_attr(_MISSING).decode()}"
    # Without quotes, which TensorFlow escapes.
    message = (
        f"An op of the module{what} has a gradient{name} that is not registered in this process: it is the one of its "
        "publisher (tf.custom_gradient), or in a library that is not loaded. hint: train what comes after the module, with "
        "tf.stop_gradient around its outputs"
    )
    inputs = upstream if op is None else op.inputs
    if not any(each.dtype.as_datatype_enum in _FLOATING for each in inputs):
        return [None for _ in inputs]
    with tf.control_dependencies(
        [tf.raw_ops.Assert(condition=tf.compat.v2.constant(False), data=[tf.compat.v2.constant(message)])]
    ):
        return [tf.compat.v2.zeros_like(each) if each.dtype.as_datatype_enum in _FLOATING else None for each in inputs]


_register()
