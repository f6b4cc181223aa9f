"""Variables of a TF2 SavedModel: its object graph describes them, and that of its checkpoint says where their values are.

The nodes of the two graphs have the same numbers (``saved_object_graph.proto``, ``trackable_object_graph.proto``), as far
as the checkpoint goes: what has no values may be missing at its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hubplug_format.checkpoint.index import CheckpointIndex
from hubplug_format.module.graph_variant import GraphVariant
from hubplug_format.protos.dtypes import dtype_name
from hubplug_format.protos.schema import message_class, parse

_OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "VARIABLE_VALUE"


@dataclass(frozen=True)
class ObjectVariable:
    """A variable of an object graph whose values the checkpoint says that it has.

    Attributes:
        name: ``dense/kernel``; not unique.
        key: Of its tensor in the checkpoint.
        dtype: ``float32``, ``string``, ...
        shape: With None for an unknown dimension; None for an unknown rank.
    """

    name: str
    key: str
    dtype: str
    shape: tuple[int | None, ...] | None


def read_object_variables(variant: GraphVariant, index: CheckpointIndex) -> list[ObjectVariable]:
    """The variables that both the SavedModel and its checkpoint describe, in the order of the object graph.

    One that the checkpoint calls by another name is left out: nothing then says that it is the same.

    Raises:
        FormatError: One of the two object graphs is damaged.
    """
    if not variant.has_object_graph or _OBJECT_GRAPH_KEY not in index.entries:
        return []
    return list(_matched(variant, index))


def _matched(variant: GraphVariant, index: CheckpointIndex) -> Iterator[ObjectVariable]:
    data = b"".join(index.strings(_OBJECT_GRAPH_KEY))
    stored = parse(message_class("TrackableObjectGraph"), data, f"the object graph of {index.prefix}").nodes
    for node, values in zip(variant.object_graph.nodes, stored, strict=False):
        if node.WhichOneof("kind") != "variable":
            continue
        described = node.variable
        for tensor in values.attributes:
            if tensor.name == _VALUE and tensor.full_name in ("", described.name):
                dims = (None if dim.size < 0 else dim.size for dim in described.shape.dim)
                shape = None if described.shape.unknown_rank else tuple(dims)
                yield ObjectVariable(described.name, tensor.checkpoint_key, dtype_name(described.dtype), shape)
