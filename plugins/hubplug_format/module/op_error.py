"""Errors that old programs catch as ``tf.errors.OpError``: what two bases that both initialize themselves have in common.

TensorFlow is imported where an error is made: a class that names a type of it as its other base has it anyway.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from hubplug.errors import HubplugError


class OpError(HubplugError):
    """Base of the errors that are a ``tf.errors.OpError`` too; derived classes name both, and the code."""

    # TensorFlow makes it a property that cannot be set.
    message: str = ""
    _code: ClassVar[int]

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        import tensorflow as tf

        tf.errors.OpError.__init__(self, None, None, message, self._code)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), hint=self.hint), (self.message,)

    __str__ = HubplugError.__str__
