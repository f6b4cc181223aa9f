"""Sources of TensorFlow 1's formats, applied as TensorFlow 1 does it: in a graph, by a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

import hubplug
from hubplug.errors import ExportError
from hubplug_convert._contract import Ragged, Request, Runner, Sparse

v1 = tf.compat.v1


def open_source(request: Request) -> Runner:
    """The source of a conversion.

    Raises:
        HubplugError: It cannot be loaded.
    """
    return ModuleRunner(request) if request.format == "tf1-hub" else SavedModelRunner(request)


def module_spec(request: Request) -> hubplug.ModuleSpec:
    """The definition of a module in TF1 Hub format, whatever the user's configuration says of handles."""
    return hubplug.Hub({"chain": ["file", "tf1"]}).load_spec(str(request.source))


class ModuleRunner:
    """A module in TF1 Hub format."""

    def __init__(self, request: Request) -> None:
        self._spec = module_spec(request)
        self._tags = request.tags
        self._function = hubplug.EvalFunction(self._spec, self._tags)

    def run(self, signature: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        fed = {key: as_tensorflow_value(value) for key, value in inputs.items()}
        outputs: Mapping[str, Any] = self._function(fed, signature=signature, as_dict=True)
        infos = self._spec.get_output_info_dict(signature, self._tags)
        _demand_declared_shapes({key: infos[key].get_shape() for key in outputs}, outputs)
        return outputs

    def gradients(self, signature: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Gradients of the sum of all outputs that are real numbers, by trainable variable that has one."""
        with tf.Graph().as_default():
            module = hubplug.Module(self._spec, trainable=True, tags=self._tags)
            fed = {key: as_tensorflow_value(value) for key, value in inputs.items()}
            outputs = module(fed, signature=signature, as_dict=True)
            trainable, total = v1.trainable_variables(), sum_of(outputs.values())
            if total is None or not trainable:
                return {}
            found = tf.compat.v2.gradients(total, trainable)
            there = {
                variable.op.name.partition("/")[2]: tf.compat.v2.convert_to_tensor(gradient)
                for variable, gradient in zip(trainable, found, strict=True)
                if gradient is not None
            }
            with v1.Session() as session:
                session.run([v1.global_variables_initializer(), v1.tables_initializer()])
                values: Mapping[str, Any] = session.run(there)
                return values


class SavedModelRunner:
    """A TF1 SavedModel."""

    def __init__(self, request: Request) -> None:
        graph = tf.Graph()
        self._session = v1.Session(graph=graph)
        with graph.as_default():
            meta_graph = v1.saved_model.loader.load(self._session, sorted(request.tags), str(request.source))
        self._signatures = meta_graph.signature_def

    def run(self, signature: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        definition = self._signatures[signature]
        feeds: dict[str, Any] = {}
        for key, info in definition.inputs.items():
            parts = info.coo_sparse
            if isinstance(inputs[key], Sparse):
                feeds[parts.indices_tensor_name] = inputs[key].indices
                feeds[parts.values_tensor_name] = inputs[key].values
                feeds[parts.dense_shape_tensor_name] = inputs[key].dense_shape
            else:
                feeds[info.name] = inputs[key]
        fetches = {key: _fetched(info) for key, info in definition.outputs.items()}
        outputs: Mapping[str, Any] = self._session.run(fetches, feeds)
        shapes = {key: tf.TensorShape(info.tensor_shape) for key, info in definition.outputs.items()}
        _demand_declared_shapes(shapes, outputs)
        return outputs


def _demand_declared_shapes(shapes: Mapping[str, tf.TensorShape], outputs: Mapping[str, Any]) -> None:
    """TensorFlow's convolutions of an empty batch have the channels of the input where oneDNN computes them."""
    for key, value in outputs.items():
        if isinstance(value, np.ndarray) and not value.size and not shapes[key].is_compatible_with(np.shape(value)):
            raise ExportError(
                f"output {key!r} has the shape {list(np.shape(value))}, and {shapes[key]} in the signature: TensorFlow is wrong here"
            )


def as_tensorflow_value(value: Any) -> Any:
    """A value as sessions take it."""
    if isinstance(value, Sparse):
        return v1.SparseTensorValue(value.indices, value.values, value.dense_shape)
    if isinstance(value, Ragged):
        return v1.ragged.RaggedTensorValue(as_tensorflow_value(value.values), value.row_splits)
    return value


def sum_of(outputs: Any) -> Any:
    """The sum of all floats in outputs, to take the gradient of; None where there are none."""
    flat = [each for output in outputs for each in tf.nest.flatten(output, expand_composites=True)]
    floats = [tf.cast(tf.compat.v2.reduce_sum(each), tf.float32) for each in flat if each.dtype.is_floating]
    return tf.add_n(floats) if floats else None


def _fetched(info: Any) -> Any:
    if info.WhichOneof("encoding") == "coo_sparse":
        parts = info.coo_sparse
        return v1.SparseTensorValue(parts.indices_tensor_name, parts.values_tensor_name, parts.dense_shape_tensor_name)
    return info.name
