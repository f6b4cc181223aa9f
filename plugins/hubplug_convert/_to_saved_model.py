"""Modules in TF1 Hub format as TF2 SavedModels in the reusable interface: called, fine-tuned and served.

The interface: https://www.tensorflow.org/hub/reusable_saved_models
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import hubplug
from hubplug.errors import ExportError
from hubplug_convert._comparing import compare
from hubplug_convert._contract import Ragged, Request, Runner, Sparse
from hubplug_convert._graph_runner import module_spec, sum_of
from hubplug_convert._values import pack, unpack

_DEFAULT, _SERVING = "default", "serving_default"
_SPARSE_PARTS = ("indices", "values", "dense_shape")


class ModuleToSavedModel:
    """The variables, assets and tables of a module, with a function for each signature."""

    def convert(self, request: Request, dest: Path) -> Sequence[str]:
        spec = module_spec(request)
        loaded: Any = spec.load_object(request.tags or None, None)
        ports = {name: Ports(spec, request, name) for name in request.signatures}
        signatures = {name: _serving_function(loaded, port) for name, port in ports.items()}
        notes = []
        called = _called(request.signatures)
        if called is None:
            notes.append("There is no signature 'default', so the result cannot be called; it has signatures.")
        elif _SERVING not in signatures:
            signatures[_SERVING] = signatures[called]
        notes += [
            f"The inputs of signature {name!r} are called {', '.join(port.renamed)} in the SavedModel's signature."
            for name, port in ports.items()
            if port.renamed
        ]
        model = _reusable(loaded, ports[called] if called else None)
        tf.saved_model.save(model, str(dest), signatures=signatures)
        return notes

    def open(self, request: Request, result: Path) -> Runner:
        return ReusableRunner(request, result)


def _reusable(loaded: Any, ports: Ports | None) -> Any:
    """An object with the reusable interface, to be saved."""
    model = tf.compat.v2.__internal__.tracking.AutoTrackable()
    # Its tables and assets are saved with it.
    model.module = loaded
    model.variables = list(loaded.variables)
    model.trainable_variables = list(loaded.trainable_variables)
    model.regularization_losses = list(loaded.regularization_losses)
    if ports is not None:
        call = _call_function(loaded, ports)
        model.__call__ = call
        # What a TFSMLayer of Keras calls, in inference and with call_training_endpoint="train".
        model.serve = _with_training(call, ports, False)
        model.train = _with_training(call, ports, True)
    return model


def _call_function(loaded: Any, ports: Ports) -> Any:
    """``model(inputs, training=False)``: the output ``default``, or a dict where there is none of that name."""

    def call(inputs: Any = None, training: bool = False) -> Any:
        outputs = loaded(inputs, training=training, signature=ports.name, as_dict=True)
        return outputs.get(_DEFAULT, outputs)

    function = tf.function(call, autograph=False)
    for given in ports.structures():
        for training in (False, True):
            function.get_concrete_function(given, training=training)
    return function


def _with_training(call: Any, ports: Ports, training: bool) -> Any:
    def endpoint(inputs: Any = None) -> Any:
        return call(inputs, training=training)

    function = tf.function(endpoint, autograph=False)
    for given in ports.structures():
        function.get_concrete_function(given)
    return function


def _serving_function(loaded: Any, ports: Ports) -> Any:
    """A signature as servers call it: tensors by name in, tensors by name out."""

    def call(**arguments: Any) -> dict[str, Any]:
        return ports.unpacked(loaded(ports.packed(arguments), signature=ports.name, as_dict=True))

    return tf.function(call, autograph=False).get_concrete_function(**{spec.name: spec for spec in ports.specs()})


class Ports:
    """The inputs and outputs of a signature, in the module and in the SavedModel's signature, which has plain tensors only."""

    def __init__(self, spec: hubplug.ModuleSpec, request: Request, name: str) -> None:
        self.name = name
        self.inputs = spec.get_input_info_dict(name, request.tags)
        self.outputs = spec.get_output_info_dict(name, request.tags)
        self._arguments: dict[str, list[str]] = {}
        taken: set[str] = set()
        for key, info in self.inputs.items():
            self._arguments[key] = []
            for part in _part_names(key, info.type_spec):
                argument = _unused(_argument_name(part), taken)
                taken.add(argument)
                self._arguments[key].append(argument)

    @property
    def renamed(self) -> list[str]:
        """What of the inputs is called otherwise: ``x instead of $x``."""
        return [
            f"{', '.join(arguments)} instead of {key}"
            for key, arguments in self._arguments.items()
            if arguments != [key]
        ]

    def specs(self) -> list[tf.TensorSpec]:
        """Of the arguments, in order."""
        return [
            tf.TensorSpec(part.shape, part.dtype, argument)
            for key, info in self.inputs.items()
            for part, argument in zip(_parts(info.type_spec), self._arguments[key], strict=True)
        ]

    def structures(self) -> list[Any]:
        """Of the inputs of a call: a dict; where there is one input, that one by itself; nothing where there is none."""
        specs = {key: info.type_spec for key, info in self.inputs.items()}
        return [specs, *specs.values()] if len(specs) == 1 else [specs or None]

    def packed(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the SavedModel's signature as inputs of the module."""
        return {
            key: tf.nest.pack_sequence_as(
                info.type_spec, [arguments[name] for name in self._arguments[key]], expand_composites=True
            )
            for key, info in self.inputs.items()
        }

    def unpacked(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs of the module as outputs of the SavedModel's signature."""
        return {
            name: part
            for key, value in outputs.items()
            for name, part in zip(
                _part_names(key, self.outputs[key].type_spec),
                tf.nest.flatten(value, expand_composites=True),
                strict=True,
            )
        }

    def fed(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Generated inputs as arguments of the SavedModel's signature, by name."""
        tensors = self.as_tensors(inputs)
        return {
            argument: part
            for key, arguments in self._arguments.items()
            for argument, part in zip(arguments, tf.nest.flatten(tensors[key], expand_composites=True), strict=True)
        }

    def as_tensors(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Generated inputs as tensors."""
        return {key: _as_tensor(inputs[key], info.type_spec) for key, info in self.inputs.items()}

    def fetched(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs of the SavedModel's signature by their names in the module."""
        return {
            key: _as_value(
                tf.nest.pack_sequence_as(
                    info.type_spec,
                    [outputs[name] for name in _part_names(key, info.type_spec)],
                    expand_composites=True,
                )
            )
            for key, info in self.outputs.items()
        }


class ReusableRunner:
    """A converted module: its signatures, and what a call of it gives."""

    def __init__(self, request: Request, result: Path) -> None:
        spec = module_spec(request)
        self._model: Any = tf.compat.v2.saved_model.load(str(result))
        self._ports = {name: Ports(spec, request, name) for name in request.signatures}
        self._called = _called(request.signatures)

    def run(self, signature: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        ports = self._ports[signature]
        outputs = ports.fetched(self._model.signatures[signature](**ports.fed(inputs)))
        if signature == self._called:
            self._demand_same_of_call(ports, inputs, outputs)
        return outputs

    def gradients(self, signature: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        ports = self._ports[signature]
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            # A call gives one of several outputs, if that is named so.
            if signature == self._called and (len(ports.outputs) == 1 or _DEFAULT not in ports.outputs):
                outputs = self._model(ports.as_tensors(inputs), training=False)
                values = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
            else:
                values = list(self._model.signatures[signature](**ports.fed(inputs)).values())
            total = sum_of(values)
        found = tape.gradient(total, variables)
        return {
            variable.name.partition("/")[2].partition(":")[0]: tf.compat.v2.convert_to_tensor(gradient).numpy()
            for variable, gradient in zip(variables, found, strict=True)
            if gradient is not None
        }

    def _demand_same_of_call(self, ports: Ports, inputs: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
        given: Any = ports.as_tensors(inputs)
        for arguments in [given, *given.values()] if len(given) == 1 else [given if given else None]:
            got = self._model(arguments, training=False)
            by_name = got if isinstance(got, dict) else {_DEFAULT: got}
            for key, value in by_name.items():
                found = compare(unpack(pack(expected[key])), unpack(pack(_as_value(value))))
                if found.said is not None:
                    raise ExportError(f"a call gives another output {key!r} than the signature: it {found.said}")


def _called(signatures: Sequence[str]) -> str | None:
    """The signature that a call of the result applies."""
    return _DEFAULT if _DEFAULT in signatures else signatures[0] if len(signatures) == 1 else None


def _part_names(key: str, spec: Any) -> Iterator[str]:
    """What ``tf.saved_model.load`` calls the tensors of an input in TF1 Hub format."""
    if isinstance(spec, tf.TensorSpec):
        yield key
    elif isinstance(spec, tf.SparseTensorSpec):
        yield from (f"{key}_{part}" for part in _SPARSE_PARTS)
    else:
        yield from (f"{key}_component_{position}" for position, _ in enumerate(_parts(spec)))


def _parts(spec: Any) -> list[tf.TensorSpec]:
    found: list[tf.TensorSpec] = tf.nest.flatten(spec, expand_composites=True)
    return found


def _argument_name(key: str) -> str:
    name = re.sub(r"\W", "_", key, flags=re.ASCII)
    return name if re.match(r"[A-Za-z]", name) else f"arg_{name}"


def _unused(name: str, taken: set[str]) -> str:
    number, found = 0, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def _as_tensor(value: Any, spec: Any) -> Any:
    if isinstance(value, Sparse):
        return tf.SparseTensor(value.indices, tf.compat.v2.constant(value.values, spec.dtype), value.dense_shape)
    if isinstance(value, Ragged):
        splits = []
        while isinstance(value, Ragged):
            splits.append(tf.compat.v2.constant(value.row_splits, spec.row_splits_dtype))
            value = value.values
        return tf.RaggedTensor.from_nested_row_splits(tf.compat.v2.constant(value, spec.dtype), splits, validate=False)
    return tf.compat.v2.constant(value, spec.dtype)


def _as_value(value: Any) -> Any:
    if isinstance(value, tf.SparseTensor):
        return Sparse(value.indices.numpy(), value.values.numpy(), value.dense_shape.numpy())
    if isinstance(value, tf.RaggedTensor):
        return Ragged(_as_value(value.values), value.row_splits.numpy())
    return np.asarray(value.numpy())
