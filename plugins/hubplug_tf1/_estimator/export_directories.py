"""Where exports of an Estimator go: ``<export_path>/<seconds since 1970>``, whole or not at all, the newest kept.

Local and remote paths alike, through ``tf.io.gfile``; modules for a remote path are made locally and copied there. Where
TensorFlow does not know the file system, each module is exported to its place as any other is (``hubplug_publish``).
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

import tensorflow as tf

from hubplug.errors import ExportError, OccupiedError
from hubplug.shown.logs import logger
from hubplug.urls import redact, scheme_of
from hubplug_format import MODULE_DEF_FILE

_LOG = logger(__name__)
_TIMESTAMP = re.compile(r"\d{10}")
_TRIES = 10


def publish_export(export_path: str, writers: Mapping[str, Callable[[str], None]]) -> str:
    """Writes modules into a new timestamped directory.

    Args:
        export_path: Its parent, local or remote.
        writers: Name of a module -> function that exports it to a place where nothing is yet.

    Returns:
        The new directory.

    Raises:
        ExportError: Every timestamp that was tried is taken.
    """
    if not _is_known_to_tensorflow(export_path):
        return _publish_each(export_path, writers)
    target = _free_directory(export_path)
    staging = os.path.join(export_path, "temp-" + os.path.basename(target))
    tf.io.gfile.makedirs(staging)
    try:
        for name, write in writers.items():
            _write(os.path.join(staging, name), write)
        tf.io.gfile.rename(staging, target)
    except BaseException:
        with suppress(tf.errors.OpError):
            tf.io.gfile.rmtree(staging)
        raise
    return target


def delete_old_exports(export_path: str, keep: int) -> None:
    """Deletes all but the newest exports; what is not named by a timestamp stays."""
    if not _is_known_to_tensorflow(export_path):
        _LOG.warning(
            "All exports stay in %s: TensorFlow does not know its file system, and cannot list or delete there",
            redact(export_path),
        )
        return
    names = sorted(name.rstrip("/") for name in tf.io.gfile.listdir(export_path))
    for name in [name for name in names if _TIMESTAMP.fullmatch(name)][:-keep]:
        path = os.path.join(export_path, name)
        try:
            if tf.io.gfile.isdir(path):
                tf.io.gfile.rmtree(path)
            else:
                tf.io.gfile.remove(path)
        except tf.errors.OpError as error:
            _LOG.warning("The old export %s cannot be deleted: %s", redact(path), error.message)


def _is_known_to_tensorflow(path: str) -> bool:
    if not scheme_of(path):
        return True
    try:
        tf.io.gfile.exists(path)
    except tf.errors.UnimplementedError:
        return False
    except tf.errors.OpError:  # it is known, and whoever uses it will say what is wrong
        pass
    return True


def _publish_each(export_path: str, writers: Mapping[str, Callable[[str], None]]) -> str:
    """Exports each module to its own place, whole or not at all; the first one finds a timestamp that is free."""
    for target in _timestamped(export_path):
        written: list[str] = []
        try:
            for name, write in writers.items():
                write(f"{target}/{name}")
                written.append(name)
        except Exception as error:
            if isinstance(error, OccupiedError) and not written:
                _LOG.warning("The export directory %s exists already; trying another timestamp", redact(target))
                continue
            if written:
                _LOG.warning("What was written of the export to %s stays there: %s", redact(target), ", ".join(written))
            raise
        return target
    raise _no_timestamp(export_path)


def _free_directory(export_path: str) -> str:
    for path in _timestamped(export_path):
        if not tf.io.gfile.exists(path):
            return path
        _LOG.warning("The export directory %s exists already; trying another timestamp", redact(path))
    raise _no_timestamp(export_path)


def _timestamped(export_path: str) -> Iterator[str]:
    """Directories for an export now, another one each second."""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(1)
        yield os.path.join(export_path, str(int(time.time())))


def _no_timestamp(export_path: str) -> ExportError:
    return ExportError(
        f"Found no free timestamp below {redact(export_path)} in {_TRIES} tries", hint="give another export path"
    )


def _write(path: str, write: Callable[[str], None]) -> None:
    if not scheme_of(path):
        write(path)
        return
    with tempfile.TemporaryDirectory() as local:
        module = os.path.join(local, "module")
        write(module)
        _copy(module, path)


def _copy(source: str, target: str) -> None:
    """Copies a module, the file that makes it one last."""
    for directory, _, names in os.walk(source):
        relative = os.path.relpath(directory, source)
        there = target if relative == "." else os.path.join(target, relative)
        tf.io.gfile.makedirs(there)
        for name in names:
            if name != MODULE_DEF_FILE:
                tf.io.gfile.copy(os.path.join(directory, name), os.path.join(there, name))
    tf.io.gfile.copy(os.path.join(source, MODULE_DEF_FILE), os.path.join(target, MODULE_DEF_FILE))
