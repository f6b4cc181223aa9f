"""Serialized ``tf.train.Example``s for graphs that parse them, as models made for serving by Estimators do.

The messages, with the numbers of their fields: Example {Features features = 1}; Features {map<string, Feature> feature = 1};
Feature {BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3}; each list {repeated value = 1}.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from hubplug_format import GraphVariant, dtype_name

_SEED = 14
_RECORDS = 6
# How many values where any number will do.
_FEW = 3
_LISTS = {"string": 1, "float32": 2, "int64": 3}


def records_for(variant: GraphVariant, words: Sequence[bytes]) -> list[bytes]:
    """Records with the features that the graph parses, of the right types and sizes; none where it parses none.

    Args:
        variant: The graph variant.
        words: For features that are strings.
    """
    nodes = {node.name: node for node in variant.graph.nodes}
    features: dict[bytes, tuple[str, int | None]] = {}
    for node in nodes.values():
        features.update(_features_of(node, nodes))
    if not features:
        return []
    chooser = random.Random(_SEED)
    return [_record(features, words or [b"word"], chooser, at_most=2 if number else 1) for number in range(_RECORDS)]


def _features_of(node: Any, nodes: Mapping[str, Any]) -> Iterator[tuple[bytes, tuple[str, int | None]]]:
    if node.op in ("ParseSingleExample", "ParseSequenceExample", "ParseSequenceExampleV2"):
        keys = {kind: list(node.attr[f"{kind}_keys"].list.s) for kind in ("sparse", "dense")}
    elif node.op == "ParseExample":
        first, many = 2 + node.attr["Nsparse"].i, node.attr["Ndense"].i
        given = [_strings(nodes, name) for name in node.input]
        keys = {
            "sparse": [key for keys in given[2:first] for key in keys],
            "dense": [key for keys in given[first : first + many] for key in keys],
        }
    elif node.op == "ParseExampleV2":
        keys = {kind: _strings(nodes, node.input[2 + i]) for i, kind in enumerate(("sparse", "dense", "ragged"))}
    else:
        return
    shapes = node.attr["dense_shapes"].list.shape
    for key, kind, shape in zip(keys["dense"], node.attr["Tdense"].list.type, shapes, strict=False):
        sizes = [_FEW if dim.size < 0 else dim.size for dim in shape.dim]
        yield key, (dtype_name(kind), prod(sizes))
    for name, attribute in (("sparse", "sparse_types"), ("ragged", "ragged_value_types")):
        for key, kind in zip(keys.get(name, ()), node.attr[attribute].list.type, strict=False):
            yield key, (dtype_name(kind), None)


def _strings(nodes: Mapping[str, Any], name: str) -> list[bytes]:
    node = nodes.get(name.partition(":")[0])
    return list(node.attr["value"].tensor.string_val) if node is not None and node.op == "Const" else []


def _record(
    features: Mapping[bytes, tuple[str, int | None]], words: Sequence[bytes], chooser: random.Random, at_most: int
) -> bytes:
    entries = b""
    for key, (dtype, size) in features.items():
        count = chooser.randrange(at_most + 1) if size is None else size
        entries += _field(1, _field(1, key) + _field(2, _feature(dtype, count, words, chooser)))
    return _field(1, entries)


def _feature(dtype: str, count: int, words: Sequence[bytes], chooser: random.Random) -> bytes:
    if dtype == "string":
        values = b"".join(_field(1, chooser.choice(words)) for _ in range(count))
    elif dtype == "float32":
        values = _field(1, struct.pack(f"<{count}f", *(chooser.random() for _ in range(count))))
    else:
        values = _field(1, bytes(chooser.randrange(3) for _ in range(count)))
    return _field(_LISTS.get(dtype, 1), values)


def _field(number: int, data: bytes) -> bytes:
    """A field of a message that is bytes: a message, a string, or packed numbers."""
    size, length = b"", len(data)
    while length > 127:
        size += bytes([length & 127 | 128])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + data
