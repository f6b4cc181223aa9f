"""Where exports of an Estimator go: ``<export_path>/<seconds since 1970>``, whole or not at all, the newest kept.

Local and remote paths alike, through ``tf.io.gfile``; modules for a remote path are made locally and copied there.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import tensorflow as tf

from hubplug.errors import ExportError
from hubplug.urls import redact, scheme_of
from hubplug_format import MODULE_DEF_FILE

_LOG = logging.getLogger(__name__)
_TIMESTAMP = re.compile(r"\d{10}")
_TRIES = 10


def publish_export(export_path: str, writers: Mapping[str, Callable[[str], None]]) -> str:
    """Writes modules into a new timestamped directory.

    Args:
        export_path: Its parent, local or remote.
        writers: Name of a module -> function that writes it into a local directory that does not exist yet.

    Returns:
        The new directory.

    Raises:
        ExportError: Every timestamp that was tried is taken.
    """
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


def _free_directory(export_path: str) -> str:
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(1)
        path = os.path.join(export_path, str(int(time.time())))
        if not tf.io.gfile.exists(path):
            return path
        _LOG.warning("The export directory %s exists already; trying another timestamp", redact(path))
    raise ExportError(
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
