"""Errors that are ``tf.errors`` types as well, and those that only the TF1 Hub format has."""

from __future__ import annotations

import tensorflow as tf

from hubplug.errors import ExportError, FormatError, HubplugError, InputError, OccupiedError, UnknownTagsError
from hubplug_format import OpError


class GraphError(HubplugError, RuntimeError):
    """The module cannot be made or applied in the current graph."""


class NameTakenError(GraphError, ValueError):
    """The graph has an op of a name that the state of the module needs."""


class InputValueError(InputError, ValueError):
    """What was fed cannot become the tensor that the signature wants: another dtype, a ragged list, another graph."""


class TapeError(HubplugError, NotImplementedError):
    """TensorFlow's tapes have no gradients of an application where it is made; what they give would be None."""


class CopyError(HubplugError, TypeError):
    """A Module under eager execution was to be copied or pickled."""


class PrivateNameError(HubplugError, ImportError):
    """This TensorFlow lacks a private name for which there is no public way."""


class ColocationError(HubplugError, ValueError):
    """A colocation constraint of the module has no single meaning once its inputs are fed."""


class RaisingError(GraphError, NotImplementedError):
    """Something in the module's graph has no equal in functions of TensorFlow 2, or does not add up."""


class CheckpointMismatch(FormatError):
    """The module's checkpoint lacks a variable of its graph, or has it in another shape or dtype."""


class _NotFound(OpError, tf.errors.NotFoundError):
    _code = tf.errors.NOT_FOUND


class MissingOpsError(_NotFound):
    """The module's graph has ops that this process does not know."""


class MissingCheckpointError(_NotFound):
    """The module has no checkpoint where its variables should be."""


class DamagedCheckpointError(OpError, FormatError, tf.errors.DataLossError):
    """The checkpoint of the module cannot be read."""

    _code = tf.errors.DATA_LOSS


class LoadTagsError(UnknownTagsError, RuntimeError):
    """No graph variant has the tags that ``load`` was given; also a RuntimeError, which TensorFlow raises."""


class AuthoringError(HubplugError, ValueError):
    """What a ``module_fn`` defines cannot be a module."""


class SessionError(ExportError, TypeError):
    """The values of a module are to come from something that is not a plain session."""


class AssetSourceError(ExportError, TypeError):
    """An asset of the module is not a constant path."""


class MissingAssetError(_NotFound):
    """An asset file of the module does not exist where its graph says."""


class MissingSavedModelError(OpError, FormatError, tf.errors.NotFoundError):
    """There is no SavedModel where a module is to be made from one."""

    _code = tf.errors.NOT_FOUND


class MissingFileError(OpError, FormatError, tf.errors.NotFoundError):
    """The directory has not the files of a module in TF1 Hub format."""

    _code = tf.errors.NOT_FOUND


class NotAFileError(OpError, FormatError, tf.errors.FailedPreconditionError):
    """Something else is where a file of the module should be."""

    _code = tf.errors.FAILED_PRECONDITION


class UnreadableFileError(OpError, FormatError, tf.errors.PermissionDeniedError):
    """A file of the module may not be read."""

    _code = tf.errors.PERMISSION_DENIED


class ExportExistsError(OpError, OccupiedError, tf.errors.AlreadyExistsError):
    """The place that is to hold the module holds something already."""

    _code = tf.errors.ALREADY_EXISTS
