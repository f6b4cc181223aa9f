"""Which op types the TensorFlow of this process has, where it has been imported; nothing here imports it."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from hubplug_format import message_class


@dataclass(frozen=True)
class RunningOps:
    """What a TensorFlow registers, with every library of ops that was loaded into it.

    Attributes:
        release: Of TensorFlow: ``2.15.1``.
        names: Op types.
    """

    release: str
    names: Collection[str]


def find_running_ops() -> RunningOps | None:
    """The op types of this process; None where TensorFlow is not imported, or does not say.

    Public TensorFlow lists the ops that it was built with (``tf.raw_ops``), not those of libraries loaded later.
    """
    tensorflow = sys.modules.get("tensorflow")
    session = sys.modules.get("tensorflow.python.client.pywrap_tf_session")
    try:
        data = session.TF_GetBuffer(session.TF_GetAllOpList())  # type: ignore[union-attr]
        names = frozenset(op.name for op in message_class("OpList").FromString(data).op)
        return RunningOps(str(tensorflow.__version__), names)  # type: ignore[union-attr]
    except (AttributeError, TypeError, DecodeError):
        return None  # also while another thread is still importing it
