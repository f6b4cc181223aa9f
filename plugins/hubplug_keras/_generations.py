"""Which Keras a layer is made for: a process may have several, and each knows its own layers only."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import new_class
from typing import Any

import tensorflow as tf

from hubplug.errors import MissingDependencyError
from hubplug.settings.config import environment_switch

PACKAGE = "hubplug"
NAME = "KerasLayer"


def layer_class(keras: Any = None) -> type[Any]:
    """``KerasLayer`` for one Keras.

    Args:
        keras: The package: ``keras``, ``tf_keras`` or ``tf.keras``; None stands for ``tf.keras``.

    Returns:
        A subclass of its ``keras.layers.Layer``; the same each time.

    Raises:
        MissingDependencyError: Keras cannot be imported.
    """
    return _class_on(_usual_layer() if keras is None else keras.layers.Layer)


def _usual_layer() -> Any:
    try:
        return tf.keras.layers.Layer
    except ImportError as error:
        # Of a package that Keras itself misses, like that of another backend, TensorFlow says nothing.
        raise _missing(error.__context__ or error) from None
    except RecursionError:  # TensorFlow's way to say so from the second time on
        raise _missing("TensorFlow did not find it before") from None


def _missing(reason: object) -> MissingDependencyError:
    hint = "pip install keras, and set KERAS_BACKEND=tensorflow, or leave it unset"
    if environment_switch("TF_USE_LEGACY_KERAS"):
        try:
            import_module("tf_keras")
        except ImportError:
            hint = "pip install tf_keras, or leave TF_USE_LEGACY_KERAS unset"
    return MissingDependencyError(f"hub.KerasLayer needs Keras, which cannot be imported: {reason}", hint=hint)


def keras_of(layer: type[Any]) -> Any:
    """The Keras that a class of layers belongs to."""
    roots = (kind.__module__.partition(".")[0] for kind in layer.__mro__ if kind.__name__ == "Layer")
    return import_module(next(roots, "tf_keras"))


@cache
def _class_on(base: type[Any]) -> type[Any]:
    # tf.keras has no version of its own; this is what the symbols of Keras 3 are made by.
    if hasattr(base, "compute_output_spec"):
        from hubplug_keras._keras3 import Keras3Layer as kind
    else:
        from hubplug_keras._keras2 import Keras2Layer as kind  # type: ignore[assignment]
    body = {"__module__": "hubplug_keras", "__qualname__": NAME, "__doc__": kind.__doc__}
    made: type[Any] = new_class(NAME, (kind, base), {}, lambda namespace: namespace.update(body))
    return keras_of(base).utils.register_keras_serializable(PACKAGE, NAME)(made)


def __getattr__(name: str) -> Any:
    if name != NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return layer_class()
