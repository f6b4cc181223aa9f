"""Asset files: which ones a meta graph names, and which names stay below ``assets/``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from hubplug.files.names import find_name_error
from hubplug_format.protos.schema import message_class, parse

ASSETS_DIRECTORY = "assets"
ASSETS_COLLECTION = "saved_model_assets"

_ASSET_FILE_DEF = "tensorflow.AssetFileDef"


@dataclass(frozen=True)
class AssetInfo:
    """An AssetFileDef.

    Attributes:
        tensor_name: The tensor that is fed the path of the file when the module is loaded: ``Const:0``.
        filename: Relative to ``assets/``, as found: check it with ``find_asset_name_error``.
        source: Where in the meta graph it stands.
    """

    tensor_name: str
    filename: str
    source: Literal["saved_model_assets", "asset_file_def"]


def find_asset_name_error(filename: str) -> str | None:
    """Says why a file name is not a plain relative path below ``assets/``; None for a good one."""
    fault = find_name_error(filename)
    if fault is None and not filename.isprintable():
        fault = "it has a character that does not print"
    return f"the name {filename!a} leads out of {ASSETS_DIRECTORY}/ or is not a plain path: {fault}" if fault else None


def read_assets(packed: Iterable[tuple[str, bytes]], field: Iterable[Any], where: str) -> tuple[AssetInfo, ...]:
    """The assets of a meta graph, from the items of the collection and the messages of the field."""
    kind = message_class("AssetFileDef")
    found = []
    for type_url, value in packed:
        if type_url.rpartition("/")[2] == _ASSET_FILE_DEF:
            asset = parse(kind, value, f"an asset of {where}")
            found.append(AssetInfo(asset.tensor_info.name, asset.filename, "saved_model_assets"))
    found += [AssetInfo(asset.tensor_info.name, asset.filename, "asset_file_def") for asset in field]
    return tuple(found)
