"""What ``KerasLayer`` is for every Keras: its constructor, a call, and its configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import tensorflow as tf

from hubplug.errors import HubplugError
from hubplug.shown.logs import logger
from hubplug_keras._errors import LayerError, UnsavableError
from hubplug_keras._inputs import as_tensors, plain_to_tensors
from hubplug_keras._options import Options
from hubplug_keras._shapes import normal_shape, with_shapes
from hubplug_keras._wrapped import wrap

_LOG = logger("hubplug_keras")


class KerasLayer:
    """A module or SavedModel as a layer of Keras.

    A layer of the Keras that is in use as ``tf.keras``; ``hubplug_keras.layer_class(keras)`` gives that of another. It takes
    TF2 SavedModels and modules in TF1 Hub format, both to be trained as well, and callable objects::

        model = keras.Sequential([
            keras.Input(shape=(), dtype="string"),
            hubplug.KerasLayer("https://example.com/text-embedding/1", trainable=True),
            keras.layers.Dense(1),
        ])

    The object may have ``variables``, ``trainable_variables`` and ``regularization_losses`` (functions without arguments), and
    takes ``training`` if it likes: True where the layer is trainable and is called in training. It computes in the dtypes that
    it was saved with, whatever the policy of Keras.
    """

    # Of the Keras layer that stands beside this in each class.
    trainable: bool
    variable_dtype: Any
    compute_dtype: Any
    name: str

    def __init__(
        self,
        handle: Any,
        trainable: bool = False,
        arguments: Mapping[str, Any] | None = None,
        _sentinel: Any = None,
        tags: Any = None,
        signature: str | None = None,
        signature_outputs_as_dict: bool | None = None,
        output_key: str | None = None,
        output_shape: Any = None,
        load_options: Any = None,
        **kwargs: Any,
    ) -> None:
        """Loads what the layer wraps.

        Args:
            handle: A URL, a path, or a name that a plugin understands; or a callable object, an object that ``hubplug.load``
                gave, or a ``hubplug.Module`` under eager execution. A layer is saved with its handle, if that is text.
            trainable: Whether the variables that the publisher trained are trained. May be changed later.
            arguments: Keyword arguments for the object, beside the inputs.
            _sentinel: Not used; the arguments after it are given by name.
            tags: The graph variant; None stands for the usual one, and in TF1 Hub format for that without tags, which in
                training is the one tagged ``train`` where there is one.
            signature: What to apply in the place of the object itself; in TF1 Hub format ``default`` if None.
            signature_outputs_as_dict: Whether to return all outputs of the signature.
            output_key: The output to return, where there is a dict of them; in TF1 Hub format ``default`` if None.
            output_shape: The shape of the output without the batch, or a structure of them like that of the outputs.
            load_options: A ``tf.saved_model.LoadOptions``.
            **kwargs: For the layer of Keras: ``name``, ``dtype``, ``input_shape``, ...

        Raises:
            ValueError: The arguments do not fit each other or the object (LayerError), or the handle is of a wrong type.
            BackendError: Keras computes with something else than TensorFlow.
            HubplugError: The handle cannot be resolved or loaded.
        """
        self._check_backend()
        if _sentinel is not None:
            raise LayerError(
                f"KerasLayer takes handle, trainable and arguments by position, and got a fourth: {_sentinel!r}",
                hint="give tags=, signature= and the others by name",
            )
        chosen = Options(
            handle,
            dict(arguments or {}),
            None if tags is None else sorted([tags] if isinstance(tags, str) else tags),
            signature,
            signature_outputs_as_dict,
            output_key,
            None if output_shape is None else normal_shape(output_shape),
            load_options,
        )
        wrapped = wrap(chosen)
        # A tf.DType is not a policy to Keras 3.
        if isinstance(kwargs.get("dtype"), tf.DType):
            kwargs["dtype"] = kwargs["dtype"].name
        super().__init__(trainable=bool(trainable), autocast=False, **self._base_arguments(wrapped, kwargs))  # type: ignore[call-arg]
        self._wrapped = _Untracked(wrapped)
        # The name that checkpoints of tensorflow_hub's layer have.
        self._func = wrapped.loaded
        if chosen.output_shape is not None:
            self._output_shape = chosen.output_shape
        self._add_weights(wrapped)
        if tf.as_dtype(self.compute_dtype) != tf.as_dtype(self.variable_dtype):
            _say_of_policy(str(self.compute_dtype))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if args:
            args = (plain_to_tensors(args[0]), *args[1:])
        return super().__call__(*args, **kwargs)  # type: ignore[misc]

    @property
    def resolved_object(self) -> Any:
        """The object that the layer calls."""
        return self._func

    def _check_backend(self) -> None:
        """Refuses what this Keras computes with, if it is not TensorFlow."""

    def _base_arguments(self, wrapped: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The keyword arguments for the layer of this Keras."""
        return kwargs

    def _add_weights(self, wrapped: Any) -> None:
        """Makes weights of this Keras of the object's variables, and losses of its losses."""
        raise NotImplementedError

    def _run(self, inputs: Any, training: Any) -> Any:
        """The outputs in eager execution, or in the graph or function around it."""
        try:
            return self._outputs(inputs, training)
        except HubplugError as error:
            # Keras would raise another one, of its class and with its message, but without the hint.
            error._keras_call_info_injected = True
            raise

    def _outputs(self, inputs: Any, training: Any) -> Any:
        wrapped = self._wrapped.value
        self._check_training(wrapped)
        inputs = as_tensors(inputs, wrapped.dtypes, self.variable_dtype)
        if training is None or not self.trainable:
            outputs = wrapped.apply(inputs, False)
        elif tf.is_tensor(training) and tf.get_static_value(training) is None:
            outputs = tf.compat.v2.cond(
                training, lambda: wrapped.apply(inputs, True), lambda: wrapped.apply(inputs, False)
            )
        else:
            outputs = wrapped.apply(inputs, bool(tf.get_static_value(training) if tf.is_tensor(training) else training))
        return with_shapes(_pick(outputs, wrapped.options.output_key), wrapped.options.output_shape)

    def _check_training(self, wrapped: Any) -> None:
        if not self.trainable:
            return
        error = wrapped.find_training_error()
        if error is not None:
            raise LayerError(error, hint="leave trainable=False, or load an object that can be called")
        if not wrapped.trainable and not wrapped.is_said_to_have_no_weights:
            wrapped.is_said_to_have_no_weights = True
            _LOG.error("hub.KerasLayer is trainable but has zero trainable weights.")

    def get_config(self) -> dict[str, Any]:
        """The arguments, for a layer whose handle is text.

        Raises:
            NotImplementedError: The handle is an object, or an argument cannot be written as JSON (UnsavableError).
        """
        options = self._wrapped.value.options
        if not isinstance(options.handle, str):
            raise UnsavableError(
                "Can only generate a valid config for hub.KerasLayer(handle, ...) that uses a string handle; the handle of "
                f"{self.name} is a {type(options.handle).__name__}",
                hint="make the layer with the URL or path of what it wraps",
            )
        try:
            json.dumps(dict(options.arguments))
        except (TypeError, ValueError) as error:
            raise UnsavableError(
                f"The arguments of {self.name} cannot be saved: {error}",
                hint="give arguments that JSON knows: numbers, texts, lists and dicts of them",
            ) from None
        given = {
            "arguments": dict(options.arguments) or None,
            "tags": options.tags,
            "signature": options.signature,
            "signature_outputs_as_dict": options.as_dict,
            "output_key": options.output_key,
            "output_shape": options.output_shape,
        }
        config: dict[str, Any] = super().get_config()  # type: ignore[misc]
        return {
            **config,
            "handle": options.handle,
            **{name: value for name, value in given.items() if value is not None},
        }


class _Untracked:
    """Keeps an object from what Keras and TensorFlow do to attributes of layers."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _pick(outputs: Any, key: str | None) -> Any:
    if key is None:
        return outputs
    if not isinstance(outputs, Mapping):
        raise LayerError(f"Specifying `output_key` is forbidden if output type {type(outputs)} is not a dict.")
    if key not in outputs:
        raise LayerError(
            f"KerasLayer output does not contain the output key {key} (available: {sorted(outputs)}).",
            hint="give output_key=..., one of these",
        )
    return outputs[key]


@cache
def _say_of_policy(dtype: str) -> None:
    _LOG.warning(
        "hub.KerasLayer computes in the dtypes of its module: a policy of compute dtype %s changes nothing inside of it, and "
        "what it returns is not cast",
        dtype,
    )
