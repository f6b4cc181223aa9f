"""The concrete functions of a graph variant over its state: one per signature, made when it is first called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from threading import RLock
from typing import Any

import tensorflow as tf

from hubplug.errors import InputError
from hubplug_tf1._application import feeding
from hubplug_tf1._application.apply_graph import apply_template
from hubplug_tf1._eager.pieces import Piece, find_compilation_error, import_piece, needed_piece, piece_of
from hubplug_tf1._eager.state import State
from hubplug_tf1._errors import GraphError
from hubplug_tf1._graph.subgraph import tensor_name
from hubplug_tf1._graph.variant import DEFAULT_SIGNATURE, Signature, Variant
from hubplug_tf1._private_tensorflow.functions import call_flat, is_compiled, keep_with, take_by_name
from hubplug_tf1._surroundings.collector import collector_paused

_LOSSES = tf.compat.v1.GraphKeys.REGULARIZATION_LOSSES


class Functions:
    """The functions of one graph variant over one state.

    Safe to share between threads.
    """

    def __init__(self, variant: Variant, state: State) -> None:
        self._variant = variant
        self._state = state
        self._made: dict[tuple[Any, ...], Any] = {}
        self._lock = RLock()

    def apply(self, inputs: Any, signature: str | None, as_dict: bool | None, updates: bool) -> Any:
        """Applies a signature; see ``hubplug.Module.__call__``.

        Args:
            inputs: What is fed.
            signature: Its name.
            as_dict: Whether to return all outputs.
            updates: Whether to run the update ops as well.
        """
        asked = self._variant.signature(signature or DEFAULT_SIGNATURE)
        fed = feeding.tensors_to_feed(asked.name, asked.inputs, inputs)
        if not as_dict and (error := feeding.find_default_output_error(asked.name, asked.outputs)):
            raise InputError(error, hint="pass as_dict=True")
        function = self._function(asked, updates)
        if not tf.compat.v2.executing_eagerly():
            self._enter(tf.compat.v1.get_default_graph(), asked, updates)
        tensors = call_flat(function, [fed[name] for name in input_tensors(asked)])
        outputs = feeding.outputs_from(asked.outputs, dict(zip(_wanted(asked), tensors, strict=True)))
        return outputs if as_dict else outputs[feeding.OUTPUT]

    def _enter(self, graph: Any, signature: Signature, updates: bool) -> None:
        """Prepares for a call in a function's graph.

        Raises:
            GraphError: The function is compiled by XLA, and the signature cannot be.
        """
        # The module may be forgotten while the function around lives.
        keep_with(graph, self)
        if is_compiled(graph) and (error := find_compilation_error(self._variant, self._piece(signature, updates))):
            raise GraphError(
                f"The signature {signature.name!r} cannot be compiled (jit_compile=True): {error}",
                hint="apply the module outside of the compiled function, and give that what comes out",
            )

    @property
    def signature_names(self) -> list[str]:
        return self._variant.signature_names

    def signature(self, name: str) -> Any:
        """A signature as a concrete function like those of ``tf.saved_model.load``: tensors by name in, a dict out."""
        asked = self._variant.signature(name)
        return self._remembered(("by name", name, _replica()), lambda: self._trace_by_name(asked))

    def losses(self) -> list[Any]:
        """The values of the regularization losses now."""
        names = self._variant.elements(_LOSSES)
        return list(self._remembered(("losses", _replica()), lambda: self._trace_losses(names))()) if names else []

    def loss_functions(self) -> list[Any]:
        """For each of the regularization losses a ``tf.function`` that computes it."""
        return [
            tf.function(partial(self._loss, position), input_signature=[], autograph=False)
            for position in range(len(self._variant.elements(_LOSSES)))
        ]

    def _loss(self, position: int) -> Any:
        return self.losses()[position]

    def _function(self, signature: Signature, updates: bool) -> Any:
        replica = _replica()
        key = ("signature", signature.name, updates, replica)
        return self._remembered(key, lambda: self._trace(signature, updates, replica))

    def _remembered(self, key: tuple[Any, ...], make: Any) -> Any:
        found = self._made.get(key)
        if found is None:
            with self._lock:
                found = self._made.get(key)
                if found is None:
                    # Not what is traced around, nor its devices and control dependencies.
                    with tf.init_scope(), tf.compat.v2.device(None), collector_paused():
                        found = self._made[key] = make()
        return found

    def _trace(self, signature: Signature, updates: bool, replica: int) -> Any:
        piece = self._piece(signature, updates)
        names = input_tensors(signature)

        def body(*arguments: Any) -> list[Any]:
            return self._import(piece, dict(zip(names, arguments, strict=True)), len(_wanted(signature)), replica)

        return tf.function(body, input_signature=_specs(signature), autograph=False).get_concrete_function()

    def _piece(self, signature: Signature, updates: bool) -> Piece:
        def make() -> Piece:
            return piece_of(self._variant, template.graph_def.node, template.wanted, template.updates)

        template = apply_template(self._variant, signature, updates=updates, whole=False)
        return self._variant.derived(("piece", signature.name, updates), make)

    def _trace_by_name(self, signature: Signature) -> Any:
        apply = self._function(signature, False)

        def body(*arguments: Any) -> dict[str, Any]:
            tensors = dict(zip(_wanted(signature), apply(*arguments), strict=True))
            return feeding.outputs_from(signature.outputs, tensors)

        names = argument_names(signature)
        return take_by_name(
            tf.function(body, input_signature=_specs(signature, names), autograph=False).get_concrete_function(), names
        )

    def _trace_losses(self, names: Sequence[str]) -> Any:
        piece, replica = needed_piece(self._variant, names), _replica()
        body = partial(self._import, piece, {}, len(names), replica)
        return tf.function(body, input_signature=[], autograph=False).get_concrete_function()

    def _import(self, piece: Piece, fed: Mapping[str, Any], count: int, replica: int) -> list[Any]:
        """Makes a piece in the current function; returns the tensors that are wanted of it, of which there are so many."""

        def provide(name: str) -> Any:
            return fed[name] if name in fed else self._state.tensor(name, replica)

        made = import_piece(piece, provide)
        with tf.control_dependencies(made[count:]):
            # An output may be an input.
            return [tf.identity(tensor) for tensor in made[:count]]


class Signatures(Mapping[str, Any]):
    """The signatures by name, each made when it is first asked for."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def __getitem__(self, name: str) -> Any:
        if name not in self._functions.signature_names:
            raise KeyError(name)
        return self._functions.signature(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions.signature_names)

    def __len__(self) -> int:
        return len(self._functions.signature_names)

    def __repr__(self) -> str:
        return f"<signatures {', '.join(self)}>"


