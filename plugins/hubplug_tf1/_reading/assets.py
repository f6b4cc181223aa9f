"""Asset files: constants that hold the path of a file, and the files under ``assets/`` that they become.

In a graph in memory such a constant holds the path. On disk it is blank, and an ``AssetFileDef`` in the collection
``saved_model_assets`` names the file below ``assets/``; reading a module puts the path back.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import tensorflow as tf
from tensorflow.compat.v1 import AttrValue, MetaGraphDef, NodeDef

from hubplug.errors import FormatError
from hubplug_format import ASSETS_COLLECTION, AssetInfo
from hubplug_tf1._errors import AssetSourceError, MissingAssetError
from hubplug_tf1._graph.protos import AssetFileDef
from hubplug_tf1._graph.subgraph import op_name
from hubplug_tf1._reading.asset_names import ASSETS_DIRECTORY
from hubplug_tf1._reading.collections import ASSET_FILEPATHS

BLANK = b"SAVEDMODEL-ASSET"


def put_paths(meta_graph: MetaGraphDef, assets: Iterable[AssetInfo], directory: str | os.PathLike[str]) -> None:
    """Puts the paths of the files below a module's directory into its asset constants.

    Args:
        meta_graph: Changed in place.
        assets: Its asset files; their names have been checked.
        directory: The module's directory; a relative one stays relative.

    Raises:
        FormatError: There is no such constant.
    """
    wanted: dict[str, str] = {}
    for asset in assets:
        wanted[op_name(asset.tensor_name)] = os.path.join(directory, ASSETS_DIRECTORY, *asset.filename.split("/"))
    if not wanted:
        return
    for node in meta_graph.graph_def.node:
        if (path := wanted.pop(node.name, None)) is not None:
            _set_path(node, os.fsencode(path))
    if wanted:
        raise FormatError(
            f"{directory} names asset files for {sorted(wanted)}, and its graph has no such nodes",
            hint="export the module again",
        )


class AssetFiles:
    """The files of a module that is being written, over all its graph variants.

    One source path is one file. Where base names are equal, a number is appended to all but the first.
    """

    def __init__(self) -> None:
        self._names: dict[bytes, str] = {}
        self._taken: set[str] = set()

    def take(self, meta_graph: MetaGraphDef) -> None:
        """Blanks the asset constants of a MetaGraphDef and lists their files in ``saved_model_assets``.

        Raises:
            AssetSourceError: An asset is not a constant path.
        """
        tensors = _asset_tensors(meta_graph)
        nodes = {node.name: node for node in meta_graph.graph_def.node} if tensors else {}
        definitions = []
        for tensor in tensors:
            node = nodes.get(op_name(tensor))
            source = None if node is None else _path_in(node)
            if node is None or source is None:
                raise AssetSourceError(
                    f"The asset {tensor!r} must be a constant that holds one path; it comes from the op "
                    f"{node.op if node is not None else 'of another graph'!r}",
                    hint="put tf.constant(path) into the collection ASSET_FILEPATHS",
                )
            definition = AssetFileDef(filename=self._name(source))
            definition.tensor_info.name = tensor
            definitions.append(definition)
            _set_path(node, BLANK)
        meta_graph.collection_def.pop(ASSETS_COLLECTION, None)
        del meta_graph.asset_file_def[:]
        for definition in definitions:
            meta_graph.collection_def[ASSETS_COLLECTION].any_list.value.add().Pack(definition)

    def copy_to(self, directory: Path) -> None:
        """Writes the files into ``assets/`` of a module, which is made even for none.

        Raises:
            MissingAssetError: A source does not exist.
        """
        target = directory / ASSETS_DIRECTORY
        target.mkdir()
        for source, name in self._names.items():
            try:
                tf.io.gfile.copy(os.fsdecode(source), str(target / name))
            except tf.errors.NotFoundError as error:
                raise MissingAssetError(
                    f"The asset file {os.fsdecode(source)} does not exist; nothing was written",
                    hint="put it back, or make the module's definition again with the path where it is now",
                ) from error

    def _name(self, source: bytes) -> str:
        if source not in self._names:
            self._names[source] = name = next(name for name in _candidates(source) if name not in self._taken)
            self._taken.add(name)
        return self._names[source]


def _candidates(source: bytes) -> Iterator[str]:
    base = os.path.basename(os.fsdecode(source))
    yield base
    number = 0
    while True:
        yield f"{base}{number}"
        number += 1


def _asset_tensors(meta_graph: MetaGraphDef) -> list[str]:
    """Asset tensors in the order of their names; those that were read from ``saved_model_assets`` are among them."""
    collections = meta_graph.collection_def
    names = set(collections[ASSET_FILEPATHS].node_list.value) if ASSET_FILEPATHS in collections else set()
    if ASSETS_COLLECTION in collections:
        for item in collections[ASSETS_COLLECTION].any_list.value:
            definition = AssetFileDef()
            if item.Unpack(definition):
                names.add(definition.tensor_info.name)
    names.update(definition.tensor_info.name for definition in meta_graph.asset_file_def)
    return sorted(names)


def _path_in(node: NodeDef) -> bytes | None:
    tensor = node.attr["value"].tensor
    if node.op != "Const" or tensor.dtype != tf.string.as_datatype_enum or tensor.tensor_shape.dim:
        return None
    return tensor.string_val[0] if len(tensor.string_val) == 1 else None


def _set_path(node: NodeDef, path: bytes) -> None:
    value = AttrValue()
    value.tensor.dtype = tf.string.as_datatype_enum
    value.tensor.tensor_shape.SetInParent()
    value.tensor.string_val.append(path)
    node.attr["value"].CopyFrom(value)
