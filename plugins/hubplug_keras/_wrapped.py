"""The object that a layer wraps: how it is come by, and how it is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

import hubplug
from hubplug_keras._errors import LayerError
from hubplug_keras._options import Options, find_options_error, find_signature_error


def wrap(options: Options) -> Wrapped:
    """Loads what a layer wraps.

    Raises:
        LayerError: The arguments do not fit each other, or not the object.
        HubplugError: The handle cannot be loaded.
    """
    if error := find_options_error(options):
        raise LayerError(error, hint="give them with a handle that is text, or load the object with them yourself")
    loaded = options.handle
    if not options.is_loaded_already:
        loaded = hubplug.load(loaded, tags=options.tags, options=options.load_options)
    is_module = isinstance(loaded, hubplug.Module)
    if is_module or getattr(loaded, "_is_hub_module_v1", False):
        options = options.in_tf1_hub_format()
    if is_module:
        names = loaded.get_signature_names()
    else:
        signatures = getattr(loaded, "signatures", None)
        names = None if signatures is None else list(signatures)
    of = options.handle if isinstance(options.handle, str) else type(options.handle).__name__
    if error := find_signature_error(options, of, names):
        raise LayerError(error)
    if options.signature is None:
        if not callable(loaded):
            raise LayerError(
                f"{of} cannot be called, and no signature was given",
                hint=f"give signature=..., one of {sorted(names or ())}, and output_key=... or "
                "signature_outputs_as_dict=True",
            )
        return Wrapped(loaded, options)
    return (AppliedModule if callable(loaded) and (is_module or loaded._is_hub_module_v1) else OneSignature)(
        loaded, options
    )


class Wrapped:
    """A callable object, such as a TF2 SavedModel in the reusable interface.

    Attributes:
        loaded: The object.
        options: The arguments of the layer, with the defaults of the object's format.
        variables: Those of the object that hold numbers.
        trainable: The ones of them that are trained where the layer is trainable.
        losses: Functions without arguments that give the regularization losses.
        dtypes: That of the input, or those of several by name; None where they are not known.
    """

    def __init__(self, loaded: Any, options: Options) -> None:
        self.loaded = loaded
        self.options = options
        self.variables = [variable for variable in _flat(getattr(loaded, "variables", ())) if _holds_numbers(variable)]
        trained = {id(variable) for variable in _flat(getattr(loaded, "trainable_variables", ()))}
        self.trainable = [variable for variable in self.variables if id(variable) in trained]
        self.losses: list[Callable[[], Any]] = list(getattr(loaded, "regularization_losses", ()))
        self.dtypes = self.find_dtypes()
        self.is_said_to_have_no_weights = False
        self._takes_training = _takes_training(loaded)

    def find_training_error(self) -> str | None:
        """Says why it cannot be trained; None if it can."""
        return None

    def weight_name(self, variable: Any) -> str:
        """The name of a variable as that of a weight, which checkpoints of Keras 2 have."""
        return str(variable.name)

    def find_dtypes(self) -> Any:
        """What ``dtypes`` is to be."""
        functions = getattr(getattr(self.loaded, "__call__", None), "concrete_functions", ())  # noqa: B004
        for function in functions:  # those that a SavedModel was saved with
            positional = (function.structured_input_signature or ((), {}))[0]
            first = positional[0] if positional else None
            if isinstance(first, Mapping):
                return {name: spec.dtype for name, spec in first.items() if hasattr(spec, "dtype")}
            return getattr(first, "dtype", None)
        return None

    def apply(self, inputs: Any, training: bool) -> Any:
        """What the object makes of converted inputs."""
        keywords = dict(self.options.arguments)
        if self._takes_training:
            keywords["training"] = training
        return self.loaded(inputs, **keywords)


class OneSignature(Wrapped):
    """One signature of a SavedModel."""

    def find_training_error(self) -> str | None:
        what = "a SavedModel signature is called"
        if getattr(self.loaded, "_is_hub_module_v1", False):
            what = "a module in TF1 Hub format is loaded in a graph of TensorFlow 1"
        return f"Setting hub.KerasLayer.trainable = True is unsupported where {what}."

    def find_dtypes(self) -> Any:
        return _dtypes_of(self.loaded.signatures[self.options.signature])

    def apply(self, inputs: Any, training: bool) -> Any:
        function = self.loaded.signatures[self.options.signature]
        return function(**inputs) if isinstance(inputs, Mapping) else function(inputs)


class AppliedModule(Wrapped):
    """A module in TF1 Hub format: a signature, with what its publisher computes in training."""

    def __init__(self, loaded: Any, options: Options) -> None:
        super().__init__(loaded, options)
        if isinstance(loaded, hubplug.Module):
            self.losses = [lambda: _sum(loaded)] if self.trainable else []

    def find_dtypes(self) -> Any:
        if isinstance(self.loaded, hubplug.Module):
            return _one_or_all(self.loaded.get_input_info_dict(self.options.signature))
        return _dtypes_of(self.loaded.signatures[self.options.signature])

    def weight_name(self, variable: Any) -> str:
        return super().weight_name(variable).removeprefix("module/")

    def apply(self, inputs: Any, training: bool) -> Any:
        return self.loaded(inputs, training=training, signature=self.options.signature, as_dict=True)


def _sum(module: Any) -> Any:
    return sum(module.losses, tf.zeros([]))


def _flat(variables: Any) -> list[Any]:
    """Variables, with the parts of partitioned ones."""
    found = variables() if callable(variables) else variables
    return [part for each in found for part in (each if isinstance(each, (list, tuple)) else [each])]


def _holds_numbers(variable: Any) -> bool:
    """Whether Keras can save it: texts and handles stay the object's own."""
    return isinstance(variable, tf.compat.v2.Variable) and variable.dtype.base_dtype not in (
        tf.string,
        tf.resource,
        tf.variant,
    )


def _dtypes_of(signature: Any) -> Any:
    positional, named = signature.structured_input_signature or ((), {})
    return _one_or_all({**{spec.name: spec for spec in positional}, **dict(named)})


def _one_or_all(inputs: Mapping[str, Any]) -> Any:
    """One dtype where there is one input, and else that of each by name."""
    found = {name: info.dtype for name, info in inputs.items()}
    return next(iter(found.values())) if len(found) == 1 else found or None


def _takes_training(loaded: Any) -> bool:
    for function in (loaded, getattr(loaded, "__call__", None), getattr(loaded, "call", None)):  # noqa: B004
        try:
            if "training" in inspect.signature(function).parameters:  # type: ignore[arg-type]
                return True
        except (TypeError, ValueError):
            continue
    return False