def is_training(training: Any) -> bool:
    """Whether a call is one in training, as it has to be known when a function is traced.

    Raises:
        InputError: It is a tensor that has no value yet.
    """
    known = tf.get_static_value(training) if tf.is_tensor(training) else training
    if known is None and tf.is_tensor(training):
        raise InputError(
            "training= is a tensor of the function that is being traced, and has no value yet",
            hint="give True or False; or tf.cond(training, lambda: m(x, training=True), lambda: m(x))",
        )
    return bool(known)


def input_tensors(signature: Signature) -> list[str]:
    """The tensors of the module that the inputs of a signature are fed for, in the order of their keys."""
    return [tensor_name(name) for key in sorted(signature.inputs) for name in signature.inputs[key].tensor_names]


def argument_names(signature: Signature) -> list[str]:
    """What ``tf.saved_model.load`` calls the tensors of the inputs of a signature."""
    names: list[str] = []
    for key in sorted(signature.inputs):
        info = signature.inputs[key]
        if info.is_sparse:
            names.extend(f"{key}_{part}" for part in ("indices", "values", "dense_shape"))
        elif info.is_composite:
            names.extend(f"{key}_component_{position}" for position in range(len(info.tensor_names)))
        else:
            names.append(key)
    return names


def _specs(signature: Signature, names: Sequence[str] | None = None) -> list[tf.TensorSpec]:
    infos = [signature.inputs[key] for key in sorted(signature.inputs)]
    specs = [spec for info in infos for spec in tf.nest.flatten(info.type_spec, expand_composites=True)]
    called = names or [f"input_{position}" for position in range(len(specs))]
    return [tf.TensorSpec(spec.shape, spec.dtype, name) for spec, name in zip(specs, called, strict=True)]


def _wanted(signature: Signature) -> list[str]:
    return [tensor_name(name) for info in signature.outputs.values() for name in info.tensor_names]


def _replica() -> int:
    """Which replica of a ``tf.distribute.Strategy`` this is; 0 outside of any."""
    if not tf.distribute.has_strategy():
        return 0
    context: Any = tf.distribute.get_replica_context()
    number = None if context is None else tf.get_static_value(context.replica_id_in_sync_group)
    return 0 if number is None else int(number)
