"""What a ``tf.GradientTape`` is told of an application, which it sees as one op.

Tapes note what TensorFlow's makers of ops make; ops that are imported or made singly pass them by. So an application is
put on the tapes afterwards, with ``tf.gradients`` as its gradient: a tape gives what ``tf.gradients`` gives, TensorFlow
1's loops in the module included. Derivatives of that gradient are on the outer tapes in the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import tensorflow as tf

from hubplug_tf1._errors import TapeError
from hubplug_tf1._private_tensorflow.tapes import (
    are_watched,
    is_in_control_flow,
    is_taped,
    put_on_tapes,
    tapes_paused,
    tell_of_access,
)

_OP = "HubplugModule"


def tell_of_variables(variables: Iterable[Any]) -> None:
    """Has tapes watch trained variables, and function graphs list them; to be called before they are used."""
    if is_taped() or hasattr(tf.compat.v1.get_default_graph(), "watch_variable"):
        for variable in variables:
            if hasattr(variable, "handle"):  # tapes know nothing of reference variables
                tell_of_access(variable)


def refuse_unseen(graph: tf.Graph, inputs: Iterable[tf.Tensor]) -> None:
    """Refuses what tapes cannot see, where one watches any of these inputs: gradients would silently be None.

    Raises:
        TapeError: The current place of the graph is inside a loop or condition of TensorFlow 1.
    """
    if is_taped() and is_in_control_flow(graph) and are_watched([each for each in inputs if _has_gradient(each)]):
        raise TapeError(
            "A tf.GradientTape watches what a module is applied to, or its variables, inside a tf.while_loop or tf.cond of "
            "TensorFlow 1, through which tapes have no gradients",
            hint="use tf.gradients; or tf.compat.v1.enable_control_flow_v2(), with which tapes work",
        )


def tell_of_losses(losses: Collection[tf.Tensor], variables: Iterable[Any]) -> None:
    """Puts the regularization losses of a module on the tapes that are recording while it is made."""
    if losses and is_taped():
        resources = [variable for variable in variables if hasattr(variable, "handle")]
        tell_of_variables(resources)
        _record(losses, [(variable.handle, variable.handle) for variable in resources])


def tell_of_ops(outputs: Iterable[tf.Tensor], inputs: Iterable[tuple[tf.Tensor, tf.Tensor]]) -> None:
    """Puts a subgraph on the tapes that are recording.

    Args:
        outputs: The tensors that it makes.
        inputs: The tensors that it takes, each as the caller has it, and as it is inside of the current function graph.
    """
    if is_taped():
        _record(outputs, inputs)


def _record(outputs: Iterable[tf.Tensor], inputs: Iterable[tuple[tf.Tensor, tf.Tensor]]) -> None:
    sources = {id(given): (given, inside) for given, inside in inputs if _has_gradient(given)}
    taken = {id(tensor) for pair in sources.values() for tensor in pair}
    results = [*{id(each): each for each in outputs if _has_gradient(each) and id(each) not in taken}.values()]
    if not sources or not results:
        return
    given, inside = zip(*sources.values(), strict=True)

    def backward(*upstream: Any) -> list[Any]:
        with tapes_paused():
            gradients = tf.compat.v2.gradients(results, list(inside), list(upstream), stop_gradients=list(inside))
        _record(_tensors(gradients), [*sources.values(), *((each, each) for each in _tensors(upstream))])
        return gradients

    put_on_tapes(_OP, results, list(given), backward)


def _has_gradient(tensor: tf.Tensor) -> bool:
    dtype = tensor.dtype.base_dtype
    return dtype.is_floating or dtype.is_complex or dtype == tf.resource


def _tensors(gradients: Iterable[Any]) -> list[tf.Tensor]:
    return [
        gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
        for gradient in gradients
        if gradient is not None
    ]
