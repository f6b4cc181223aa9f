"""Every private name of TensorFlow that this plugin uses, each with the reason why no public one does.

What a new TensorFlow release can break without notice is here and nowhere else. The generated classes of protos that
TensorFlow writes to disk (``tensorflow.core``) are stable as formats; most have no public alias.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import tensorflow as tf
from tensorflow.core.framework.op_def_pb2 import OpDef, OpList  # noqa: F401
from tensorflow.core.framework.variable_pb2 import VariableDef  # noqa: F401
from tensorflow.core.protobuf.control_flow_pb2 import CondContextDef, WhileContextDef  # noqa: F401
from tensorflow.core.protobuf.meta_graph_pb2 import AssetFileDef  # noqa: F401
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel  # noqa: F401


def registered_op_def(op_type: str) -> OpDef | None:
    """The OpDef under which this process knows an op, or None.

    Public TensorFlow shows an OpDef only on an ``Operation`` that exists already; whether a graph can be imported, and
    which of its ops hold state, must be known before. The lookup goes through to the C++ registry, so ops of libraries
    that were loaded a moment ago are found.
    """
    from tensorflow.python.framework import op_def_registry

    definition: Any = op_def_registry.get(op_type)
    return definition


def encode_type_spec(type_spec: Any) -> Any:
    """The TypeSpecProto of a TypeSpec.

    Public TensorFlow writes it only as part of ``tf.compat.v1.saved_model.build_tensor_info``, which warns at every call
    that it is deprecated.
    """
    from tensorflow.python.saved_model import nested_structure_coder

    return nested_structure_coder.encode_structure(type_spec).type_spec_value


def decode_type_spec(proto: Any) -> Any:
    """The TypeSpec of a TypeSpecProto.

    Public TensorFlow reads one only together with a graph that has the tensors.
    """
    from tensorflow.core.protobuf import struct_pb2
    from tensorflow.python.saved_model import nested_structure_coder

    return nested_structure_coder.decode_proto(struct_pb2.StructuredValue(type_spec_value=proto))


def save_slice(variable: Any) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Which part of a partitioned variable this one is: the shape of the whole and its offset; None for a whole one.

    ``tf.Variable.SaveSliceInfo`` is public, the way from a variable to its own is not.
    """
    info = variable._get_save_slice_info()
    return None if info is None else (tuple(map(int, info.full_shape)), tuple(map(int, info.var_offset)))


def import_beside_existing_ops(graph_def: Any, input_map: Mapping[str, Any]) -> None:
    """Imports a GraphDef whose ops may be colocated with ops that the current graph has already.

    ``tf.import_graph_def`` refuses a constraint on an op that is not in the GraphDef itself.
    """
    from tensorflow.python.framework import importer

    importer._import_graph_def_internal(
        graph_def, input_map=dict(input_map), validate_colocation_constraints=False, name=""
    )


def dense_feature_column() -> type[Any]:
    """A class that is a dense feature column of both generations.

    ``input_layer`` and ``DenseFeatures`` are public and insist on instances of these classes, which are not. A release
    of TensorFlow may have lost one of the generations: the other one stays usable.
    """
    bases: list[type[Any]] = []
    try:
        from tensorflow.python.feature_column.feature_column import _DenseColumn

        bases.append(_DenseColumn)
    except ImportError:
        pass
    try:
        from tensorflow.python.feature_column.feature_column_v2 import DenseColumn

        bases.append(DenseColumn)
    except ImportError:
        pass
    return types.new_class("DenseFeatureColumn", tuple(bases))


def operations_of(graph: Any) -> Sequence[Any]:
    """The ops of a graph in the order in which they were made; not to be changed.

    The public ``get_operations`` copies the list, which takes the longer the larger the graph is.
    """
    operations: Sequence[Any] = graph.operations
    return operations


def takes_single_ops(graph: Any, inputs: Iterable[Any]) -> bool:
    """Whether ops that ``making_ops`` makes in a graph, from these input tensors, come out as an import makes them.

    Nothing public tells whether there is colocation or a control-flow context in effect, which reach imported ops all at
    once. A function's graph orders what has effects by when it was made. An input inside a loop is an error, which the
    import explains.
    """
    return (
        not hasattr(graph, "capture")
        and not is_in_control_flow(graph)
        and not any(True for _ in graph._colocation_stack.peek_objs())
        and all(tensor.op._get_control_flow_context() is None for tensor in inputs)
    )


def is_taped() -> bool:
    """Whether a ``tf.GradientTape`` may be recording.

    Public TensorFlow puts something on all tapes only by ``tf.custom_gradient``, which adds ops to the graph.
    """
    from tensorflow.python.eager import record

    return bool(record.could_possibly_record())


def are_watched(tensors: Sequence[Any]) -> bool:
    """Whether a recording tape watches any of these tensors, or what they depend on."""
    from tensorflow.python.eager import record

    return bool(record.should_record_backprop(tensors))


def is_in_control_flow(graph: Any) -> bool:
    """Whether new ops of a graph go into a loop or condition of TensorFlow 1."""
    return graph._get_control_flow_context() is not None


def put_on_tapes(op: str, outputs: Sequence[Any], inputs: Sequence[Any], backward: Callable[..., Any]) -> None:
    """Records on all tapes how some tensors depend on others; ``backward`` goes from their gradients to those of the inputs."""
    from tensorflow.python.eager import record

    record.record_operation(op, outputs, inputs, backward)


def tapes_paused() -> AbstractContextManager[None]:
    """Within it no tape records; only a single tape can be paused by public means."""
    from tensorflow.python.eager import record

    paused: AbstractContextManager[None] = record.stop_recording()
    return paused


def tell_of_access(variable: Any) -> None:
    """What reading a variable does for tapes and function graphs, without an op that reads it."""
    from tensorflow.python.ops import resource_variable_ops

    resource_variable_ops.variable_accessed(variable)


MakeOp = Callable[
    [str, str, Sequence[Any], Iterable[Any], Iterable[tuple[str, Any]], str, Sequence[str]],
    Any,
]


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
