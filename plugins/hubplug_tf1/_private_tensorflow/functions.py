"""What concrete functions can besides what they are publicly asked for: how they are called, and what they call themselves."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from hubplug_tf1._errors import PrivateNameError


def call_flat(function: Any, tensors: Sequence[Any]) -> Any:
    """Calls a concrete function with tensors of the dtypes and shapes that it takes.

    The public call binds them to the parameters of a Python function each time, which takes as long as a small module does.
    """
    try:
        call = function._call_flat
    except AttributeError:
        return function(*tensors)
    return call(list(tensors), function.captured_inputs)


def take_by_name(function: Any, names: Sequence[str]) -> Any:
    """Has a concrete function of positional parameters take them by other names, which need not be identifiers.

    ``tf.saved_model.load`` does so for the signatures of TensorFlow 1. There is no public way.
    """
    function._arg_keywords = list(names)
    function._num_positional_args = 1 if len(names) == 1 else 0
    return function


def register_functions(library: Any) -> object:
    """Lets the eager runtime know the functions of a library, until what is returned is freed.

    An import tells them to the graph alone, and functions of the graph call them under eager execution.

    Raises:
        PrivateNameError: This TensorFlow has another way.
    """
    try:
        from tensorflow.python.eager import context

        runtime = context.context()
        add, has, remove = runtime.add_function_def, runtime.has_function, runtime.remove_function
    except (ImportError, AttributeError):
        raise PrivateNameError(
            f"TensorFlow {tf.__version__} registers functions in another way, so that a module with functions does not work "
            "under eager execution",
            hint="make the Module in a graph: `with tf.Graph().as_default():`",
        ) from None
    registered = _Registered()
    for function in library.function:
        add(function)
    names = [function.signature.name for function in library.function]
    # It runs at any moment and in any thread, where an import may neither wait nor fail: it gets what it calls.
    weakref.finalize(registered, _forget, has, remove, names).atexit = False
    return registered


def _forget(has: Callable[[str], bool], remove: Callable[[str], None], names: Iterable[str]) -> None:
    for name in filter(has, names):
        remove(name)


class _Registered:
    """Stands for the functions of one library."""


def keep_with(graph: Any, kept: object) -> None:
    """Keeps an object as long as a function's graph, and those of the functions around, which may outlive it."""
    while hasattr(graph, "outer_graph"):
        graph._hubplug_kept = {**getattr(graph, "_hubplug_kept", {}), id(kept): kept}
        graph = graph.outer_graph


def variable_class() -> Any:
    """The class of resource variables, which the creators of variables around do not reach.

    A ``tf.function`` that is being traced takes what ``tf.Variable`` makes for its own, even under ``tf.init_scope``.
    """
    try:
        from tensorflow.python.ops.resource_variable_ops import ResourceVariable
    except ImportError:
        return tf.compat.v2.Variable
    return ResourceVariable


def is_compiled(graph: Any) -> bool:
    """Whether a graph is that of a function with ``jit_compile=True``, or is traced within one."""
    try:
        from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext
    except ImportError:
        return False
    return bool(GraphOrParentsInXlaContext(graph))


def tell_handles_of_loops(graph: Any) -> None:
    """Lets the outputs of loops, as far as they are handles of variables, say of what shape those are.

    An import does not tell, and gradients of loops ask. A loop has an output for each of its inputs.
    """
    try:
        from tensorflow.python.ops.handle_data_util import copy_handle_data
    except ImportError:
        return
    for operation in graph.get_operations():
        if operation.type in ("While", "StatelessWhile"):
            for given, output in zip(operation.inputs, operation.outputs, strict=True):
                if output.dtype == tf.resource:
                    copy_handle_data(given, output)
