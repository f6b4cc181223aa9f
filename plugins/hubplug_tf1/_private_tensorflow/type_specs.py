"""The type of a composite tensor, to and from the proto that is in a signature."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_GONE = (ImportError, AttributeError)


def encode_type_spec(value: Any) -> Any:
    """The TypeSpecProto of the type of a composite tensor.

    Public TensorFlow writes it only as part of ``tf.compat.v1.saved_model.build_tensor_info``, which warns at every call
    that it is deprecated.
    """
    try:
        from tensorflow.python.saved_model import nested_structure_coder

        return nested_structure_coder.encode_structure(tf.type_spec_from_value(value)).type_spec_value
    except _GONE:
        with tf.Graph().as_default():  # not eagerly, whatever is around
            return tf.compat.v1.saved_model.build_tensor_info(value).composite_tensor.type_spec


def decode_type_spec(info: Any) -> Any:
    """The TypeSpec of a composite tensor's TensorInfo.

    Public TensorFlow reads one only together with a graph that has the tensors.
    """
    try:
        from tensorflow.core.protobuf import struct_pb2
        from tensorflow.python.saved_model import nested_structure_coder

        proto = struct_pb2.StructuredValue(type_spec_value=info.composite_tensor.type_spec)
        return nested_structure_coder.decode_proto(proto)
    except _GONE:
        return _decode_in_a_graph(info)


def _decode_in_a_graph(info: Any) -> Any:
    renamed = tf.compat.v1.TensorInfo()
    renamed.CopyFrom(info)
    with tf.Graph().as_default() as graph:
        for component in renamed.composite_tensor.components:
            component.name = tf.compat.v1.placeholder(component.dtype, tf.TensorShape(component.tensor_shape)).name
        return tf.type_spec_from_value(tf.compat.v1.saved_model.get_tensor_from_tensor_info(renamed, graph))
