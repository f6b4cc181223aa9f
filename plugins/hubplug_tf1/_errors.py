"""Errors that are ``tf.errors`` types as well, and those that only the TF1 Hub format has."""

from __future__ import annotations

import tensorflow as tf

from hubplug.errors import ExportError, FormatError, HubplugError, InputError


class GraphError(HubplugError, RuntimeError):
    """The module cannot be made or applied in the current graph."""


class NameTakenError(GraphError, ValueError):
    """The graph has an op of a name that the state of the module needs."""


class InputValueError(InputError, ValueError):
    """What was fed cannot become the tensor that the signature wants: another dtype, a ragged list, another graph."""


class ColocationError(HubplugError, ValueError):
    """A colocation constraint of the module has no single meaning once its inputs are fed."""


class CheckpointMismatch(FormatError):
    """The module's checkpoint lacks a variable of its graph, or has it in another shape or dtype."""


class _NotFound(HubplugError, tf.errors.NotFoundError):
    def __init__(self, message: str, *, hint: str | None = None) -> None:
        tf.errors.NotFoundError.__init__(self, None, None, message)
        self.hint = hint

    # ``OpError`` makes ``message`` a property over ``_message``, which HubplugError's constructor could not set.
    __str__ = HubplugError.__str__


class MissingOpsError(_NotFound):
    """The module's graph has ops that this process does not know."""


class MissingCheckpointError(_NotFound):
    """The module has no checkpoint where its variables should be."""


class AuthoringError(HubplugError, ValueError):
    """What a ``module_fn`` defines cannot be a module."""


class SessionError(ExportError, TypeError):
    """The values of a module are to come from something that is no plain session."""


class AssetSourceError(ExportError, TypeError):
    """An asset of the module is no constant path."""


class MissingAssetError(_NotFound):
    """An asset file of the module does not exist where its graph says."""


class MissingSavedModelError(FormatError, tf.errors.NotFoundError):
    """There is no SavedModel where a module is to be made from one."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        tf.errors.NotFoundError.__init__(self, None, None, message)
        self.hint = hint

    __str__ = HubplugError.__str__


class ExportExistsError(ExportError, tf.errors.AlreadyExistsError):
    """The directory that is to hold the module holds something already."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        tf.errors.AlreadyExistsError.__init__(self, None, None, message)
        self.hint = hint

    __str__ = HubplugError.__str__
