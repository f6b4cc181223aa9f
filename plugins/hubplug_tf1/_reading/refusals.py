"""What an old program catches when a directory is not a module: the types that tensorflow_hub raised, as well as ours.

Most of them are TensorFlow's, and need it. Whoever names one in an ``except`` has imported TensorFlow: so they are raised
where it is imported already, and it is never imported for their sake.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from google.protobuf.message import DecodeError

from hubplug.errors import FormatError
from hubplug.types import Declined
from hubplug_format import MODULE_DEF_FILE, SAVED_MODEL_FILE

_WHAT_IT_IS = "a TF1 Hub module is a directory with tfhub_module.pb, saved_model.pb and variables/"


class DamagedModuleDefError(FormatError, DecodeError):
    """``tfhub_module.pb`` is damaged."""


class DamagedSavedModelError(FormatError, OSError):
    """``saved_model.pb`` is damaged."""


def decline(directory: Path) -> Declined:
    """The answer for a directory without ``tfhub_module.pb``, or with something else in its place."""
    marker = directory / MODULE_DEF_FILE
    if os.path.lexists(marker) and not marker.exists():
        reason = f"{marker} is a link to {marker.readlink()}, which is not there"
    elif marker.exists():
        reason = f"{marker} is not a regular file"
    else:
        reason = f"{directory} has no {MODULE_DEF_FILE}"
    return Declined(reason, error=_kind_of_place(marker), hint=_WHAT_IT_IS)


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Within it, what is wrong with a file of the module is raised as what tensorflow_hub raised as well.

    Raises:
        FormatError: As the body, in a subclass.
    """
    try:
        yield
    except FormatError as error:
        kind = _kind_of_damage(error, file) if type(error) is FormatError else None
        if kind is None:
            raise
        raise kind(error.message, hint=error.hint) from error.__cause__


def _kind_of_place(file: Path) -> type[FormatError] | None:
    if "tensorflow" not in sys.modules:
        return None
    from hubplug_tf1 import _errors

    if not file.exists():
        return _errors.MissingFileError
    return None if file.is_file() else _errors.NotAFileError


def _kind_of_damage(error: FormatError, file: Path) -> type[FormatError] | None:
    if isinstance(error.__cause__, PermissionError) and "tensorflow" in sys.modules:
        from hubplug_tf1._errors import UnreadableFileError

        return UnreadableFileError
    if not file.is_file():
        return _kind_of_place(file)
    if file.name == SAVED_MODEL_FILE:
        return DamagedSavedModelError
    # Without a cause it was parsed, and is of an unknown format.
    return DamagedModuleDefError if error.__cause__ is not None else None
