"""Reading the index of a checkpoint before TensorFlow does, which some kinds of damage make end the process."""

from __future__ import annotations

import os

import tensorflow as tf

from hubplug.errors import FormatError
from hubplug.urls import scheme_of
from hubplug_format import CheckpointIndex
from hubplug_tf1._errors import DamagedCheckpointError, MissingCheckpointError


def read_index(checkpoint: str) -> CheckpointIndex:
    """The index of a V2 checkpoint, checked whole, with its data files of the sizes that it needs.

    Args:
        checkpoint: Its prefix: a local path, or a URL that TensorFlow reads.

    Raises:
        MissingCheckpointError: There is no index.
        DamagedCheckpointError: It is damaged, or a data file is missing or too short.
    """
    remote = bool(scheme_of(checkpoint))
    try:
        if not remote:
            return CheckpointIndex.read(checkpoint)
        with tf.io.gfile.GFile(f"{checkpoint}.index", "rb") as file:
            index = CheckpointIndex.parse(file.read(), checkpoint)
        if error := index.find_shard_error(_size_of):
            raise FormatError(error)
        return index
    except (FormatError, tf.errors.OpError) as error:
        if isinstance(error, tf.errors.NotFoundError) or not (remote or os.path.lexists(f"{checkpoint}.index")):
            raise MissingCheckpointError(
                f"The module's variables are missing: no checkpoint at {checkpoint!r}",
                hint="the module directory is incomplete; fetch or export it again",
            ) from error
        raise DamagedCheckpointError(
            f"The module's variables cannot be read from {checkpoint!r}: {error.message}",
            hint="fetch or export the module again",
        ) from error


def _size_of(path: str) -> int | None:
    try:
        return int(tf.io.gfile.stat(path).length)
    except tf.errors.NotFoundError:
        return None
