"""Inputs and outputs of signatures: ``TensorInfo`` protos <-> tensors, and the description that programs get of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tensorflow.compat.v1 import TensorInfo

from hubplug import types
from hubplug_tf1._private_tensorflow.type_specs import decode_type_spec, encode_type_spec

_SPARSE = "coo_sparse"
_COMPOSITE = "composite_tensor"


class ParsedTensorInfo:
    """What a signature says of one input or output.

    Attributes:
        type_spec: The ``tf.TypeSpec`` of its values: a TensorSpec, SparseTensorSpec or RaggedTensorSpec.
        tensor_names: The tensors of the module's graph that carry it, in the order of
            ``tf.nest.flatten(value, expand_composites=True)``; empty for a description without a graph.
    """

    def __init__(self, type_spec: tf.TypeSpec, tensor_names: tuple[str, ...] = ()) -> None:
        self.type_spec = type_spec
        self.tensor_names = tensor_names

    @classmethod
    def from_type_spec(cls, type_spec: tf.TypeSpec) -> ParsedTensorInfo:
        """The description of values of a type."""
        return cls(type_spec)

    @property
    def dtype(self) -> tf.DType:
        """The ``tf.DType`` of its elements."""
        return self.type_spec.dtype

    def get_shape(self) -> tf.TensorShape:
        """Its static shape: that of the dense equivalent of a sparse or ragged tensor."""
        return self.type_spec.shape

    @property
    def is_sparse(self) -> bool:
        """Whether its values are SparseTensors."""
        return isinstance(self.type_spec, tf.SparseTensorSpec)

    @property
    def is_composite(self) -> bool:
        """Whether its values are made of several tensors: SparseTensors and RaggedTensors."""
        return not isinstance(self.type_spec, tf.TensorSpec)

    @property
    def is_supported_type(self) -> bool:
        """Whether a signature can be applied to its values."""
        return isinstance(self.type_spec, (tf.TensorSpec, tf.SparseTensorSpec, tf.RaggedTensorSpec))

    def __repr__(self) -> str:
        if self.is_composite and not self.is_sparse:
            return f"<hub.ParsedTensorInfo type_spec={self.type_spec}>"
        shape = self.get_shape()
        return f"<hub.ParsedTensorInfo shape={shape} dtype={self.dtype.name} is_sparse={self.is_sparse}>"


def parse_tensor_info_map(infos: Mapping[str, Any]) -> dict[str, ParsedTensorInfo]:
    """The descriptions in a map of ``TensorInfo`` protos, by key in sorted order."""
    return {key: parse_tensor_info(infos[key]) for key in sorted(infos)}


def parse_tensor_info(info: Any) -> ParsedTensorInfo:
    """The description that a ``TensorInfo`` proto gives."""
    kind = info.WhichOneof("encoding")
    if kind == _COMPOSITE:
        names = tuple(component.name for component in info.composite_tensor.components)
        return ParsedTensorInfo(decode_type_spec(info), names)
    dtype = tf.as_dtype(info.dtype)
    shape = tf.TensorShape(info.tensor_shape)
    if kind == _SPARSE:
        sparse = info.coo_sparse
        names = (sparse.indices_tensor_name, sparse.values_tensor_name, sparse.dense_shape_tensor_name)
        return ParsedTensorInfo(tf.SparseTensorSpec(shape, dtype), names)
    return ParsedTensorInfo(tf.TensorSpec(shape, dtype), (info.name,))


def describe_tensor(info: types.TensorInfo) -> ParsedTensorInfo:
    """The same description of an input or output that a format describes without TensorFlow."""
    dtype, shape = tf.as_dtype(info.dtype), tf.TensorShape(info.shape)
    kinds = {"dense": tf.TensorSpec, "sparse": tf.SparseTensorSpec, "composite": tf.RaggedTensorSpec}
    return ParsedTensorInfo(kinds[info.kind](shape, dtype), tuple(info.names.values()))


def build_tensor_info(value: Any) -> TensorInfo:
    """The ``TensorInfo`` proto of a symbolic Tensor, SparseTensor or RaggedTensor."""
    if isinstance(value, tf.SparseTensor):
        info = TensorInfo(dtype=value.dtype.as_datatype_enum, tensor_shape=value.shape.as_proto())
        info.coo_sparse.values_tensor_name = value.values.name
        info.coo_sparse.indices_tensor_name = value.indices.name
        info.coo_sparse.dense_shape_tensor_name = value.dense_shape.name
        return info
    if isinstance(value, tf.RaggedTensor):
        info = TensorInfo()
        info.composite_tensor.type_spec.CopyFrom(encode_type_spec(value))
        info.composite_tensor.components.extend(
            build_tensor_info(component) for component in tf.nest.flatten(value, expand_composites=True)
        )
        return info
    return TensorInfo(name=value.name, dtype=value.dtype.as_datatype_enum, tensor_shape=value.shape.as_proto())


def is_symbolic_value(value: Any) -> bool:
    """Whether a signature can have this as an input or output: eager tensors have no name in a graph."""
    if not isinstance(value, (tf.Tensor, tf.SparseTensor, tf.RaggedTensor)):
        return False
    return all(tf.is_symbolic_tensor(tensor) for tensor in tf.nest.flatten(value, expand_composites=True))
