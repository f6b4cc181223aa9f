"""The module-level functions, over the Hub in effect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hubplug.chain import Answer
from hubplug.in_effect import current_hub
from hubplug.spec import ModuleSpec
from hubplug.types import Finding


def resolve(handle: str) -> str:
    """Brings a module here and returns the directory that holds it.

    Args:
        handle: A URL, a path, or a name that a plugin understands; ``#sha256=<hex>`` pins the archive.

    Raises:
        TypeError: ``handle`` is not a string.
        HubplugError: It could not be resolved, fetched, unpacked or kept.
    """
    return str(current_hub().resolve(handle).path)


def load_module_spec(path: str) -> ModuleSpec:
    """Reads the definition of a module, without its variables; of one that a Module can be made of.

    ``Hub.load_spec`` also gives those that can only be shown and validated.

    Args:
        path: A handle: a URL, or the path of a directory or archive.

    Raises:
        TypeError: ``path`` is not a string.
        FormatError: It holds no such module; with TensorFlow imported, of the type that tensorflow_hub raised as well:
            ``tf.errors.NotFoundError`` for a directory without ``tfhub_module.pb``.
        HubplugError: It could not be resolved.
    """
    spec = current_hub().load_spec(path)
    spec.check_instantiable()
    return spec


def load(handle: str, tags: Iterable[str] | None = None, options: Any = None) -> Any:
    """Loads a module as a TensorFlow 2 object: a TF2 SavedModel, a TF1 SavedModel, or one in TF1 Hub format.

    Args:
        handle: A URL, a path, or a name that a plugin understands.
        tags: The graph variant; None stands for the only one there is, and in TF1 Hub format for the one without tags.
        options: A ``tf.saved_model.LoadOptions``, or None.

    Returns:
        The object; its attribute ``_is_hub_module_v1`` says whether it is in TF1 Hub format. See docs/keras.md.

    Raises:
        ValueError: ``handle`` is not a string; no plugin knows the format (FormatError); or no graph variant has the tags
            (UnknownTagsError).
        ValidationError: The module does not keep a profile that the configuration demands of it.
        HubplugError: The handle could not be resolved.
    """
    if not isinstance(handle, str):
        raise ValueError(f"Expected a string, got {handle!r}, which is of type {type(handle).__name__}; give str(path)")
    chosen = [tags] if isinstance(tags, str) else tags if tags is None else sorted(tags)
    return current_hub().use_spec(handle, lambda spec: spec.load_object(chosen, options))


def validate(spec: ModuleSpec | str, profiles: Iterable[str]) -> list[Finding]:
    """Checks a module against profiles; see ``Hub.validate``."""
    return current_hub().validate(spec, profiles)


def explain(handle: str) -> list[Answer]:
    """The way of a handle through the chain, without fetching anything; see ``Hub.explain``."""
    return current_hub().explain(handle)
