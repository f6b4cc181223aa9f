"""What gradient tapes and functions are told of what is not made by TensorFlow's own makers of ops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from types import SimpleNamespace
from typing import Any

import tensorflow as tf

from hubplug.shown.logs import logger

_LOG = logger(__name__)


@cache
def _tapes() -> Any:
    """The names that speak to tapes, or None."""
    try:
        from tensorflow.python.eager import record
        from tensorflow.python.ops import resource_variable_ops

        return SimpleNamespace(
            may_record=record.could_possibly_record,
            watch_any=record.should_record_backprop,
            record=record.record_operation,
            paused=record.stop_recording,
            tell_of_access=resource_variable_ops.variable_accessed,
            context_of=tf.Graph._get_control_flow_context,
        )
    except (ImportError, AttributeError) as error:
        _LOG.warning(
            "With TensorFlow %s a tf.GradientTape does not see what a module computes, and its gradients through it are "
            "None; use tf.gradients (%s)",
            tf.__version__,
            error,
        )
        return None


def is_taped() -> bool:
    """Whether a ``tf.GradientTape`` may be recording, and can be told.

    Public TensorFlow puts something on all tapes only by ``tf.custom_gradient``, which adds ops to the graph.
    """
    return _tapes() is not None and bool(_tapes().may_record())


def are_watched(tensors: Sequence[Any]) -> bool:
    """Whether a recording tape watches any of these tensors, or what they depend on."""
    return bool(_tapes().watch_any(tensors))


def is_in_control_flow(graph: Any) -> bool:
    """Whether new ops of a graph go into a loop or condition of TensorFlow 1."""
    return _tapes().context_of(graph) is not None


def put_on_tapes(op: str, outputs: Sequence[Any], inputs: Sequence[Any], backward: Callable[..., Any]) -> None:
    """Records on all tapes how some tensors depend on others; ``backward`` goes from their gradients to those of the inputs."""
    _tapes().record(op, outputs, inputs, backward)


def tapes_paused() -> AbstractContextManager[None]:
    """Within it no tape records; only a single tape can be paused by public means."""
    paused: AbstractContextManager[None] = _tapes().paused()
    return paused


def tell_of_access(variable: Any) -> None:
    """What reading a variable does for tapes and function graphs, without an op that reads it."""
    graph: Any = tf.compat.v1.get_default_graph()
    if _tapes() is not None:
        _tapes().tell_of_access(variable)
    elif hasattr(graph, "watch_variable"):
        graph.watch_variable(variable)
