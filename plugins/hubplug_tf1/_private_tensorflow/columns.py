"""What TensorFlow takes for a feature column."""

from __future__ import annotations

import types
from importlib import import_module
from typing import Any

import tensorflow as tf

from hubplug_tf1._errors import PrivateNameError

_CLASSES = (("feature_column", "_DenseColumn"), ("feature_column_v2", "DenseColumn"))


def dense_feature_column() -> type[Any]:
    """A class that is a dense feature column of both generations.

    ``input_layer`` and ``DenseFeatures`` are public and insist on instances of these classes, which are not. A release
    of TensorFlow may have lost one of the generations: the other one stays usable.

    Raises:
        PrivateNameError: Both are gone.
    """
    bases: list[type[Any]] = []
    for module, name in _CLASSES:
        try:
            bases.append(getattr(import_module(f"tensorflow.python.feature_column.{module}"), name))
        except (ImportError, AttributeError):
            continue
    if not bases:
        raise PrivateNameError(
            f"TensorFlow {tf.__version__} has no {' or '.join(name for _, name in _CLASSES)}, so that no module can be a "
            "feature column",
            hint="apply a hub.Module to the features instead",
        )
    return types.new_class("DenseFeatureColumn", tuple(bases))
