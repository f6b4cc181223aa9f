"""Errors that are TensorFlow's types as well; raised only where TensorFlow is imported already."""

from __future__ import annotations

import tensorflow as tf

from hubplug.errors import FormatError
from hubplug_format import OpError


class NotInHubFormatError(OpError, FormatError, tf.errors.NotFoundError):
    """A plain SavedModel stands where a module in TF1 Hub format is wanted."""

    _code = tf.errors.NOT_FOUND


class NotAFileError(OpError, FormatError, tf.errors.FailedPreconditionError):
    """Something else is where ``saved_model.pb`` should be."""

    _code = tf.errors.FAILED_PRECONDITION


class DamagedVariablesError(OpError, FormatError, tf.errors.DataLossError):
    """The variables of a SavedModel cannot be read."""

    _code = tf.errors.DATA_LOSS
