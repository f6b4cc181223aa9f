"""Values on their way between processes: numpy arrays, Sparse and Ragged as MessagePack."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import IO, Any

import msgspec
import numpy as np

from hubplug_convert._contract import Ragged, Sparse

_LENGTH = struct.Struct("<Q")


def write_record(stream: IO[bytes], record: Any) -> None:
    """Appends a record; whoever reads the file meanwhile sees all of it or none."""
    data = msgspec.msgpack.encode(record)
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def read_records(stream: IO[bytes]) -> Iterator[Any]:
    """The records of a file up to the first that is not whole."""
    while len(head := stream.read(_LENGTH.size)) == _LENGTH.size:
        (length,) = _LENGTH.unpack(head)
        data = stream.read(length)
        if len(data) < length:
            return
        yield msgspec.msgpack.decode(data)


def pack_all(values: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping of values as plain data."""
    return {key: pack(value) for key, value in values.items()}


def unpack_all(packed: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping that ``pack_all`` packed."""
    return {key: unpack(value) for key, value in packed.items()}


def pack(value: Any) -> dict[str, Any]:
    """A numpy array, Sparse or Ragged, or what has their attributes, as plain data."""
    if hasattr(value, "dense_shape"):
        parts = {"indices": value.indices, "values": value.values, "dense_shape": value.dense_shape}
        return {"kind": "sparse", **pack_all(parts)}
    if hasattr(value, "row_splits"):
        return {"kind": "ragged", "values": pack(value.values), "row_splits": pack(value.row_splits)}
    array = np.asarray(value)
    if array.dtype.kind in "OSU":
        items = [item.encode() if isinstance(item, str) else bytes(item) for item in array.ravel().tolist()]
        return {"kind": "dense", "dtype": "string", "shape": list(array.shape), "items": items}
    name = array.dtype.name
    if array.dtype.kind not in "biufc":  # bfloat16 and others that numpy itself does not have
        array = array.astype(np.float32)
    data = np.ascontiguousarray(array).tobytes()
    return {
        "kind": "dense",
        "dtype": name,
        "stored": array.dtype.name,
        "shape": list(array.shape),
        "data": data,
    }


def unpack(packed: Mapping[str, Any]) -> Any:
    """The value that ``pack`` packed."""
    if packed["kind"] == "sparse":
        return Sparse(unpack(packed["indices"]), unpack(packed["values"]), unpack(packed["dense_shape"]))
    if packed["kind"] == "ragged":
        return Ragged(unpack(packed["values"]), unpack(packed["row_splits"]))
    if packed["dtype"] == "string":
        array = np.empty(len(packed["items"]), dtype=object)
        array[:] = packed["items"]
        return array.reshape(packed["shape"])
    return np.frombuffer(packed["data"], packed["stored"]).reshape(packed["shape"])


def dtype_of(packed: Mapping[str, Any]) -> str:
    """The dtype of a packed value, of its values where it is sparse or ragged."""
    return str(packed["dtype"]) if packed["kind"] == "dense" else dtype_of(packed["values"])
