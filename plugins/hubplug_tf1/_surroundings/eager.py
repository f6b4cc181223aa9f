"""Whether a module that is made now has its state in a graph or in objects of TensorFlow 2."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from hubplug_tf1._surroundings.checks import shares_collection


def has_eager_state() -> bool:
    """Whether the state of a module made now is eager.

    It is, too, while a ``tf.function`` or a function of tf.data is traced with eager execution around. ``wrap_function``
    makes a graph of TensorFlow 1, which has variables of its own.
    """
    if tf.compat.v2.executing_eagerly():
        return True
    if not is_eager_around():
        return False
    graph: Any = tf.compat.v1.get_default_graph()
    while hasattr(graph, "outer_graph"):
        if not shares_collection(graph, tf.compat.v1.GraphKeys.GLOBAL_VARIABLES):
            return False
        graph = graph.outer_graph
    return True


def is_eager_around() -> bool:
    """Whether execution is eager outside of all functions that are being traced."""
    with tf.init_scope():
        return bool(tf.compat.v2.executing_eagerly())
