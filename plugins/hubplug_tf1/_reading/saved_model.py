"""SavedModel protos: from the bytes of a graph variant to TensorFlow's MetaGraphDef, and into ``saved_model.pb``.

Written with maps in sorted order, so that one module gives one sequence of bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tensorflow.compat.v1 import MetaGraphDef

from hubplug.errors import ExportError
from hubplug_format import GraphVariant
from hubplug_tf1._graph.protos import SavedModel

SAVED_MODEL_FILE = "saved_model.pb"

# What a protocol buffer can hold.
_MOST_BYTES = (1 << 31) - 1


def meta_graph_of(variant: GraphVariant) -> MetaGraphDef:
    """A new MetaGraphDef of a graph variant, for the caller to change."""
    return MetaGraphDef.FromString(variant.meta_graph_bytes)


def variant_of(meta_graph: MetaGraphDef, where: str) -> GraphVariant:
    """The graph variant of a MetaGraphDef; ``where`` is what errors call it."""
    return GraphVariant(meta_graph.SerializeToString(deterministic=True), where)


def saved_model_of(variants: Iterable[GraphVariant], rest: bytes = b"") -> SavedModel:
    """A new SavedModel of graph variants, for the caller to change.

    Args:
        variants: The graph variants.
        rest: The encoding of what else the message holds; nothing in modules that were made in this process.
    """
    saved_model = SavedModel.FromString(rest)
    for variant in variants:
        saved_model.meta_graphs.add().MergeFromString(variant.meta_graph_bytes)
    return saved_model


def write_saved_model(directory: Path, saved_model: SavedModel) -> None:
    """Writes ``saved_model.pb``.

    Raises:
        ExportError: The graphs are larger than a protocol buffer can be.
    """
    size = saved_model.ByteSize()
    if size > _MOST_BYTES:
        raise ExportError(
            f"The graphs of the module take {size} bytes, and {SAVED_MODEL_FILE} holds at most {_MOST_BYTES}",
            hint="hold large constants as variables",
        )
    (directory / SAVED_MODEL_FILE).write_bytes(saved_model.SerializeToString(deterministic=True))
