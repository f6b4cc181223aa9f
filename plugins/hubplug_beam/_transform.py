"""``ApplyToFiles``: each element is a file, or a range of one, and becomes a shard in one step."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Union

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from hubplug.errors import ConfigError, FormatError
from hubplug.hub import Hub
from hubplug.urls import redact
from hubplug_beam import _files, _names, _shipping, _watched, _writing
from hubplug_beam._applying import Batch, FailedRow, Shard, apply_part, keep_failures, reason_of
from hubplug_beam._calls import BATCH_SIZE
from hubplug_beam._cutting import check_output
from hubplug_beam._loaded import loaded
from hubplug_beam._metrics import Counts
from hubplug_beam._parts import Part

FAILED = "failed"
SHARDS = "shards"


class ApplyToFiles(beam.PTransform):
    """Applies a module to files: each is read in blocks, applied, and written as one shard, whole or not at all.

    The input is a collection of paths and ``Part``s. The result has two collections: ``shards`` (of ``Shard``) and
    ``failed`` (of ``FailedRow``): rows that could not be read, computed or written, and why; the others of their file are in
    its shard. Beside a shard, they are written to a file of its name and ``.failed``, too::

        with beam.Pipeline() as pipeline:
            done = (
                pipeline
                | beam.Create(["reviews-1.jsonl", "reviews-2.jsonl"])
                | ApplyToFiles("https://models.example/publisher/model/1", "out/*.parquet", columns={"text": "body"})
            )
            done.failed | beam.Map(print)

    Each worker process resolves the handle through the chain and has one copy of the module. The configuration travels with
    the pipeline as text, in which secrets are references to the environment.
    """

    def __init__(
        self,
        handle: str,
        output: str,
        *,
        signature: str | None = None,
        columns: Mapping[str, str] | None = None,
        form: str | None = None,
        as_dict: bool = False,
        select: Collection[str] = (),
        keep: Sequence[str] = (),
        tags: Collection[str] | None = None,
        batch_size: int = BATCH_SIZE,
        padding: str = "none",
        threads: int | None = None,
        hub: Hub | None = None,
    ) -> None:
        """Checks what is asked for; the module is resolved here once, without TensorFlow.

        Args:
            handle: The module: a URL, a path that workers have too, or a name that a plugin understands.
            output: Path or URL of the shards, with a ``*`` for the name of each; its end tells the format.
            signature: The signature to apply; None stands for ``default``, or ``serving_default`` where there is none.
            columns: By key of an input the column that it takes, where that has another name.
            form: The format of the files; None: by their names.
            as_dict: Whether to write all outputs of the signature, and not ``default`` alone, or the only one.
            select: The outputs to write, in the place of ``as_dict``.
            keep: Columns of the input that are written beside the outputs.
            tags: The graph variant; None stands for the one without tags, or the only one.
            batch_size: The most rows in a batch.
            padding: ``none``; ``powers``: batches are filled up to powers of two, so that there are few shapes; ``full``: to
                ``batch_size``, so that there is one.
            threads: How many threads TensorFlow may use in a worker process; None: as many as there are cores.
            hub: The Hub to ask; None: the one in effect.

        Raises:
            ConfigError: The output cannot be, or a secret would be stored with the pipeline.
            UnknownSignatureError: There is no such signature.
            InputError: Inputs or outputs do not fit.
            HubplugError: The handle cannot be resolved.
        """
        super().__init__()
        check_output(output)
        _shipping.demand_no_secret(output)
        if form is not None and form not in _names.FORMATS:
            raise ConfigError(f"There is no format {form!r}", hint=f"one of {', '.join(_names.FORMATS)}")
        shipment = _shipping.ship(
            hub,
            handle,
            threads,
            signature=signature,
            columns=columns,
            as_dict=as_dict,
            select=select,
            keep=keep,
            tags=tags,
            batch_size=batch_size,
            padding=padding,
        )
        _writing.check_writing(output, shipment.call)
        self._function = _ApplyPart(shipment, form, output)

    @classmethod
    def planned(cls, shipment: _shipping.Shipment, form: str, output: str, watched: str | None) -> ApplyToFiles:
        """One of which everything has been checked; ``watched`` is a local file that is told of every batch."""
        made = cls.__new__(cls)
        beam.PTransform.__init__(made)
        made._function = _ApplyPart(shipment, form, output, watched)
        return made

    def expand(self, parts: beam.PCollection) -> Any:
        """Adds the step to a pipeline."""
        done = parts | "Apply" >> beam.ParDo(self._function).with_outputs(FAILED, main=SHARDS)
        done[FAILED].element_type = FailedRow
        return done


@beam.typehints.with_input_types(Union[str, Part])  # noqa: UP007  # which Beam reads on Python 3.10
@beam.typehints.with_output_types(Shard)
class _ApplyPart(beam.DoFn):
    def __init__(self, shipment: _shipping.Shipment, form: str | None, output: str, watched: str | None = None) -> None:
        self._shipment = shipment
        self._form = form
        self._output = _files.absolute(output)
        self._watched = watched

    def setup(self) -> None:
        self._counts = Counts()
        self._model = loaded(self._shipment)
        self._is_new = True
        self._tell(0, 0, 0)  # ready

    def process(self, element: str | Part) -> Iterator[Any]:
        if self._is_new:  # outside of a bundle nothing is counted
            self._counts.loaded(self._model)
            self._is_new = False
        part = Part.of_file(element) if isinstance(element, str) else element
        form = self._form or _names.input_form(part.files[0])
        try:
            shard, failed = apply_part(
                self._model, self._shipment.call.over(form), part, form, self._output, self._note
            )
        except FormatError as error:  # a damaged file; one that cannot be reached is for the runner to try again
            failure = FailedRow(redact(part.files[0]), None, reason_of(error), part.start)
            keep_failures(self._output, part, [failure])
            yield TaggedOutput(FAILED, failure)
            return
        self._counts.shard()
        yield shard
        for row in failed:
            yield TaggedOutput(FAILED, row)

    def teardown(self) -> None:
        del self._model

    def _note(self, batch: Batch) -> None:
        self._counts.batch(batch)
        self._tell(batch.rows, batch.failed, batch.size)

    def _tell(self, *numbers: int) -> None:
        if self._watched is not None:
            _watched.note(self._watched, *numbers)
