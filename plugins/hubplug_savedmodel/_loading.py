"""A plain SavedModel as a TensorFlow 2 object."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from hubplug.errors import FormatError, HubplugError, UnknownTagsError
from hubplug.spec import variants_in_words
from hubplug_format import VARIABLES_PREFIX, CheckpointIndex
from hubplug_savedmodel._errors import DamagedVariablesError


class LoadTagsError(UnknownTagsError, RuntimeError):
    """No graph variant has the tags that were given; also a RuntimeError, which TensorFlow raises for TF1 SavedModels."""


class LoadOptionsError(HubplugError, TypeError):
    """What was given as ``options``, or ``load_options``, is none."""


def load(directory: Path, variants: Sequence[frozenset[str]], tags: Collection[str] | None, options: Any) -> Any:
    """What ``tf.saved_model.load`` makes of it.

    Args:
        directory: Where it lies.
        variants: The tags of its graph variants.
        tags: Those of the graph variant to load; None stands for the only one there is.
        options: A ``tf.saved_model.LoadOptions``, or None.

    Raises:
        LoadOptionsError: ``options`` is something else.
        LoadTagsError: There is no such graph variant, or more than one and no tags were given.
        DamagedVariablesError: The index of its variables is damaged.
    """
    here = variants_in_words(variants)
    if tags is None and len(variants) > 1:
        raise LoadTagsError(
            f"{directory} has {len(variants)} graph variants, and no tags were given; graph variants here: {here}",
            hint="say which one with tags=[...]",
        )
    if tags is not None and frozenset(tags) not in variants:
        raise LoadTagsError(
            f"No such graph variant: graph variants here: {here}; you asked for {sorted(tags)}",
            hint="give the tags of one of them",
        )
    if not isinstance(options, tf.compat.v2.saved_model.LoadOptions | None):
        raise LoadOptionsError(
            f"options is of type {type(options).__name__}, expected a tf.saved_model.LoadOptions",
            hint='for example options=tf.saved_model.LoadOptions(experimental_io_device="/job:localhost")',
        )
    _check_variables(directory)
    given = {} if options is None else {"options": options}
    loaded = tf.compat.v2.saved_model.load(str(directory), tags=None if tags is None else sorted(tags), **given)
    loaded._is_hub_module_v1 = False
    return loaded


def _check_variables(directory: Path) -> None:
    """Reads the index of the variables before TensorFlow does, which some kinds of damage make end the process."""
    prefix = directory / VARIABLES_PREFIX
    if not prefix.with_suffix(".index").exists():
        return
    try:
        CheckpointIndex.read(str(prefix))
    except FormatError as error:
        raise DamagedVariablesError(error.message, hint=error.hint) from error
