"""How a concrete function is called with tensors that are known to fit, and by names that are no identifiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def call_flat(function: Any, tensors: Sequence[Any]) -> Any:
    """Calls a concrete function with tensors of the dtypes and shapes that it takes.

    The public call binds them to the parameters of a Python function each time, which takes as long as a small module does.
    """
    call = getattr(function, "_call_flat", None)
    return function(*tensors) if call is None else call(list(tensors), function.captured_inputs)


def take_by_name(function: Any, names: Sequence[str]) -> Any:
    """Has a concrete function of positional parameters take them by other names, which need not be identifiers.

    ``tf.saved_model.load`` does so for the signatures of TensorFlow 1. There is no public way.
    """
    function._arg_keywords = list(names)
    function._num_positional_args = 1 if len(names) == 1 else 0
    return function
