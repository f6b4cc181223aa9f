"""Writing rows: outputs of a module and columns that are kept, in the format that the name of the shard tells."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any, Protocol

import numpy as np

from hubplug.errors import ConfigError, needs
from hubplug_beam._arrow import arrow_type, as_arrow, kept_column
from hubplug_beam._calls import Call
from hubplug_beam._names import output_form

_ROW_GROUP_BYTES = 64 << 20
_NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}


class Writer(Protocol):
    """What writes the rows of one shard."""

    def write(self, columns: Mapping[str, Any]) -> None:
        """
        Raises:
            ValueError: A value cannot be written in this format; nothing of these rows was written.
        """


def check_writing(path: str, call: Call) -> None:
    """
    Raises:
        ConfigError: An output cannot be written in the format of a file.
    """
    form = output_form(path)
    if form == "parquet":
        for key, info in call.outputs.items():
            if info.kind == "composite" or info.shape is None:
                raise _cannot_be_written(
                    f"The output {key!r} does not say how deep its lists are, which Parquet has to know"
                )
    if form == "csv":
        for key, info in call.outputs.items():
            if info.kind != "dense" or (info.shape is not None and len(info.shape) > 1):
                raise _cannot_be_written(
                    f"The output {key!r} has more than one value in a row, and CSV has one in a column"
                )


def _cannot_be_written(problem: str) -> ConfigError:
    return ConfigError(problem, hint="end the output in .jsonl or .tfrecord")


@contextmanager
def writer(path: str, file: IO[bytes], call: Call) -> Iterator[Writer]:
    """A writer of a shard to a file that is open; the file is complete when the block ends without an error."""
    with _WRITERS[output_form(path)](file, call) as made:
        yield made


@contextmanager
def _jsonl(file: IO[bytes], call: Call) -> Iterator[Writer]:
    yield _Jsonl(file)


@contextmanager
def _csv(file: IO[bytes], call: Call) -> Iterator[Writer]:
    made = _Csv(file)
    made.row([*call.keep, *call.outputs])
    yield made


@contextmanager
def _parquet(file: IO[bytes], call: Call) -> Iterator[Writer]:
    with needs("pyarrow", "beam"):
        from pyarrow import parquet
    made = _Parquet(file, call, parquet)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def _tfrecord(file: IO[bytes], call: Call) -> Iterator[Writer]:
    with needs("tensorflow", "tensorflow"):
        import tensorflow as tf
    with tf.io.TFRecordWriter(file.name) as records:
        yield _TFRecord(records, tf)
    file.seek(0, io.SEEK_END)


_WRITERS: Mapping[str, Callable[[IO[bytes], Call], Any]] = {
    "jsonl": _jsonl,
    "csv": _csv,
    "parquet": _parquet,
    "tfrecord": _tfrecord,
}


class _Jsonl:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, columns: Mapping[str, Any]) -> None:
        lists = {name: _as_list(column) for name, column in columns.items()}
        rows = zip(*lists.values(), strict=True)
        text = "".join(json.dumps(dict(zip(lists, row, strict=True)), ensure_ascii=False) + "\n" for row in rows)
        self._file.write(text.encode())


class _Csv:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, columns: Mapping[str, Any]) -> None:
        lists = [_as_list(column) for column in columns.values()]
        if any(isinstance(value, (list, dict)) for values in lists for value in values):
            raise ValueError("CSV has one value in a column, and this is a list")
        text = io.StringIO(newline="")
        csv.writer(text).writerows(zip(*lists, strict=True))
        self._file.write(text.getvalue().encode())

    def row(self, values: Sequence[str]) -> None:
        self.write({str(number): [value] for number, value in enumerate(values)})


class _Parquet:
    """Rows are gathered, since each table that is written is a row group of its own."""

    def __init__(self, file: IO[bytes], call: Call, parquet: Any) -> None:
        self._file = file
        self._call = call
        self._parquet = parquet
        self._made: Any = None
        self._gathered: list[Any] = []
        self._bytes = 0

    def write(self, columns: Mapping[str, Any]) -> None:
        import pyarrow as pa

        try:
            arrays = {
                name: as_arrow(column, self._call.outputs[name]) if name in self._call.outputs else kept_column(column)
                for name, column in columns.items()
            }
            batch = pa.RecordBatch.from_pydict(arrays)
            if self._made is None:
                self._made = self._writer(batch.schema)
            if batch.schema != self._made.schema:
                batch = batch.cast(self._made.schema)
        except pa.ArrowException as error:
            raise ValueError(f"Parquet: {error}") from error
        self._gathered.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= _ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._gathered:
            self._made.write_table(pa.Table.from_batches(self._gathered))
            self._gathered, self._bytes = [], 0

    def close(self) -> None:
        import pyarrow as pa

        if self._made is None:
            fields = [(name, pa.string()) for name in self._call.keep]
            fields += [(name, arrow_type(info)) for name, info in self._call.outputs.items()]
            self._made = self._writer(pa.schema(fields))
        self._flush()
        self._made.close()

    def _writer(self, schema: Any) -> Any:
        from pyarrow import types

        # A dictionary of floats has each of them once, and making it takes more time than all the rest.
        repeated = [
            field.name for field in schema if not (types.is_floating(field.type) or types.is_nested(field.type))
        ]
        return self._parquet.ParquetWriter(self._file, schema, use_dictionary=repeated)


class _TFRecord:
    def __init__(self, records: Any, tensorflow: Any) -> None:
        self._records = records
        self._tf = tensorflow

    def write(self, columns: Mapping[str, Any]) -> None:
        lists = [list(column.to_pylist() if hasattr(column, "to_pylist") else column) for column in columns.values()]
        examples = [self._example(columns, row) for row in zip(*lists, strict=True)]
        for example in examples:
            self._records.write(example)

    def _example(self, names: Mapping[str, Any], row: Sequence[Any]) -> bytes:
        features = {}
        for name, value in zip(names, row, strict=True):
            if isinstance(value, dict):
                features.update({f"{name}_{part}": self._feature(inner) for part, inner in value.items()})
            else:
                features[name] = self._feature(value)
        train = self._tf.train
        return bytes(train.Example(features=train.Features(feature=features)).SerializeToString(deterministic=True))

    def _feature(self, value: Any) -> Any:
        train = self._tf.train
        values = (
            []
            if value is None
            else np.asarray(value, None if not isinstance(value, (str, bytes)) else object).ravel().tolist()
        )
        if values and isinstance(values[0], (str, bytes)):
            texts = [text.encode() if isinstance(text, str) else text for text in values]
            return train.Feature(bytes_list=train.BytesList(value=texts))
        if values and isinstance(values[0], float):
            return train.Feature(float_list=train.FloatList(value=values))
        return train.Feature(int64_list=train.Int64List(value=[int(one) for one in values]))


def _as_list(column: Any) -> list[Any]:
    """Plain values, which JSON has: texts for bytes, and names for what is no finite number."""
    if isinstance(column, np.ndarray) and column.dtype.kind == "f" and np.isfinite(column).all():
        return list(column.tolist())
    listed = (
        column.to_pylist() if hasattr(column, "to_pylist") else column.tolist() if hasattr(column, "tolist") else column
    )
    if isinstance(column, np.ndarray) and column.dtype.kind in "iub":
        return list(listed)
    return [_plain(value) for value in listed]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return _NOT_FINITE.get(value, "NaN")
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(inner) for inner in value]
    return value.item() if isinstance(value, np.generic) else value
