"""``load``: a SavedModel, or a module in TF1 Hub format, as a TensorFlow 2 object."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from hubplug.errors import ArchiveError, FormatError, UnknownTagsError, needs
from hubplug.hub import current_hub
from hubplug.spec import variants_in_words
from hubplug.urls import scheme_of
from hubplug_format import (
    MODULE_DEF_FILE,
    SAVED_MODEL_FILE,
    SAVED_MODEL_TEXT_FILE,
    VARIABLES_PREFIX,
    CheckpointIndex,
    SavedModelFile,
)
from hubplug_savedmodel._probing import what_is_there


class LoadTagsError(UnknownTagsError, RuntimeError):
    """No graph variant has the tags that were given; also a RuntimeError, which TensorFlow raises for TF1 SavedModels."""


class NotAModelError(ArchiveError, ValueError):
    """The path is that of a file which is not an archive; also a ValueError, which tensorflow_hub raises for any file."""


def load(handle: str, tags: Iterable[str] | None = None, options: Any = None) -> Any:
    """Resolves a handle and loads what it finds with ``tf.saved_model.load``.

    Args:
        handle: A URL, a path, or a name that a plugin understands.
        tags: The graph variant; None stands for the only one there is, and in TF1 Hub format for the one without tags.
        options: A ``tf.saved_model.LoadOptions``, or None.

    Returns:
        The object that ``tf.saved_model.load`` returns, with an attribute ``_is_hub_module_v1`` that says whether it is in
        TF1 Hub format. Such an object cannot be called (TypeError): call ``.signatures["default"](...)``.

    Raises:
        ValueError: ``handle`` is not a string; there is no SavedModel (FormatError); or no graph variant has the tags
            (UnknownTagsError).
        FormatError: The index of its variables is damaged.
        ValidationError: The module does not keep a profile that the configuration demands of it.
        HubplugError: The handle could not be resolved.
    """
    if not isinstance(handle, str):
        raise ValueError(f"Expected a string as handle, got {type(handle).__name__}: {handle!r}")
    tags = _as_list(tags)
    try:
        return current_hub().resolve_to_load(handle, lambda module: _load(str(module.path), tags, options))
    except ArchiveError as error:
        if scheme_of(handle) or isinstance(error, ValueError):
            raise
        raise NotAModelError(error.message, hint=error.hint) from error.__cause__


def _load(path: str, tags: list[str] | None, options: Any) -> Any:
    if not any((Path(path) / name).is_file() for name in (SAVED_MODEL_FILE, SAVED_MODEL_TEXT_FILE)):
        kind: type[FormatError] = FormatError
        if "tensorflow" in sys.modules and (Path(path) / SAVED_MODEL_FILE).exists():
            from hubplug_savedmodel._errors import NotAFileError as kind
        raise kind(
            what_is_there(Path(path)), hint="give the directory that holds saved_model.pb, or resolve the handle again"
        )
    in_tf1_hub_format = (Path(path) / MODULE_DEF_FILE).exists()
    chosen = [] if tags is None and in_tf1_hub_format else tags
    _check_tags(path, chosen)
    with needs("tensorflow", "tensorflow"):
        import tensorflow as tf

    _check_variables(path)
    given = {} if options is None else {"options": options}
    loaded = tf.compat.v2.saved_model.load(path, tags=chosen, **given)
    loaded._is_hub_module_v1 = in_tf1_hub_format
    if in_tf1_hub_format:
        loaded.__class__ = _saying_how_to_call(type(loaded), sorted(loaded.signatures))
    return loaded


def _check_variables(path: str) -> None:
    """Reads the index of the variables before TensorFlow does, which some kinds of damage make end the process."""
    if not os.path.lexists(os.path.join(path, f"{VARIABLES_PREFIX}.index")):
        return
    try:
        CheckpointIndex.read(os.path.join(path, VARIABLES_PREFIX))
    except FormatError as error:
        from hubplug_savedmodel._errors import DamagedVariablesError

        raise DamagedVariablesError(error.message, hint=error.hint) from error


def _saying_how_to_call(kind: type[Any], signatures: Collection[str]) -> type[Any]:
    """A subclass of which Python says, when an object is called, how that is done.

    It names the class in that TypeError, and nothing else of ours. With a ``__call__`` that raises one, ``callable()``
    would be true, which tells programs the two formats apart.
    """
    first = "default" if "default" in signatures or not signatures else next(iter(signatures))
    advice = f"TF1 Hub format: call .signatures[{first!r}](...) or use Module; signatures: {', '.join(signatures)}"
    return type(f"{kind.__name__} ({advice})", (kind,), {"__module__": kind.__module__})


def _as_list(tags: Iterable[str] | None) -> list[str] | None:
    if tags is None:
        return None
    return [tags] if isinstance(tags, str) else sorted(tags)


def _check_tags(path: str | os.PathLike[str], tags: Collection[str] | None) -> None:
    try:
        variants = list(SavedModelFile.read(path).variants)
    except FormatError:
        # TensorFlow reads more kinds of files than this library, and has its own word about damage.
        return
    here = variants_in_words(variants)
    if tags is None:
        if len(variants) > 1:
            raise LoadTagsError(
                f"{path} has {len(variants)} graph variants, and no tags were given; graph variants here: {here}",
                hint="say which one with tags=[...]",
            )
    elif frozenset(tags) not in variants:
        raise LoadTagsError(
            f"No such graph variant: graph variants here: {here}; you asked for {sorted(tags)}",
            hint="give the tags of one of them",
        )
