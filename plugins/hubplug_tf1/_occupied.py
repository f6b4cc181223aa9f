"""An export to a place that is taken is a ``tf.errors.AlreadyExistsError``, whoever says that it is taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hubplug.errors import OccupiedError
from hubplug_tf1._errors import ExportExistsError


@contextmanager
def as_already_exists() -> Iterator[None]:
    """Within it, an OccupiedError is raised as what TensorFlow raises where something exists.

    Raises:
        ExportExistsError: In the place of an OccupiedError.
    """
    try:
        yield
    except ExportExistsError:
        raise
    except OccupiedError as error:
        raise ExportExistsError(error.message, hint=error.hint) from error.__cause__
