"""What is said of a layer that is held wrong: types that tensorflow_hub raised, as well as ours."""

from __future__ import annotations

from hubplug.errors import HubplugError


class LayerError(HubplugError, ValueError):
    """The arguments of a layer do not fit each other, or not what it wraps."""


class UnsavableError(HubplugError, NotImplementedError):
    """A layer or column has no configuration that could be written down."""


class BackendError(HubplugError, RuntimeError):
    """Keras computes with something else than TensorFlow."""
