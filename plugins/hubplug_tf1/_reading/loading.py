"""A module in TF1 Hub format as a TensorFlow 2 object, for ``hubplug.load``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

import tensorflow as tf

from hubplug.errors import FormatError, UnknownTagsError
from hubplug_format import GraphVariant
from hubplug_tf1._eager.loaded import load_object
from hubplug_tf1._errors import LoadTagsError
from hubplug_tf1._state.checkpoint_index import read_index
from hubplug_tf1._surroundings.eager import has_eager_state


class _Spec(Protocol):
    root: str | None

    @property
    def checkpoint(self) -> str | None: ...

    def variant(self, tags: Collection[str] | None) -> GraphVariant: ...


def load(spec: _Spec, tags: Collection[str] | None, options: Any) -> Any:
    """Loads a graph variant of a module that lies in a directory.

    Under eager execution as an object that can be called and trained; in a graph of TensorFlow 1 as what
    ``tf.saved_model.load`` gives, which has signatures.

    Args:
        spec: The definition.
        tags: Those of the graph variant; None stands for the one without tags.
        options: A ``tf.saved_model.LoadOptions``, or None.

    Raises:
        LoadTagsError: There is no such graph variant.
        DamagedCheckpointError: The index of its variables is damaged.
        FormatError: The definition was made in this process, and lies nowhere.
    """
    try:
        variant = spec.variant(tags)
    except UnknownTagsError as error:
        raise LoadTagsError(error.message, hint=error.hint) from None
    if spec.root is None or spec.checkpoint is None:
        raise FormatError("This module was made in this process, and has no files to load", hint="export it first")
    if has_eager_state():
        return load_object(spec, tags, options)
    if variant.collection("variables"):
        read_index(spec.checkpoint)
    given = {} if options is None else {"options": options}
    loaded = tf.compat.v2.saved_model.load(spec.root, tags=sorted(variant.tags), **given)
    loaded._is_hub_module_v1 = True
    loaded.__class__ = _saying_how_to_call(type(loaded), sorted(loaded.signatures))
    return loaded


def _saying_how_to_call(kind: type[Any], signatures: Collection[str]) -> type[Any]:
    """A subclass of which Python says, when an object is called, how that is done.

    It names the class in that TypeError, and nothing else of ours. With a ``__call__`` that raises one, ``callable()``
    would be true, which tells programs the two formats apart.
    """
    first = "default" if "default" in signatures or not signatures else next(iter(signatures))
    advice = f"TF1 Hub format: call .signatures[{first!r}](...) or use Module; signatures: {', '.join(signatures)}"
    return type(f"{kind.__name__} ({advice})", (kind,), {"__module__": kind.__module__})
