"""Making ops one at a time, for a part of the price of the public ``tf.Graph.create_op``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import tensorflow as tf

from hubplug.shown.logs import logger

_LOG = logger(__name__)

MakeOp = Callable[
    [str, str, Sequence[Any], Iterable[Any], Iterable[tuple[str, Any]], str, Sequence[str]],
    Any,
]


def takes_single_ops(graph: Any, inputs: Iterable[Any]) -> bool:
    """Whether ops that ``making_ops`` makes in a graph, from these input tensors, come out as an import makes them.

    Nothing public tells whether there is colocation or a control-flow context in effect, which reach imported ops all at
    once. A function's graph orders what has effects by when it was made. An input inside a loop is an error, which the
    import explains.
    """
    return not hasattr(graph, "capture") and _are_made_well() and _is_plain(graph, inputs)


def _is_plain(graph: Any, inputs: Iterable[Any]) -> bool:
    return (
        graph._get_control_flow_context() is None
        and not any(True for _ in graph._colocation_stack.peek_objs())
        and all(tensor.op._get_control_flow_context() is None for tensor in inputs)
    )


@cache
def _are_made_well() -> bool:
    """Whether this TensorFlow has every name used here, found out by making ops in a graph of their own."""
    try:
        with tf.Graph().as_default() as graph:
            value = tf.compat.v2.constant(1.0)
            kind = ("T", value.op.node_def.attr["dtype"])
            count = ("N", tf.compat.v1.AttrValue(i=2))
            with graph.control_dependencies([value.op]), graph.device("/job:a"), making_ops(graph) as make:
                made = [
                    make("AddN", "add", [[value, value]], [value.op], [kind, count], "/device:CPU:1", ()),
                    make("Relu", "relu", [value], [], [kind], "", ()),
                    make("NoOp", "none", [], [], [], "", ["add"]),
                ]
            graph._add_new_tf_operations(compute_devices=False)  # used after an interrupt only
            plain = _is_plain(graph, [value])
        return plain and [op.device for op in made] == ["/job:a/device:CPU:1", "/job:a", "/job:a/device:CPU:1"]
    except Exception as error:  # whatever a name does that means something else by now
        _LOG.info("TensorFlow %s cannot make single ops, so modules are imported: %s", tf.__version__, error)
        return False


@contextmanager
def making_ops(graph: Any) -> Iterator[MakeOp]:
    """Yields a function that makes an op in a graph that ``takes_single_ops``.

    It takes

    - the type of the op and its absolute name,
    - its inputs in the order of the OpDef: a tensor, or for an argument that is a list, a list of tensors,
    - the ops of its control inputs,
    - names and AttrValues of its attributes, as far as they are not at their defaults,
    - the device that it asks for, or ``""``,
    - the names of the ops that it is colocated with: it gets the device of the first of them that has one, instead of
      what it asks for and what is in effect around.

    The C functions are those behind ``tf.Graph.create_op``, and what follows is what follows an import, in its order: all
    ops, then control dependencies, then devices. The public ``create_op`` gives the same ops and takes six times as long:
    it takes a NodeDef apart and makes it anew, looks up the OpDef, and takes a stack trace for each op.

    No session runs in the graph meanwhile, as with an import.
    """
    from tensorflow.python.client import pywrap_tf_session as c_api
    from tensorflow.python.util import tf_stack

    stack = tf_stack.extract_stack()
    made: list[tuple[Any, str, Sequence[str]]] = []

    def make(
        op_type: str,
        name: str,
        inputs: Sequence[Any],
        controls: Iterable[Any],
        attributes: Iterable[tuple[str, Any]],
        device: str,
        colocated: Sequence[str],
    ) -> Any:
        with graph._c_graph.get() as c_graph:
            description = c_api.TF_NewOperation(c_graph, op_type, name)
        for argument in inputs:
            if isinstance(argument, list):
                c_api.TF_AddInputList(description, [tensor._as_tf_output() for tensor in argument])
            else:
                c_api.TF_AddInput(description, argument._as_tf_output())
        for control in controls:
            c_api.TF_AddControlInput(description, control._c_op)
        for attribute, value in attributes:
            c_api.TF_SetAttrValueProto(description, attribute, value.SerializeToString())
        try:
            c_op = c_api.TF_FinishOperation(description)
        except tf.errors.InvalidArgumentError as error:
            # As an import and the ops of TensorFlow do.
            raise ValueError(error.message) from None
        c_api.TF_SetOpStackTrace(c_op, stack)
        operation = graph._create_op_from_tf_operation(c_op, compute_device=False)
        made.append((operation, device, colocated))
        return operation

    graph._check_not_finalized()
    with graph._mutation_lock():
        try:
            yield make
        except BaseException:
            # An interrupt between the two may have left an op that Python does not know; gradients would fail on it.
            graph._add_new_tf_operations(compute_devices=False)
            raise
        if graph._current_control_dependencies():
            for operation, _, _ in made:
                operation._add_control_inputs(graph._control_dependencies_for_inputs(operation.inputs))
        _place(graph, made)


def _place(graph: Any, made: Iterable[tuple[Any, str, Sequence[str]]]) -> None:
    has_device_functions = any(True for _ in graph._device_function_stack.peek_objs())
    elsewhere = []
    for operation, device, colocated in made:
        if colocated:
            elsewhere.append((operation, colocated))
        elif device:
            with graph.device(device):
                graph._apply_device_functions(operation)
        elif has_device_functions:
            graph._apply_device_functions(operation)
    for operation, colocated in elsewhere:
        operation._set_device(next((device for name in colocated if (device := _device_of(graph, name))), ""))


def _device_of(graph: Any, name: str) -> str:
    try:
        return str(graph.get_operation_by_name(name).device)
    except KeyError:
        return ""
