"""``hubplug.Module`` under eager execution: what it has besides what it has in a graph."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import new_class
from typing import Any

import tensorflow as tf

from hubplug.module import Module
from hubplug_tf1._eager.functions import Signatures
from hubplug_tf1._errors import CopyError


class EagerModule(Module, tf.Module):
    """A Module whose state is in objects of TensorFlow 2: a ``tf.Module``, which checkpoints and SavedModels keep.

    ::

        m = hubplug.Module("https://example.com/image-features/1", trainable=True, tags={"train"})
        with tf.GradientTape() as tape:
            loss = loss_of(m(images, training=True)) + tf.add_n(m.losses)
        gradients = tape.gradient(loss, m.trainable_variables)
    """

    _impl: Any

    def __call__(
        self,
        inputs: Any = None,
        _sentinel: Any = None,
        signature: str | None = None,
        as_dict: bool | None = None,
        training: bool = False,
    ) -> Any:
        """Applies a signature.

        Args:
            inputs: As of ``hubplug.Module``.
            _sentinel: Not used; the arguments after it are given by name.
            signature: Its name; None stands for ``default``.
            as_dict: Whether to return all outputs.
            training: Whether to run the update ops too, if the module is trainable: those that a session would run of
                the collection UPDATE_OPS.

        Returns:
            A dict of all outputs with ``as_dict``; otherwise the output named ``default``. Eager tensors, or inside of a
            function those of its graph.

        Raises:
            TypeError: Inputs or outputs do not fit the signature (InputError).
            ValueError: There is no such signature (UnknownSignatureError), or a dtype does not fit.
            RuntimeError: It is applied in a graph of TensorFlow 1.
        """
        return self._impl.apply(inputs, signature, as_dict, training)

    @property
    def trainable_variables(self) -> list[Any]:
        """Those of ``variables`` that are trained; none where the module is not trainable."""
        return [variable for variable in self.variables if variable.trainable]

    @property
    def signatures(self) -> Mapping[str, Any]:
        """The signatures as concrete functions, from tensors by name to a dict of tensors: what a SavedModel is given.

        ::

            tf.saved_model.save(m, path, signatures=dict(m.signatures))
        """
        return Signatures(self._impl.functions)

    @property
    def losses(self) -> list[Any]:
        """The values of the regularization losses now; none where the module is not trainable.

        They are computed when one asks: under a ``tf.GradientTape`` if they are to be differentiated.
        """
        return self._impl.functions.losses() if self._impl.trainable else []

    def update_ops(self, inputs: Any = None, signature: str | None = None) -> None:
        """Runs the update ops of a call alone.

        ``m(inputs, training=True)`` runs them together with the call.

        Args:
            inputs: What the call is given.
            signature: Its name; None stands for ``default``.
        """
        self._impl.apply(inputs, signature, True, True)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise CopyError(
            f"{self!r} cannot be copied or pickled: it holds variables and functions of this process",
            hint="make another hubplug.Module of the same handle and bring the values over with tf.train.Checkpoint; or export it",
        )

    def export(self, path: str, session: None = None) -> None:
        """Writes the module with the values that its variables have.

        Args:
            path: As of ``hubplug.Module``.
            session: Not used: there is none.

        Raises:
            OccupiedError: Something is there already.
            ExportError: The place cannot be written, or a session was given.
        """
        super().export(path, session)


@cache
def eager_class(kind: type[Any]) -> type[Any]:
    """The class of a Module under eager execution, for a class that a program derived from ``hubplug.Module``."""
    if kind is Module:
        return EagerModule
    if issubclass(kind, EagerModule):
        return kind
    return new_class(kind.__name__, (kind, EagerModule), {}, lambda body: body.update(__module__=kind.__module__))
