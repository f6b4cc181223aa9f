"""What a pipeline counts, in the namespace ``hubplug`` of Beam's metrics."""

from __future__ import annotations

from apache_beam.metrics import Metrics

from hubplug_beam._applying import Batch
from hubplug_beam._model import Model

NAMESPACE = "hubplug"


class Counts:
    """Rows, failed rows, shards and bytes; how large batches are, how long they and loading take."""

    def __init__(self) -> None:
        self._rows = Metrics.counter(NAMESPACE, "rows")
        self._failed = Metrics.counter(NAMESPACE, "failed_rows")
        self._bytes = Metrics.counter(NAMESPACE, "input_bytes")
        self._shards = Metrics.counter(NAMESPACE, "shards")
        self._batch_size = Metrics.distribution(NAMESPACE, "batch_size")
        self._latency = Metrics.distribution(NAMESPACE, "batch_latency_microseconds")
        self._load = Metrics.distribution(NAMESPACE, "load_milliseconds")
        self._model_bytes = Metrics.distribution(NAMESPACE, "model_bytes")

    def loaded(self, model: Model) -> None:
        self._load.update(int(model.load_seconds * 1e3))
        self._model_bytes.update(model.bytes)

    def batch(self, batch: Batch) -> None:
        self._rows.inc(batch.rows)
        self._failed.inc(batch.failed)
        self._bytes.inc(batch.size)
        if batch.rows:
            self._batch_size.update(batch.rows)
            self._latency.update(int(batch.seconds * 1e6))

    def shard(self) -> None:
        self._shards.inc()
