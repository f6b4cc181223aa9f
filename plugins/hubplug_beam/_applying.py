"""One part of the input becomes one shard: read in blocks, applied, written whole or not at all.

A block that fails is tried again row by row, so that a row that cannot be computed costs that row alone.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from hubplug.errors import InputError
from hubplug.urls import redact
from hubplug_beam import _files, _formats, _values, _writing
from hubplug_beam._calls import Call
from hubplug_beam._formats import Block
from hubplug_beam._model import Model, NotForEachRow
from hubplug_beam._parts import Part, shard_path

# JSON lines; under a name that no pattern of shards matches.
FAILED_SUFFIX = ".failed"
# What is the machine's fault, and not that of a row.
_OF_THE_MACHINE = ("ResourceExhaustedError", "AbortedError", "CancelledError", "UnavailableError", "InternalError")
_LONGEST_REASON = 500
# What a function of TensorFlow 2 says before the reason: where in Python the op was made.
_WHERE = re.compile(
    r"Graph execution error:\n+Detected at node .*\n(?:[ \t]+.*\n|\n|<stack traces unavailable>\n|Node: .*\n)*"
)


_FUNCTION = re.compile(r"\{\{function_node [^}]*\}\}\s*")


@dataclass(frozen=True)
class FailedRow:
    """A row that is in no shard, or a file of which there is none.

    Attributes:
        file: Where it stands.
        row: Its number, counted from 0 at ``start``; None: the file as a whole.
        reason: Why.
        start: Where the part begins that it is in: a byte of a file of lines, a row group of a Parquet file.
    """

    file: str
    row: int | None
    reason: str
    start: int = 0


@dataclass(frozen=True)
class Shard:
    """What was written of a part.

    Attributes:
        path: Where.
        part: What of the input it is.
        rows: How many rows are in it.
        failed: How many rows of the part are not.
    """

    path: str
    part: str
    rows: int
    failed: int


@dataclass(frozen=True)
class Batch:
    """What it took to read, compute and write some rows; for who watches.

    Attributes:
        rows: How many were written.
        failed: How many were not.
        size: How many bytes of the input they were, about.
        seconds: What computing them took.
    """

    rows: int
    failed: int
    size: int
    seconds: float


def apply_part(
    model: Model, call: Call, part: Part, form: str, output: str, watch: Callable[[Batch], None] = lambda batch: None
) -> tuple[Shard, list[FailedRow]]:
    """Reads, applies and writes a part.

    Beside the shard, rows that failed are written to a file of its name and ``.failed``; before the shard, so that
    where there is a shard nothing is missing.

    Raises:
        FormatError: The file is damaged.
        HubplugError: It cannot be read, or the shard cannot be written.
    """
    path = shard_path(output, part)
    work = _Work(model, call, part, watch)
    with _files.writing(path) as file:
        with _writing.writer(path, file, call, partial(_formats.types_of, part, form)) as writer:
            for block in _formats.read_blocks(part, form, call.batch_size, call.wanted):
                work.block(block, writer)
        keep_failures(output, part, work.failed)
    return Shard(path, str(part), work.rows, len(work.failed)), work.failed


def keep_failures(output: str, part: Part, failed: Sequence[FailedRow]) -> None:
    """Writes down what failed of a part; where nothing did, takes away what an earlier try wrote."""
    path = shard_path(output, part) + FAILED_SUFFIX
    if not failed:
        _files.delete(path)
        return
    with _files.writing(path) as file:
        file.write(
            "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in failed).encode(
                errors="backslashreplace"
            )
        )


def is_fault_of_row(error: Exception) -> bool:
    """Whether it may be a value that is to blame, so that other rows can be computed."""
    if isinstance(error, (NotForEachRow, MemoryError, OSError)):
        return False
    if isinstance(error, (ValueError, InputError)):
        return True
    kinds = [kind.__name__ for kind in type(error).__mro__]
    return "OpError" in kinds and not set(kinds) & set(_OF_THE_MACHINE)


def reason_of(error: Exception) -> str:
    """The first lines of what was said, as they may be shown."""
    # A session raises TensorFlow's error again, with pages on where in Python the op was made.
    again = hasattr(error, "node_def") and type(error.__context__) is type(error)
    told = error.__context__ if again else error
    said = str(getattr(told, "message", None) or told or type(error).__name__).partition("\n\t [[")[0]
    said = _FUNCTION.sub("", _WHERE.sub("", said))
    return redact(" ".join(said.split()))[:_LONGEST_REASON]


class _Work:
    """A part while it is worked on."""

    def __init__(self, model: Model, call: Call, part: Part, watch: Callable[[Batch], None]) -> None:
        self._model = model
        self._call = call
        self._part = part
        self._watch = watch
        self.rows = 0
        self.failed: list[FailedRow] = []

    def block(self, block: Block, writer: _writing.Writer) -> None:
        before = self.rows, len(self.failed)
        for number, reason in block.bad:
            self._fail(number, reason)
        seconds = 0.0
        places = range(len(block.numbers))
        if places:
            try:
                seconds = self._apply(block, places, writer)
            except Exception as error:
                if not is_fault_of_row(error):
                    raise
                seconds = sum(self._apply_alone(block, place, writer) for place in places)
        self._watch(Batch(self.rows - before[0], len(self.failed) - before[1], block.size, seconds))

    def _apply_alone(self, block: Block, place: int, writer: _writing.Writer) -> float:
        try:
            return self._apply(block, [place], writer)
        except Exception as error:
            if not is_fault_of_row(error):
                raise
            self._fail(block.numbers[place], reason_of(error))
            return 0.0

    def _apply(self, block: Block, places: Sequence[int], writer: _writing.Writer) -> float:
        """Computes some rows of a block and writes them; returns how long computing took."""
        everything = len(places) == len(block.numbers)
        size = self._call.padded_size(len(places))
        asked = None if everything and size == len(places) else [*places, *([places[-1]] * (size - len(places)))]
        values = self._call.values(block, asked)
        started = time.monotonic()
        outputs = self._model.apply(self._call, values, len(places))
        seconds = time.monotonic() - started
        kept: dict[str, Any] = {
            name: block.columns[name] if everything else _values.rows_of(block.columns[name], places)
            for name in self._call.keep
        }
        writer.write({**kept, **outputs})
        self.rows += len(places)
        return seconds

    def _fail(self, number: int, reason: str) -> None:
        # Of files that hold one row each, the row says which.
        one_each = len(self._part.files) > 1
        file = self._part.files[number if one_each else 0]
        self.failed.append(FailedRow(redact(file), 0 if one_each else number, reason, self._part.start))
