"""``eval_function_for_module``: a module as a Python function from numpy to numpy."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import tensorflow as tf

from hubplug.errors import HubplugError, InputError
from hubplug.module import Module
from hubplug.spec import ModuleSpec
from hubplug_tf1._application.feeding import find_default_output_error, values_by_key
from hubplug_tf1._graph.tensor_info import ParsedTensorInfo


class EvaluationEndedError(HubplugError, RuntimeError):
    """An evaluation function was called after its ``with`` block."""


@contextmanager
def eval_function_for_module(spec: ModuleSpec | str, tags: Collection[str] | None = None) -> Iterator[EvalFunction]:
    """Makes a module a Python function, for as long as the ``with`` block lasts.

    ::

        with hubplug.eval_function_for_module("https://example.com/half_plus_two/1") as f:
            assert f([1.0]) == [2.5]

    The module lives in a graph and a session of its own, with its variables and tables initialized; what calls change in
    them stays until the end of the block. Inside the block the default graph is the one that it was before, and eager
    execution is off.

    Args:
        spec: A ModuleSpec or a handle.
        tags: The graph variant; None stands for the one without tags.

    Yields:
        ``f(inputs=None, _sentinel=None, signature=None, as_dict=None)``: as a call of a Module, but inputs and outputs are
        numpy arrays, SparseTensorValues and RaggedTensorValues.

    Raises:
        ValueError: There is no such graph variant.
    """
    function = EvalFunction(spec, tags)
    try:
        with tf.compat.v1.get_default_graph().as_default():
            yield function
    finally:
        function.close()


class EvalFunction:
    """A module applied to numpy values, by any number of threads, until it is closed.

    Each signature is put into the graph by the first call that asks for it.

    Attributes:
        module: The Module, in a graph of its own.
    """

    def __init__(
        self,
        spec: ModuleSpec | str,
        tags: Collection[str] | None = None,
        *,
        config: tf.compat.v1.ConfigProto | None = None,
    ) -> None:
        """Makes a graph and a session of a module, and initializes its variables and tables.

        Args:
            spec: A ModuleSpec or a handle.
            tags: The graph variant; None stands for the one without tags.
            config: Of the session, for instance its threads.

        Raises:
            ValueError: There is no such graph variant.
        """
        graph = tf.Graph()
        with graph.as_default():
            self.module = Module(spec, tags=tags)
            initializers = [tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()]
        self._session: tf.compat.v1.Session | None = tf.compat.v1.Session(graph=graph, config=config)
        self._session.run(initializers)
        self._applied: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        self._lock = Lock()

    def __call__(
        self,
        inputs: Any = None,
        _sentinel: Any = None,
        signature: str | None = None,
        as_dict: bool | None = None,
        *,
        select: Collection[str] | None = None,
    ) -> Any:
        """Evaluates a signature.

        Args:
            inputs: A dict from input names to numpy values or what converts to them; or a single one where the signature
                has one input; or nothing where it has none.
            _sentinel: Not used; the arguments after it are given by name.
            signature: Its name; None stands for ``default``.
            as_dict: Whether to return all outputs.
            select: With ``as_dict``, the names of the outputs to return; what only others need is not computed.

        Returns:
            A dict of outputs with ``as_dict``; otherwise the output named ``default``.

        Raises:
            TypeError: Inputs or outputs do not fit the signature.
            ValueError: A value has another shape or dtype; or there is no such signature, which is a KeyError too.
            RuntimeError: It is closed.
        """
        session = self._session
        if session is None:
            raise _ended()
        name = signature or "default"
        infos = self.module.get_input_info_dict(name)
        values = values_by_key(name, infos, inputs)
        known = self.module.get_output_info_dict(name)
        if unknown := sorted(set(select or ()) - set(known)):
            raise InputError(f"The signature {name!r} has no output {unknown[0]!r}", hint=f"it has: {', '.join(known)}")
        if not as_dict and (error := find_default_output_error(name, known)):
            raise InputError(error, hint="pass as_dict=True")
        fed, outputs = self._apply(session, name, infos)
        wanted = (
            outputs["default"] if not as_dict else outputs if select is None else {key: outputs[key] for key in select}
        )
        try:
            return session.run(wanted, {fed[key]: _fed_value(key, value, fed[key]) for key, value in values.items()})
        except (RuntimeError, tf.errors.CancelledError) as error:
            if self._session is not None:
                raise
            raise _ended() from error

    def close(self) -> None:
        """Ends the session."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _apply(
        self, session: tf.compat.v1.Session, name: str, infos: dict[str, ParsedTensorInfo]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        with self._lock, session.graph.as_default():
            if name not in self._applied:
                fed = {key: _placeholder(info.type_spec, f"{name}/{key}") for key, info in infos.items()}
                self._applied[name] = fed, self.module(fed, signature=name, as_dict=True)
            return self._applied[name]


def _ended() -> EvaluationEndedError:
    return EvaluationEndedError(
        "The function of a module was called after it was closed, or after its with block", hint="call it before"
    )


def _placeholder(type_spec: tf.TypeSpec, what: str) -> Any:
    """A placeholder whose name says what is fed to it, since TensorFlow names it when a value does not fit."""
    name = re.sub(r"[^A-Za-z0-9_./-]", "_", what).lstrip("_/-") or None
    if isinstance(type_spec, tf.SparseTensorSpec):
        return tf.compat.v1.sparse_placeholder(type_spec.dtype, type_spec.shape, name)
    components = [
        tf.compat.v1.placeholder(component.dtype, component.shape, name)
        for component in tf.nest.flatten(type_spec, expand_composites=True)
    ]
    return tf.nest.pack_sequence_as(type_spec, components, expand_composites=True)


def _fed_value(key: str, value: Any, fed: Any) -> Any:
    """An eager tensor as numpy; everything else as it is.

    Raises:
        InputError: A ragged value is of another depth, of which TensorFlow would feed the wrong parts.
    """
    depth = getattr(value, "ragged_rank", 0)
    wanted = fed.ragged_rank if isinstance(fed, tf.RaggedTensor) else 0
    if depth != wanted and (depth or hasattr(value, "nested_row_splits")):
        raise InputError(
            f"Can't convert {key!r}: Got a ragged value of ragged rank {depth}. Expected {wanted}.",
            hint="make it with tf.compat.v1.ragged.constant_value(..., ragged_rank=)",
        )
    return value.numpy() if isinstance(value, tf.Tensor) and not tf.is_symbolic_tensor(value) else value
