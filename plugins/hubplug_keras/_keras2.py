"""``KerasLayer`` on Keras 2: that of TensorFlow 2.15, and tf_keras."""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf

from hubplug_keras._layer import KerasLayer
from hubplug_keras._shapes import first_shape, map_shapes


class Keras2Layer(KerasLayer):
    __doc__ = KerasLayer.__doc__

    add_weight: Any
    add_loss: Any

    def _add_weights(self, wrapped: Any) -> None:
        trained = {id(variable) for variable in wrapped.trainable}
        for variable in [*wrapped.trainable, *(each for each in wrapped.variables if id(each) not in trained)]:
            self.add_weight(
                name=wrapped.weight_name(variable),
                shape=variable.shape,
                dtype=variable.dtype,
                trainable=id(variable) in trained,
                experimental_autocast=False,
                getter=partial(_existing, variable),
            )
        for loss in wrapped.losses:
            self.add_loss(partial(self._loss, loss))

    def _loss(self, loss: Any) -> Any:
        return loss() if self.trainable else tf.zeros([])

    def call(self, inputs: Any, training: Any = None) -> Any:
        return self._run(inputs, training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the outputs; ``output_shape`` with the batch of the input where it was given."""
        if (given := self._wrapped.value.options.output_shape) is None:
            return super().compute_output_shape(input_shape)  # type: ignore[misc]
        batch = tf.TensorShape(first_shape(input_shape))[:1]
        return map_shapes(batch.concatenate, given)


def _existing(variable: Any, *_: Any, **__: Any) -> Any:
    return variable
