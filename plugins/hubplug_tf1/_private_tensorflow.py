"""Every private name of TensorFlow that this plugin uses, each with the reason why no public one does.

What a new TensorFlow release can break without notice is here and nowhere else. The generated classes of protos that
TensorFlow writes to disk (``tensorflow.core``) are stable as formats; most have no public alias.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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


def save_slice_spec(variable: Any) -> str:
    """Which part of a partitioned variable this one is, in SaveV2's notation; empty for a variable that is not partitioned.

    ``tf.Variable.SaveSliceInfo`` is public, the way from a variable to its own is not.
    """
    info = variable._get_save_slice_info()
    return info.spec if info is not None else ""


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


def is_plain(graph: Any) -> bool:
    """Whether ops that are made in a graph get exactly what they are made with, a device aside.

    Nothing public tells whether there are control dependencies, a control-flow context, colocation, or overrides of
    attributes, kernels, gradients or containers in effect; those reach imported ops in another order.
    """
    return not (
        hasattr(graph, "capture")
        or graph._get_control_flow_context() is not None
        or graph._current_control_dependencies()
        or any(True for _ in graph._colocation_stack.peek_objs())
        or graph._attr_scope_map
        or graph._op_to_kernel_label_map
        or graph._gradient_override_map
        or graph._container
    )


@contextmanager
def making_ops(graph: Any) -> Iterator[Callable[[Any, list[Any], list[Any]], Any]]:
    """Yields a function that makes an op of a NodeDef in a graph that ``is_plain``.

    It takes a NodeDef with its absolute name and all but its inputs, the input tensors, and the ops of its control
    inputs. As with an import, the devices around are not asked about an op that is colocated with another one.

    The public ``tf.Graph.create_op`` gives the same ops and takes three times as long: it takes the NodeDef apart and
    makes it anew, and asks each time what ``is_plain`` has answered for all of them.

    No session runs in the graph meanwhile, as with an import.
    """
    has_device_functions = bool(graph._device_function_stack.peek_objs())
    gradient_functions = graph._gradient_function_map

    def make(node: Any, inputs: list[Any], controls: list[Any]) -> Any:
        graph.unique_name(node.name)
        operation = tf.Operation.from_node_def(node, graph, inputs=inputs, control_inputs=controls)
        operation._gradient_function = gradient_functions.get(node.op)
        if _is_colocated(node):
            return operation
        if node.device:
            operation._set_device("")
            with graph.device(node.device):
                graph._apply_device_functions(operation)
        elif has_device_functions:
            graph._apply_device_functions(operation)
        return operation

    graph._check_not_finalized()
    with graph._mutation_lock():
        yield make


def _is_colocated(node: Any) -> bool:
    if "_class" not in node.attr:
        return False
    own = f"loc:@{node.name}".encode()
    return any(value.startswith(b"loc:@") and value != own for value in node.attr["_class"].list.s)


def place_with(graph: Any, operation: Any, others: Sequence[str]) -> None:
    """Gives an op the device of the first of some others that has one, or none.

    What an import does to an op that is colocated with others. The device of an op can be set only while it is made, and
    what it is colocated with may be made after it.
    """
    if not others:
        return
    operation._set_device(next((device for name in others if (device := _device_of(graph, name))), ""))


def _device_of(graph: Any, name: str) -> str:
    try:
        return str(graph.get_operation_by_name(name).device)
    except KeyError:
        return ""
