"""``KerasLayer`` on Keras 3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import keras
import tensorflow as tf

from hubplug_keras._errors import BackendError
from hubplug_keras._layer import KerasLayer
from hubplug_keras._shapes import first_shape, map_shapes


class Keras3Layer(KerasLayer):
    __doc__ = KerasLayer.__doc__

    supports_jit = False
    _track_variable: Any

    def _check_backend(self) -> None:
        if (backend := keras.config.backend()) != "tensorflow":
            raise BackendError(
                f"hub.KerasLayer runs graphs of TensorFlow, and Keras computes with {backend} here",
                hint="set KERAS_BACKEND=tensorflow before Keras is imported; or compute the outputs of the module beforehand, "
                "with hubplug.load",
            )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Where Sequential makes the input of this, it is of the dtype of this layer, and not a float as for others.
        input_shape = kwargs.pop("input_shape", None)
        super().__init__(*args, **kwargs)
        if input_shape is not None:
            self.input_shape = (None, *input_shape)
        self.built = True

    def _base_arguments(self, wrapped: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        if kwargs.get("dtype") is None and wrapped.dtypes == tf.string:
            return {**kwargs, "dtype": "string"}
        return kwargs

    def _add_weights(self, wrapped: Any) -> None:
        trained = {id(variable) for variable in wrapped.trainable}
        for position, variable in enumerate(wrapped.trainable):
            last = position == len(wrapped.trainable) - 1
            losses = wrapped.losses[position : None if last else position + 1]
            self._track_variable(_Weight(variable, wrapped, losses, trainable=True))
        for variable in wrapped.variables:
            if id(variable) not in trained:
                self._track_variable(_Weight(variable, wrapped, (), trainable=False))

    def call(self, inputs: Any, training: Any = None) -> Any:
        return self._run(inputs, training)

    def compute_output_spec(self, inputs: Any, training: Any = None) -> Any:
        """The outputs as symbols; one of unknown rank takes that of the first input."""
        rank = len(tf.nest.flatten(inputs)[0].shape)
        try:
            outputs = self._trace(tf.nest.map_structure(_spec_of, inputs), training)
        except (TypeError, ValueError):
            # Keras takes the product of a dense symbol and a number for sparse.
            if not any(getattr(symbol, "sparse", False) for symbol in tf.nest.flatten(inputs)):
                raise
            with suppress(TypeError, ValueError):
                outputs = self._trace(tf.nest.map_structure(_dense_spec_of, inputs), training)
                return tf.nest.map_structure(lambda output: _symbol_of(output, rank), outputs)
            raise
        return tf.nest.map_structure(lambda output: _symbol_of(output, rank), outputs)

    def _trace(self, specs: Any, training: Any) -> Any:
        """What comes out for inputs of these specs, in a function that is not kept."""
        seen: list[Any] = []

        def run(values: Any) -> Any:
            seen.append(self._run(values, bool(training)))
            return seen[0]

        tf.function(run, autograph=False).get_concrete_function(specs)
        return seen[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the outputs; ``output_shape`` with the batch of the input where it was given."""
        if (given := self._wrapped.value.options.output_shape) is not None:
            batch = tuple(first_shape(input_shape))[:1]
            return map_shapes(lambda shape: batch + shape, given)
        dtype = self._wrapped.value.dtypes
        inputs = map_shapes(
            lambda shape: keras.KerasTensor(shape, dtype.name if isinstance(dtype, tf.DType) else self.compute_dtype),
            input_shape,
        )
        return tf.nest.map_structure(lambda output: output.shape, self.compute_output_spec(inputs))


class _Weight(keras.Variable):
    """A weight of a layer that is a variable of the object it wraps."""

    def __init__(self, variable: Any, wrapped: Any, losses: Sequence[Callable[[], Any]], *, trainable: bool) -> None:
        self._existing, self._owner = variable, wrapped.loaded
        name = wrapped.weight_name(variable).partition(":")[0].replace("/", "_")
        super().__init__(variable, dtype=variable.dtype.name, trainable=trainable, autocast=False, name=name)
        if losses:
            self.regularizer = _Losses(losses)

    def _initialize(self, value: Any) -> None:
        self._value = self._existing

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> dict[str, Any]:
        # `model.export` keeps weights and tables, and would write the paths of assets as they are.
        children: dict[str, Any] = super()._trackable_children(save_type, **kwargs)
        if save_type == "savedmodel" and isinstance(self._owner, tf.compat.v2.__internal__.tracking.Trackable):
            children["owner"] = self._owner
        return children


class _Losses(keras.regularizers.Regularizer):
    """Regularization losses of the object; they know which variables they are about."""

    def __init__(self, losses: Sequence[Callable[[], Any]]) -> None:
        self._losses = losses

    def __call__(self, weight: Any) -> Any:
        return tf.add_n([loss() for loss in self._losses])

    def get_config(self) -> dict[str, Any]:
        return {}


def _spec_of(symbol: Any) -> Any:
    if getattr(symbol, "sparse", False):
        return tf.SparseTensorSpec(symbol.shape, symbol.dtype)
    if getattr(symbol, "ragged", False):
        return tf.RaggedTensorSpec(symbol.shape, symbol.dtype, symbol.ragged_rank or 1)
    return _dense_spec_of(symbol)


def _dense_spec_of(symbol: Any) -> Any:
    return tf.TensorSpec(symbol.shape, symbol.dtype)


def _symbol_of(output: Any, rank: int) -> Any:
    shape = [None] * rank if output.shape.rank is None else output.shape.as_list()
    kinds = {"sparse": True} if isinstance(output, tf.SparseTensor) else {}
    if isinstance(output, tf.RaggedTensor):
        kinds = {"ragged": True, "ragged_rank": output.ragged_rank}
    return keras.KerasTensor(shape, output.dtype.name, **kinds)
