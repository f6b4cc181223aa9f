"""Reading blocks of rows from files, and where a large file may be cut.

A row that cannot be read is kept as its number and the reason, beside those that can. A file that is damaged as a whole is an
error.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from hubplug.errors import FetchError, FormatError, HubplugError, needs
from hubplug.urls import redact, scheme_of
from hubplug_beam import _files
from hubplug_beam._names import COMPRESSED
from hubplug_beam._parts import Part

TEXT_COLUMN = "text"
IMAGE_COLUMNS = ("path", "image")
Bad = tuple[int, str]


@dataclass(frozen=True)
class Block:
    """Some rows that follow each other.

    Attributes:
        numbers: The number of each row, counted from 0 in its part.
        columns: By name a value for each of these rows: a list, or an Arrow array.
        bad: The numbers of rows that could not be read, and why.
        size: How many bytes of the file they were, about.
        flat: Whether a value is always a list of what it is made of, as in a ``tf.train.Example``.
    """

    numbers: Sequence[int]
    columns: Mapping[str, Any]
    bad: Sequence[Bad] = field(default=())
    size: int = 0
    flat: bool = False


def read_blocks(part: Part, form: str, rows: int, wanted: Sequence[str] | None = None) -> Iterator[Block]:
    """Reads a part.

    Args:
        part: Where it is.
        form: Its format.
        rows: How many rows make a block; the last one has fewer.
        wanted: The columns that are needed; None: all.

    Raises:
        FormatError: The file is damaged, or not of that format.
        HubplugError: It cannot be opened.
    """
    with _damage_named(part, form):
        yield from _READERS[form](part, rows, wanted)


def columns_of(part: Part, form: str) -> list[str]:
    """The names of the columns of a part: those of the first rows where each row has names of its own.

    Raises:
        FormatError: The file is damaged, or not of that format.
    """
    if form == "parquet":
        return list(types_of(part, form))
    if form == "csv":
        with _damage_named(part, form), _files.reading(part.files[0]) as file:
            return next(_csv_rows(part, file), [])
    for block in read_blocks(part, form, 100):
        if block.columns:
            return list(block.columns)
        if block.bad:
            raise FormatError(f"{part} cannot be read as {form}: row {block.bad[0][0]}: {block.bad[0][1]}")
    return []


def types_of(part: Part, form: str) -> dict[str, Any]:
    """The Arrow types of the columns of a part, where its format has such."""
    if form != "parquet":
        return {}
    with _damage_named(part, form), _parquet(part.files[0]) as file:
        return {field.name: field.type for field in file.schema_arrow}


def cuts(path: str, form: str, size: int, split_bytes: int) -> list[int]:
    """Where the ranges begin into which a large file is cut; a file that has no places to cut is one range."""
    if form in ("jsonl", "text") and not path.lower().endswith(COMPRESSED):
        return list(range(0, size, split_bytes))
    if form == "parquet":
        with _parquet(path) as file:
            found, since = [0], 0
            for group in range(file.metadata.num_row_groups):
                if since >= split_bytes:
                    found.append(group)
                    since = 0
                since += file.metadata.row_group(group).total_byte_size
            return found
    return [0]


def _read_text(part: Part, rows: int, wanted: Sequence[str] | None) -> Iterator[Block]:
    for number, lines in _numbered_blocks(_lines(part), rows):
        texts = [line.rstrip(b"\r\n") for line in lines]
        yield Block(range(number, number + len(lines)), {TEXT_COLUMN: texts}, size=sum(map(len, lines)))


def _read_jsonl(part: Part, rows: int, wanted: Sequence[str] | None) -> Iterator[Block]:
    for number, lines in _numbered_blocks((line for line in _lines(part) if not line.isspace()), rows):
        good: list[tuple[int, dict[str, Any]]] = []
        bad: list[Bad] = []
        for row, line in enumerate(lines, number):
            try:
                good.append((row, _json_object(line)))
            except ValueError as error:
                bad.append((row, f"is not JSON: {error}"))
        yield _block_of_rows(good, bad, wanted, sum(map(len, lines)))


def _read_csv(part: Part, rows: int, wanted: Sequence[str] | None) -> Iterator[Block]:
    with _files.reading(part.files[0]) as file:
        lines = _csv_rows(part, file)
        names = next(lines, [])
        for number, read in _numbered_blocks(lines, rows):
            good: list[tuple[int, dict[str, Any]]] = []
            bad: list[Bad] = []
            for row, values in enumerate(read, number):
                if len(values) == len(names):
                    good.append((row, dict(zip(names, values, strict=True))))
                else:
                    bad.append((row, f"has {len(values)} values, and there are {len(names)} columns"))
            yield _block_of_rows(good, bad, wanted or names, sum(len(value) + 1 for values in read for value in values))


def _read_parquet(part: Part, rows: int, wanted: Sequence[str] | None) -> Iterator[Block]:
    with _parquet(part.files[0]) as file:
        groups = range(part.start, file.metadata.num_row_groups if part.stop is None else part.stop)
        total = max(1, sum(file.metadata.row_group(group).num_rows for group in groups))
        names = None if wanted is None else [name for name in wanted if name in file.schema_arrow.names]
        number = 0
        for batch in file.iter_batches(rows, row_groups=list(groups), columns=names):
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            yield Block(range(number, number + len(batch)), columns, size=part.size * len(batch) // total)
            number += len(batch)


def _read_tfrecord(part: Part, rows: int, wanted: Sequence[str] | None) -> Iterator[Block]:
    with needs("tensorflow", "tensorflow"):
        import tensorflow as tf
    path = part.files[0]
    with _files.local_copy(path) as local:
        compression = "GZIP" if path.endswith(".gz") else None
        blocks = tf.compat.v2.data.TFRecordDataset(local, compression).batch(rows).as_numpy_iterator()
        number = 0
        while True:
            try:
                records = next(blocks, None)
            except tf.errors.DataLossError as error:
                raise FormatError(f"{part} is damaged after row {number}: {error.message}") from None
            if records is None:
                return
            good: list[tuple[int, dict[str, Any]]] = []
            bad: list[Bad] = []
            for row, record in enumerate(records, number):
                try:
                    good.append((row, _features(tf.train.Example.FromString(record))))
                except Exception as error:  # of protobuf, which has a class of its own in each implementation
                    bad.append((row, f"is not a tf.train.Example: {error}"))
            yield _block_of_rows(good, bad, wanted, sum(map(len, records)), flat=True)
            number += len(records)


def _read_images(part: Part, rows: int, wanted: Sequence[str] | None) -> Iterator[Block]:
    for number, paths in _numbered_blocks(iter(part.files), rows):
        contents = [_files.read_whole(path) for path in paths]
        columns = dict(zip(IMAGE_COLUMNS, (paths, contents), strict=True))
        yield Block(range(number, number + len(paths)), columns, size=sum(map(len, contents)))


_READERS: Mapping[str, Callable[[Part, int, Sequence[str] | None], Iterator[Block]]] = {
    "jsonl": _read_jsonl,
    "csv": _read_csv,
    "parquet": _read_parquet,
    "tfrecord": _read_tfrecord,
    "text": _read_text,
    "images": _read_images,
}


def _lines(part: Part) -> Iterator[bytes]:
    """The lines that begin in a part."""
    with _files.reading(part.files[0]) as file:
        if part.start:
            # The line that holds the byte before belongs to the part before.
            file.seek(part.start - 1)
            at = part.start - 1 + len(file.readline())
        else:
            at = 0
        if part.stop is None:
            yield from file
            return
        while at < part.stop and (line := file.readline()):
            at += len(line)
            yield line


@contextmanager
def _damage_named(part: Part, form: str) -> Iterator[None]:
    """What a library says of a damaged file becomes an error that names the file."""
    try:
        yield
    except (HubplugError, MemoryError):
        raise
    except OSError as error:
        if error.errno is not None or scheme_of(part.files[0]):
            raise FetchError(f"{part} cannot be read: {error.strerror or redact(str(error))}") from error
        raise _damaged(part, form, error) from error
    except Exception as error:  # of gzip, of Arrow, ...: each has classes of its own
        raise _damaged(part, form, error) from error


def _damaged(part: Part, form: str, error: Exception) -> FormatError:
    return FormatError(f"{part} is damaged, or not {form}: {redact(str(error)) or type(error).__name__}")


def _csv_rows(part: Part, file: Any) -> Iterator[list[str]]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        yield from filter(None, csv.reader(text))
    except (csv.Error, UnicodeDecodeError) as error:
        raise FormatError(f"{part} cannot be read as CSV: {error}", hint="it has to be UTF-8 with a header") from error
    finally:
        with suppress(ValueError):  # the file is closed already
            text.detach()


@contextmanager
def _parquet(path: str) -> Iterator[Any]:
    with needs("pyarrow", "beam"):
        import pyarrow as pa
        from pyarrow import parquet
    with _files.reading(path) as file:
        try:
            yield parquet.ParquetFile(file)
        except pa.ArrowInvalid as error:
            raise FormatError(f"{redact(path)} cannot be read as Parquet: {error}") from error


def _numbered_blocks(items: Iterable[Any], count: int) -> Iterator[tuple[int, list[Any]]]:
    iterator, number = iter(items), 0
    while block := list(islice(iterator, count)):
        yield number, block
        number += len(block)


def _block_of_rows(
    good: Sequence[tuple[int, Mapping[str, Any]]],
    bad: list[Bad],
    wanted: Sequence[str] | None,
    size: int,
    *,
    flat: bool = False,
) -> Block:
    """Columns of rows that each have names of their own; what a row does not have is None."""
    names = wanted if wanted is not None else list(dict.fromkeys(name for _, row in good for name in row))
    columns = {name: [row.get(name) for _, row in good] for name in names} if good else {}
    return Block([number for number, _ in good], columns, bad, size, flat)


def _json_object(line: bytes) -> dict[str, Any]:
    import msgspec

    try:
        try:
            value = msgspec.json.decode(line)
        except msgspec.DecodeError:
            value = json.loads(line)  # which reads NaN and Infinity, too
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"a {type(value).__name__} where an object is expected")
    return value


def _features(example: Any) -> dict[str, list[Any]]:
    found = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        found[name] = list(getattr(feature, kind).value) if kind else []
    return found
