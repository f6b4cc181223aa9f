"""The module-level functions, over the Hub in effect."""

from __future__ import annotations

from collections.abc import Iterable

from hubplug.chain import Answer
from hubplug.hub import current_hub
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


def validate(spec: ModuleSpec | str, profiles: Iterable[str]) -> list[Finding]:
    """Checks a module against profiles; see ``Hub.validate``."""
    return current_hub().validate(spec, profiles)


def explain(handle: str) -> list[Answer]:
    """The way of a handle through the chain, without fetching anything; see ``Hub.explain``."""
    return current_hub().explain(handle)
