"""``ModuleHandler``: a module in Beam's ``RunInference``, over rows or over Arrow record batches."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.ml.inference.base import KeyedModelHandler, ModelHandler, PredictionResult

from hubplug.errors import ConfigError, DigestMismatch, InputError
from hubplug.hub import Hub
from hubplug.types import Handle
from hubplug.urls import redact
from hubplug_beam import _arrow, _shipping
from hubplug_beam._applying import is_fault_of_row, reason_of
from hubplug_beam._calls import BATCH_SIZE, Call
from hubplug_beam._formats import Block
from hubplug_beam._loaded import loaded
from hubplug_beam._metrics import NAMESPACE
from hubplug_beam._model import Model


@dataclass(frozen=True)
class Failure:
    """What stands in the place of an inference for a row that could not be computed.

    Attributes:
        reason: Why.
    """

    reason: str


class _Handler(ModelHandler[Any, PredictionResult, Model]):
    """What both handlers have in common: the module, and how it comes to a worker."""

    def __init__(
        self,
        handle: str,
        *,
        signature: str | None = None,
        columns: Mapping[str, str] | None = None,
        as_dict: bool = False,
        select: Collection[str] = (),
        tags: Collection[str] | None = None,
        batch_size: int = BATCH_SIZE,
        padding: str = "none",
        threads: int | None = None,
        hub: Hub | None = None,
    ) -> None:
        """Checks what is asked for; the module is resolved here once, without TensorFlow.

        Args:
            handle: The module: a URL, a path that workers have too, or a name that a plugin understands.
            signature: The signature to apply; None stands for ``default``, or ``serving_default`` where there is none.
            columns: By key of an input the name that its values have in a row, where that is another one.
            as_dict: Whether an inference is a dict of all outputs, and not the output ``default``, or the only one.
            select: The outputs of that dict, in the place of ``as_dict``.
            tags: The graph variant; None stands for the one without tags, or the only one.
            batch_size: The most rows in a batch.
            padding: ``none``; ``powers``: batches are filled up to powers of two; ``full``: to ``batch_size``.
            threads: How many threads TensorFlow may use in a worker process; None: as many as there are cores.
            hub: The Hub to ask; None: the one in effect.

        Raises:
            ConfigError: A secret would be stored with the pipeline.
            UnknownSignatureError: There is no such signature.
            InputError: Inputs or outputs do not fit.
            HubplugError: The handle cannot be resolved.
        """
        super().__init__()
        self._wanted: dict[str, Any] = {
            "signature": signature,
            "columns": dict(columns or {}),
            "as_dict": as_dict,
            "select": tuple(select),
            "tags": None if tags is None else tuple(tags),
            "batch_size": batch_size,
            "padding": padding,
        }
        self._shipment = self._planned = _shipping.ship(hub, handle, threads, **self._wanted)
        self._only = None if as_dict or select else next(iter(self._shipment.call.outputs))

    def load_model(self) -> Model:
        """The module of this worker process.

        Raises:
            InputError: What a side input named in its place takes or gives something else.
            DigestMismatch: It is not what it was when the pipeline was made.
            HubplugError: It cannot be loaded.
        """
        if self._shipment != self._planned:
            planned, handle = self._planned, self._shipment.handle
            found = _shipping.ship(_shipping.hub_of(planned.config), handle, planned.threads, **self._wanted)
            if _kinds(found.call) != _kinds(planned.call):
                raise InputError(
                    f"{redact(handle)} cannot take the place of {redact(planned.handle)}: "
                    f"its signature {found.call.signature!r} has other inputs or outputs",
                    hint="start a new pipeline with it",
                )
            return loaded(found)
        return loaded(self._shipment)

    def update_model_path(self, model_path: str | None = None) -> None:
        """Takes the handle that a side input of ``RunInference`` names, from the next batch on.

        Each worker process resolves it for itself, and with no ``hubplug.lock``: name a version that stays what it is, or the
        archive by ``#sha256=<hex>``. What means the latest of something may be something else for the next worker.

        Raises:
            ConfigError: There is a secret in it.
            DigestMismatch: It has no ``#sha256=<hex>``, and the configuration of the pipeline says ``locked``.
        """
        if model_path:
            _shipping.demand_no_secret(model_path)
            handle = Handle.parse(model_path)
            if self._planned.locked and handle.scheme and not handle.sha256:
                raise DigestMismatch(
                    f"{handle} is not pinned, and the configuration of the pipeline says locked: true",
                    hint="name updates with #sha256=<digest of the archive>",
                )
            self._shipment = replace(self._planned, handle=model_path)

    def get_metrics_namespace(self) -> str:
        """Where Beam counts: ``hubplug``."""
        return NAMESPACE

    def validate_inference_args(self, inference_args: dict[str, Any] | None) -> None:
        """
        Raises:
            ConfigError: There are any.
        """
        if inference_args:
            raise ConfigError("A module takes no inference_args", hint="name the signature when the handler is made")


class ModuleHandler(_Handler):
    """A module for ``RunInference`` over rows: each is a dict of values by column, or the value of the only input::

        predictions = (
            pipeline
            | beam.Create(["a sentence", "another one"])
            | RunInference(ModuleHandler("https://models.example/publisher/model/1"))
        )

    Each prediction has the row as ``example`` and the output as ``inference``. ``ApplyToFiles`` is many times faster where rows
    are in files: Beam spends more on a row than a small module does.
    """

    def __init__(
        self, handle: str, *, mark_failures: bool = False, min_batch_size: int | None = None, **options: Any
    ) -> None:
        """As ``ArrowModuleHandler``, and:

        Args:
            handle: The module.
            mark_failures: Whether a row that cannot be computed gets a ``Failure`` with the reason as its inference, to be
                parted from the others; otherwise its batch fails, as ``RunInference`` has it.
            min_batch_size: The fewest rows that Beam puts into a batch, while there are more.
            options: What ``ArrowModuleHandler`` takes: ``signature``, ``columns``, ``as_dict``, ...
        """
        super().__init__(handle, **options)
        self._mark_failures = mark_failures
        self._batching = {"max_batch_size": self._shipment.call.batch_size}
        if min_batch_size is not None:
            self._batching["min_batch_size"] = min_batch_size

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """How many rows Beam may put into a batch."""
        return self._batching

    def run_inference(
        self, batch: Sequence[Any], model: Model, inference_args: dict[str, Any] | None = None
    ) -> Iterable[PredictionResult]:
        """Applies the module to rows.

        Raises:
            InputError: A row does not fit, and failures are not marked.
            tf.errors.OpError: The module refuses a row.
        """
        try:
            yield from self._apply(batch, model)
        except Exception as error:
            if not self._mark_failures or not is_fault_of_row(error):
                raise
            for row in batch:
                yield from self._apply_alone(row, model)

    def get_num_bytes(self, batch: Sequence[Any]) -> int:
        """About how many bytes a batch has."""
        return sum(_size(row) for row in batch)

    def _apply_alone(self, row: Any, model: Model) -> Iterator[PredictionResult]:
        try:
            yield from self._apply([row], model)
        except Exception as error:
            if not is_fault_of_row(error):
                raise
            yield PredictionResult(row, Failure(reason_of(error)), self._shipment.handle)

    def _apply(self, batch: Sequence[Any], model: Model) -> list[PredictionResult]:
        outputs = _outputs(self._shipment.call, self._block(batch), len(batch), model)
        if self._only is not None:
            inferences: Iterable[Any] = outputs[self._only]
        else:
            inferences = (dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True))
        return [
            PredictionResult(row, inference, self._shipment.handle)
            for row, inference in zip(batch, inferences, strict=True)
        ]

    def _block(self, batch: Sequence[Any]) -> Block:
        columns = list(self._shipment.call.columns.values())
        rows = [row.as_dict() if isinstance(row, beam.Row) else row for row in batch]
        if len(columns) == 1:
            rows = [row if isinstance(row, Mapping) and columns[0] in row else {columns[0]: row} for row in rows]
        for row in rows:
            if not isinstance(row, Mapping):
                raise InputError(f"A row is a {type(row).__name__}", hint=f"give a dict with {', '.join(columns)}")
        return Block(range(len(rows)), {name: [row.get(name) for row in rows] for name in columns})


class ArrowModuleHandler(_Handler):
    """A module for ``RunInference`` over Arrow record batches: each inference is a record batch with the outputs.

    A record batch is applied as it is, in pieces of ``batch_size`` rows: the cost of Beam for a row is shared by all of them.
    """

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """Record batches are batches already."""
        return {"max_batch_size": 1}

    def run_inference(
        self, batch: Sequence[pa.RecordBatch], model: Model, inference_args: dict[str, Any] | None = None
    ) -> Iterable[PredictionResult]:
        """Applies the module to record batches.

        Raises:
            InputError: A value does not fit.
            tf.errors.OpError: The module refuses a value.
        """
        for rows in batch:
            yield PredictionResult(rows, self._apply(rows, model), self._shipment.handle)

    def get_num_bytes(self, batch: Sequence[pa.RecordBatch]) -> int:
        """How many bytes record batches have."""
        return sum(rows.nbytes for rows in batch)

    def _apply(self, rows: pa.RecordBatch, model: Model) -> pa.RecordBatch:
        pieces = []
        for start in range(0, len(rows), self._shipment.call.batch_size):
            piece = rows.slice(start, self._shipment.call.batch_size)
            block = Block(range(len(piece)), dict(zip(piece.schema.names, piece.columns, strict=True)))
            pieces.append(
                _arrow.as_record_batch(self._shipment.call, _outputs(self._shipment.call, block, len(piece), model))
            )
        schema = _arrow.schema_of(self._shipment.call)
        if not pieces:
            return pa.RecordBatch.from_pylist([], schema)
        return pa.Table.from_batches(pieces, schema).combine_chunks().to_batches()[0]


def keyed(handler: ModelHandler[Any, PredictionResult, Model]) -> KeyedModelHandler:
    """The same over pairs of a key and a row, for ``RunInference``: keys come back beside the predictions."""
    return KeyedModelHandler(handler)


def _kinds(call: Call) -> list[Any]:
    """What rows have to be, and become; tensors may have other names."""
    tensors = (sorted(call.inputs.items()), sorted(call.outputs.items()))
    return [[(key, info.dtype, info.shape, info.kind) for key, info in named] for named in tensors]


def _outputs(call: Call, block: Block, rows: int, model: Model) -> dict[str, Any]:
    size = call.padded_size(rows)
    places = None if size == rows else [*range(rows), *([rows - 1] * (size - rows))]
    try:
        values = call.values(block, places)
    except ValueError as error:
        raise InputError(str(error)) from None
    return model.apply(call, values, rows)


def _size(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(_size(inner) for inner in value.values())
    if isinstance(value, (str, bytes)):
        return len(value)
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    return sum(map(_size, value)) if isinstance(value, (list, tuple)) else 8
