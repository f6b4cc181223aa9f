"""``tf.contrib.lookup`` in terms of TensorFlow's own lookup ops, which took over all but some names of arguments."""

from __future__ import annotations

from typing import Any

from tensorflow.compat import v1
from tensorflow.python.ops import lookup_ops
from tensorflow.python.ops.lookup_ops import (  # noqa: F401
    FastHashSpec,
    HasherSpec,
    IdTableWithHashBuckets,
    InitializableLookupTableBase,
    KeyValueTensorInitializer,
    LookupInterface,
    StrongHashSpec,
    TextFileIdTableInitializer,
    TextFileIndex,
    TextFileInitializer,
    TextFileStringTableInitializer,
    index_table_from_file,
    index_to_string_table_from_file,
)


def index_table_from_tensor(
    mapping: Any,
    num_oov_buckets: int = 0,
    default_value: int = -1,
    hasher_spec: Any = FastHashSpec,
    dtype: Any = v1.string,
    name: str | None = None,
) -> Any:
    """A table from the strings of a tensor to their places in it."""
    return lookup_ops.index_table_from_tensor(mapping, num_oov_buckets, default_value, hasher_spec, dtype, name)


def index_to_string_table_from_tensor(mapping: Any, default_value: str = "UNK", name: str | None = None) -> Any:
    """A table from places in a tensor to the strings there."""
    return lookup_ops.index_to_string_table_from_tensor(mapping, default_value, name)


class HashTable(lookup_ops.StaticHashTableV1):
    """A table that an initializer fills."""

    def __init__(
        self, initializer: Any, default_value: Any, shared_name: str | None = None, name: str | None = None
    ) -> None:
        _refuse_sharing("HashTable", shared_name)
        super().__init__(initializer, default_value, name)


class MutableHashTable(lookup_ops.MutableHashTable):
    """A table that grows."""

    def __init__(
        self,
        key_dtype: Any,
        value_dtype: Any,
        default_value: Any,
        shared_name: str | None = None,
        name: str = "MutableHashTable",
        checkpoint: bool = True,
    ) -> None:
        _refuse_sharing("MutableHashTable", shared_name)
        super().__init__(key_dtype, value_dtype, default_value, name, checkpoint)


def _refuse_sharing(kind: str, shared_name: str | None) -> None:
    if shared_name is not None:
        raise ValueError(
            f"tf.contrib.lookup.{kind}(shared_name={shared_name!r}): tables that are shared by name ended with TensorFlow 1.15"
        )
