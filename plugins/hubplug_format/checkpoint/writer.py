"""Writing a V2 checkpoint tensor by tensor: the values go to one data file as they come, the index is written last.

What is in memory is the tensor that is being added, and an entry for each that was. Order of bytes: little-endian.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedWriter, FileIO
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hubplug_format.checkpoint.crc32c import crc32c, masked
from hubplug_format.checkpoint.slice_keys import slice_key
from hubplug_format.checkpoint.table import write_table
from hubplug_format.checkpoint.tensor_bytes import encode_strings
from hubplug_format.protos.dtypes import dtype_number, element_bytes
from hubplug_format.protos.schema import message_class
from hubplug_format.protos.values import Values, encode_numbers

if TYPE_CHECKING:
    import numpy as np

# Of values that are read by the checksum and the file, one after the other, while they are in the processor's cache.
_PIECE_BYTES = 1 << 18
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class Part:
    """Where a part lies in a partitioned tensor: the shape of the whole, and where it begins in each dimension."""

    full_shape: tuple[int, ...]
    offset: tuple[int, ...]


class CheckpointWriter:
    """Writes ``<prefix>.data-00000-of-00001``, and ``<prefix>.index`` when the ``with`` block ends without an error."""

    def __init__(self, prefix: str | os.PathLike[str]) -> None:
        """Opens the data file; ``prefix`` is the path of the checkpoint without ``.index``."""
        self._prefix = os.fspath(prefix)
        self._data = BufferedWriter(FileIO(f"{self._prefix}.data-00000-of-00001", "wb"), _BUFFER_BYTES)
        self._offset = 0
        self._kind = message_class("BundleEntryProto")
        self._entries: dict[bytes, Any] = {}

    def __enter__(self) -> CheckpointWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._data.close()
        if kind is not None:
            return
        header = message_class("BundleHeaderProto")(num_shards=1)
        header.version.producer = 1
        pairs = [(key, entry.SerializeToString()) for key, entry in sorted(self._entries.items())]
        Path(f"{self._prefix}.index").write_bytes(write_table([(b"", header.SerializeToString()), *pairs]))

    def add(self, name: str, dtype: str, value: np.ndarray[Any, Any], part: Part | None = None) -> None:
        """Adds a tensor, or a part of one.

        Args:
            name: Of the tensor; all parts of a partitioned one have the same.
            dtype: ``float32``, ``bfloat16``, ``string``, ...
            value: A NumPy array; of strings, one of objects that are bytes or str.
            part: Which part it is; None for all of the tensor.

        Raises:
            ValueError: The checkpoint has the tensor already, the name is not one that a tensor can have, or the value is of
                another dtype.
        """
        if dtype == "string":
            texts = [item.encode() if isinstance(item, str) else bytes(item) for item in value.reshape(-1).tolist()]
            data, checksum = encode_strings(texts)
            self.add_encoded(name, dtype, value.shape, [data], checksum, part)
            return
        if value.dtype.itemsize != element_bytes(dtype):
            raise ValueError(f"{name!r} is {dtype}, and its values are {value.dtype}")
        import numpy as np

        flat = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        pieces = (flat[start : start + _PIECE_BYTES].tobytes() for start in range(0, len(flat), _PIECE_BYTES))
        self.add_encoded(name, dtype, value.shape, pieces, None, part)

    def add_encoded(
        self,
        name: str,
        dtype: str,
        shape: Sequence[int],
        pieces: Iterable[bytes],
        checksum: int | None = None,
        part: Part | None = None,
    ) -> None:
        """Adds a tensor, or a part of one, from its bytes as they lie in the data file.

        Args:
            name: As in ``add``.
            dtype: As in ``add``.
            shape: Of the value.
            pieces: Its bytes.
            checksum: Where it is not that of the bytes: of strings.
            part: As in ``add``.

        Raises:
            ValueError: As ``add``.
        """
        entry = self._new_entry(self._key(name, dtype, shape, part), name, dtype, shape)
        found = 0
        start = self._offset
        for piece in pieces:
            self._data.write(piece)
            self._offset += len(piece)
            if checksum is None:
                found = crc32c(piece, found)
        entry.offset, entry.size = start, self._offset - start
        entry.crc32c = masked(found if checksum is None else checksum)

    def _key(self, name: str, dtype: str, shape: Sequence[int], part: Part | None) -> bytes:
        if not name or name.startswith("\0"):
            raise ValueError(f"A tensor in a checkpoint cannot have the name {name!r}")
        if part is None or part.full_shape == tuple(shape):
            return name.encode()
        whole = self._entries.get(name.encode())
        if whole is None:
            whole = self._new_entry(name.encode(), name, dtype, part.full_shape)
        extents = list(zip(part.offset, shape, strict=True))
        added = whole.slices.add()
        for start, length in extents:
            added.extent.add(start=start, length=length)
        return slice_key(name, extents)

    def _new_entry(self, key: bytes, name: str, dtype: str, shape: Sequence[int]) -> Any:
        if key in self._entries:
            raise ValueError(f"The checkpoint has {name!r} already")
        entry = self._entries[key] = self._kind(dtype=dtype_number(dtype))
        entry.shape.SetInParent()
        for size in shape:
            entry.shape.dim.add(size=size)
        return entry


def write_checkpoint(prefix: str | os.PathLike[str], tensors: Mapping[str, Any]) -> None:
    """Writes a V2 checkpoint with one data file.

    Args:
        prefix: Path without ``.index``.
        tensors: Name -> ``Values``, number, bool, string, nested list of one of them, or numpy array.

    Raises:
        ValueError: A value does not fit its dtype, or a name is empty or starts with a NUL character.
    """
    with CheckpointWriter(prefix) as writer:
        for name, value in sorted(tensors.items(), key=lambda item: item[0].encode()):
            values = Values.of(value)
            if values.dtype == "string":
                encoded, checksum = encode_strings(values.items)
                writer.add_encoded(name, values.dtype, values.shape, [encoded], checksum)
            else:
                writer.add_encoded(name, values.dtype, values.shape, [encode_numbers(values.dtype, values.items)])
