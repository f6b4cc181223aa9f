"""Errors that are TensorFlow's types as well; raised only where TensorFlow is imported already."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import tensorflow as tf

from hubplug.errors import FormatError, HubplugError


class _OpError(FormatError):
    # OpError makes it a property that cannot be set.
    message: str = ""
    _code: ClassVar[int]

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        tf.errors.OpError.__init__(self, None, None, message, self._code)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), hint=self.hint), (self.message,)

    __str__ = HubplugError.__str__


class NotInHubFormatError(_OpError, tf.errors.NotFoundError):
    """A plain SavedModel stands where a module in TF1 Hub format is wanted."""

    _code = tf.errors.NOT_FOUND


class NotAFileError(_OpError, tf.errors.FailedPreconditionError):
    """Something else is where ``saved_model.pb`` should be."""

    _code = tf.errors.FAILED_PRECONDITION


class DamagedVariablesError(_OpError, tf.errors.DataLossError):
    """The variables of a SavedModel cannot be read."""

    _code = tf.errors.DATA_LOSS
