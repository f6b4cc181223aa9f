"""What a layer is called with, as tensors of the dtypes that the object was made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf


def plain_to_tensors(inputs: Any) -> Any:
    """Turns what is of Python into tensors: a list of texts or numbers is one tensor, a list of tensors stays a list."""
    if isinstance(inputs, Mapping):
        return {key: plain_to_tensors(value) for key, value in inputs.items()}
    if isinstance(inputs, (str, bytes, bool, int, float, np.ndarray, np.generic)):
        return tf.compat.v2.convert_to_tensor(inputs)
    if isinstance(inputs, (list, tuple)):
        if inputs and all(_is_plain(part) for part in inputs):
            return tf.compat.v2.convert_to_tensor(inputs)
        return type(inputs)([plain_to_tensors(part) for part in inputs]) if not hasattr(inputs, "_fields") else inputs
    return inputs


def as_tensors(inputs: Any, dtypes: Any, usual: Any) -> Any:
    """Inputs as tensors, with floating-point ones cast.

    Args:
        inputs: A nest of tensors and of what converts to them.
        dtypes: What the object takes: a dtype, or one by name; None where it does not say.
        usual: The dtype of floats where it does not say.
    """
    inputs = plain_to_tensors(inputs)
    if isinstance(dtypes, Mapping):
        if not isinstance(inputs, Mapping):
            return inputs
        return {key: _cast(value, dtypes.get(key, usual)) for key, value in inputs.items()}
    return tf.nest.map_structure(lambda part: _cast(part, usual if dtypes is None else dtypes), inputs)


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(part) for part in value)
    return isinstance(value, (str, bytes, bool, int, float, np.generic))


def _cast(value: Any, dtype: Any) -> Any:
    wanted = tf.as_dtype(dtype)
    found = getattr(value, "dtype", None)
    if found is None or not wanted.is_floating or not tf.as_dtype(found).is_floating or tf.as_dtype(found) == wanted:
        return value
    return tf.cast(value, wanted)
