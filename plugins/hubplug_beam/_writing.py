"""Writing rows: outputs of a module and columns that are kept, in the format that the name of the shard tells."""

from __future__ import annotations

import base64
import csv
import datetime
import decimal
import io
import json
import math
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, Protocol

import numpy as np

from hubplug.errors import ConfigError, needs
from hubplug_beam._arrow import WRITABLE, arrow_type, as_arrow, kept_column
from hubplug_beam._calls import Call
from hubplug_beam._names import output_form

_ROW_GROUP_BYTES = 64 << 20
Types = Callable[[], Mapping[str, Any]]
_PARTS = ("indices", "values")
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
    for key, info in call.outputs.items():
        if info.dtype not in WRITABLE:
            raise ConfigError(
                f"The output {key!r} has dtype {info.dtype}, which no format of files has",
                hint="choose other outputs with --select (select=)",
            )
    if form == "tfrecord":
        parts = {f"{key}_{part}" for key, info in call.outputs.items() if info.kind == "sparse" for part in _PARTS}
        if taken := sorted(parts & {*call.keep, *call.outputs}):
            raise _cannot_be_written(f"{taken[0]!r} is a part of a sparse output in records, and something else, too")
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
def writer(path: str, file: IO[bytes], call: Call, types: Types = dict) -> Iterator[Writer]:
    """A writer of a shard to a file that is open; the file is complete when the block ends without an error.

    Args:
        path: Where the shard will be; its name tells the format.
        file: Where it is written.
        call: Whose outputs.
        types: Tells the Arrow types of columns that are kept, where the input has them; for a shard without rows.
    """
    with _WRITERS[output_form(path)](file, call, types) as made:
        yield made


@contextmanager
def _jsonl(file: IO[bytes], call: Call, types: Types) -> Iterator[Writer]:
    yield _Jsonl(file)


@contextmanager
def _csv(file: IO[bytes], call: Call, types: Types) -> Iterator[Writer]:
    made = _Csv(file)
    made.row([*call.keep, *call.outputs])
    yield made


@contextmanager
def _parquet(file: IO[bytes], call: Call, types: Types) -> Iterator[Writer]:
    with needs("pyarrow", "beam"):
        from pyarrow import parquet
    made = _Parquet(file, call, types, parquet)
    try:
        yield made
    except BaseException:
        made.drop()
        raise
    made.close()


@contextmanager
def _tfrecord(file: IO[bytes], call: Call, types: Types) -> Iterator[Writer]:
    with needs("tensorflow", "tensorflow"):
        import tensorflow as tf
    with tf.io.TFRecordWriter(file.name) as records:
        yield _TFRecord(records, tf)
    file.seek(0, io.SEEK_END)


_WRITERS: Mapping[str, Callable[[IO[bytes], Call, Types], Any]] = {
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

    def __init__(self, file: IO[bytes], call: Call, types: Types, parquet: Any) -> None:
        self._file = file
        self._call = call
        self._types = types
        self._parquet = parquet
        self._made: Any = None
        self._schema: Any = None
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
            if batch.schema != self._schema:
                self._schema = self._widened(batch.schema)
        except (pa.ArrowException, OverflowError) as error:
            raise ValueError(f"Parquet: {error}") from error
        self._gathered.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= _ROW_GROUP_BYTES:
            self._flush()

    def _widened(self, schema: Any) -> Any:
        """What holds these rows and those before: a kept column of JSON may be null, or whole, in the first ones."""
        import pyarrow as pa

        if self._schema is None:
            return schema
        wider = pa.unify_schemas([self._schema, schema], promote_options="permissive")
        if self._made is not None and wider != self._schema:
            raise ValueError(
                f"Parquet: the rows before, which are written, are {self._schema}, and this one is {schema}"
            )
        return wider

    def _flush(self) -> None:
        import pyarrow as pa

        if self._made is None:
            self._made = self._writer(self._schema)
        if self._gathered:
            tables = [pa.Table.from_batches([batch]) for batch in self._gathered]
            same = [table if table.schema == self._schema else table.cast(self._schema) for table in tables]
            self._made.write_table(pa.concat_tables(same))
            self._gathered, self._bytes = [], 0

    def drop(self) -> None:
        """Lets go of the file, which is not to stay."""
        if self._made is not None:
            with suppress(Exception):
                self._made.close()

    def close(self) -> None:
        import pyarrow as pa

        if self._schema is None:
            types = self._types()
            fields = [(name, types.get(name, pa.string())) for name in self._call.keep]
            fields += [(name, arrow_type(info)) for name, info in self._call.outputs.items()]
            self._schema = pa.schema(fields)
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
        values = [] if value is None else [_plain_scalar(one) for one in _flattened(value)]
        kinds = set(map(type, values))
        if kinds <= {str, bytes}:
            texts = [text.encode() if isinstance(text, str) else text for text in values]
            return train.Feature(bytes_list=train.BytesList(value=texts)) if texts else train.Feature()
        if kinds <= {int, bool}:
            return train.Feature(int64_list=train.Int64List(value=values))
        if kinds <= {int, float}:
            return train.Feature(float_list=train.FloatList(value=values))
        raise ValueError(f"a tf.train.Example has no list of {' and '.join(sorted(kind.__name__ for kind in kinds))}")


def _flattened(value: Any) -> Iterator[Any]:
    if isinstance(value, np.ndarray):
        yield from value.ravel().tolist()
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _flattened(inner)
    else:
        yield value


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
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    """Of NumPy as of Python; dates, times and decimals of Arrow as texts."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value) if isinstance(value, (datetime.timedelta, decimal.Decimal, uuid.UUID)) else value
