"""How code of the library stays as it is where autograph converts its callers: a Keras layer, a ``tf.function``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import tensorflow as tf

F = TypeVar("F", bound=Callable[..., Any])


def not_converted(function: F) -> F:
    """Keeps autograph out of a function and of all that it calls."""
    return cast(F, tf.autograph.experimental.do_not_convert(function))
