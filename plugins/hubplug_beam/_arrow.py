"""Outputs of a module, and columns that are kept, as Arrow has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hubplug.types import TensorInfo
from hubplug_beam._calls import Call

# The dtypes that Arrow, JSON and tf.train.Example have, under the names of TensorFlow.
WRITABLE = (
    *("bool", "string", "bfloat16", "float16", "float32", "float64"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)


def schema_of(call: Call) -> Any:
    """The Arrow schema of the outputs of a call."""
    import pyarrow as pa

    return pa.schema([(name, arrow_type(info)) for name, info in call.outputs.items()])


def as_record_batch(call: Call, outputs: Mapping[str, Any]) -> Any:
    """The outputs of a batch as Arrow has them."""
    import pyarrow as pa

    arrays = [as_arrow(outputs[name], info) for name, info in call.outputs.items()]
    return pa.RecordBatch.from_arrays(arrays, schema=schema_of(call))


def kept_column(column: Any) -> Any:
    """A column of the input as an Arrow array.

    Raises:
        ValueError: It holds text that is not UTF-8.
    """
    import pyarrow as pa

    if hasattr(column, "to_pylist"):
        return column
    if all(isinstance(value, (str, bytes)) for value in column):
        texts = [value.encode() if isinstance(value, str) else value for value in column]
        try:
            return pa.array(texts, pa.binary()).cast(pa.string())
        except pa.ArrowInvalid:
            raise ValueError("a text that is kept is not UTF-8") from None
    return pa.array(column)


def as_arrow(column: Any, info: TensorInfo) -> Any:
    """An output as an Arrow array; a matrix becomes a list for each row, which costs no Python object for each number."""
    import pyarrow as pa

    if isinstance(column, np.ndarray) and column.dtype.kind != "O":
        if column.dtype.name == "bfloat16":
            column = column.astype("float32")
        array = pa.array(column.reshape(-1))
        for length in reversed(column.shape[1:]):
            if not length:
                return pa.array(column.tolist(), arrow_type(info))
            array = pa.FixedSizeListArray.from_arrays(array, length)
        wanted = arrow_type(info)
        return array if array.type == wanted else array.cast(wanted)
    return pa.array(column.tolist() if hasattr(column, "tolist") else column, arrow_type(info))


def arrow_type(info: TensorInfo) -> Any:
    """The Arrow type of an output in a row."""
    import pyarrow as pa

    names = {"string": "binary", "bool": "bool_", "bfloat16": "float32"}
    kind = getattr(pa, names.get(info.dtype, info.dtype))()
    if info.kind == "sparse":
        depth = len(info.shape or (None, None)) - 2
        place: Any = pa.int64()
        for _ in range(1 if depth > 0 else 0):
            place = pa.list_(place)
        return pa.struct([("indices", pa.list_(place)), ("values", pa.list_(kind))])
    assert info.shape is not None  # see _writing.check_writing
    for length in reversed(info.shape[1:]):
        kind = pa.list_(kind, length) if length else pa.list_(kind)  # no reader takes a fixed length of 0
    return kind
