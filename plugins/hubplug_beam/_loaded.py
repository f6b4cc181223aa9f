"""One copy of a module in a worker process, however many threads, stages and bundles use it."""

from __future__ import annotations

import threading
from typing import Any

from apache_beam.utils.shared import Shared

from hubplug.shown.logs import logger
from hubplug.urls import redact
from hubplug_beam._model import Model
from hubplug_beam._shipping import Shipment

_LOG = logger(__name__)
_lock = threading.Lock()
_shared: dict[tuple[Any, ...], Shared] = {}


def loaded(shipment: Shipment) -> Model:
    """The model of this process; it stays while someone has it, and a while longer.

    Raises:
        DigestMismatch: It is not what it was when the pipeline was made.
        HubplugError: It cannot be loaded.
    """
    key = shipment.config, shipment.handle, shipment.content, shipment.call.tags
    with _lock:
        shared = _shared.setdefault(key, Shared())

    def load() -> Model:
        limit_threads(shipment.threads)
        model = Model(shipment)
        _LOG.info("loaded %s in %.1f s", redact(shipment.handle), model.load_seconds)
        return model

    model: Model = shared.acquire(load)
    return model


def limit_threads(threads: int | None) -> None:
    """Has TensorFlow use so many threads in this process; too late where it has computed something."""
    if threads is None:
        return
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        _LOG.info("TensorFlow has started in this process with threads of its own choice")
