"""What a person wants to know of a module's files at a glance, as plain data for JSON."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hubplug.errors import FormatError
from hubplug_format.checkpoint.index import CheckpointIndex
from hubplug_format.module.assets import ASSETS_DIRECTORY
from hubplug_format.module.completeness import VARIABLES_PREFIX, find_asset_file_error, find_variable_errors
from hubplug_format.module.graph_variant import GraphVariant
from hubplug_format.module.op_registry import OpRegistry
from hubplug_format.module.saved_model import SavedModelFile
from hubplug_format.protos.schema import message_class, parse

IMAGE_INFO_KEY = "image_module_info"


def describe_directory(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """Describes the files of a module; the graph is not parsed.

    Returns:
        ``directory``; ``tensorflow_version`` that wrote it; ``attachments``: key -> bytes, of all graph variants;
        ``image_size``: ``[height, width]`` of the attached ImageModuleInfo, or None; ``variables``: ``count``, ``bytes``
        and ``data_files``, each None without a readable index where there should be one; ``assets``: ``file`` and
        ``bytes`` (None when it is missing); ``ops_of_other_packages``: op type -> package on PyPI, or None where that is
        not known. Variables and assets whose files are missing or damaged have a ``problem`` that says so.

    Raises:
        FormatError: The definition is damaged.
    """
    directory = Path(directory)
    variants = list(SavedModelFile.read(directory).variants.values())
    registry = OpRegistry.bundled()
    ops = sorted({op for variant in variants for op in variant.stripped_ops} - registry.names)
    attachments: dict[str, int] = {}
    for variant in variants:
        attachments.update({key: len(value) for key, value in variant.attachments.items()})
    return {
        "directory": str(directory),
        "tensorflow_version": next((v.tensorflow_version for v in variants if v.tensorflow_version), None),
        "attachments": attachments,
        "image_size": next((size for variant in variants if (size := image_size(variant))), None),
        "variables": _variables(directory, variants),
        "assets": _assets(directory, variants),
        "ops_of_other_packages": {op: registry.package_of(op) for op in ops},
    }


def image_size(variant: GraphVariant) -> list[int] | None:
    """Height and width that the attached ImageModuleInfo gives; None without one, or where one of them is zero.

    Raises:
        FormatError: The attachment is damaged.
    """
    data = variant.attachments.get(IMAGE_INFO_KEY)
    if data is None:
        return None
    size = parse(message_class("ImageModuleInfo"), data, f"{IMAGE_INFO_KEY} of {variant.where}").default_image_size
    return [size.height, size.width] if size.height > 0 and size.width > 0 else None


def _variables(directory: Path, variants: list[GraphVariant]) -> dict[str, Any]:
    problem = next(find_variable_errors(directory, variants), None)
    try:
        index = CheckpointIndex.read(directory / VARIABLES_PREFIX, check_shards=False)
    except FormatError:
        unknown = None if problem else 0
        counts: dict[str, Any] = {"count": unknown, "bytes": unknown, "data_files": unknown}
    else:
        entries = [entry for entry in index.entries.values() if not entry.name.startswith("_CHECKPOINTABLE")]
        total = sum(index.bytes_of(entry.name) for entry in entries)
        counts = {"count": len(entries), "bytes": total, "data_files": len(index.shards)}
    return {**counts, "problem": problem} if problem else counts


def _assets(directory: Path, variants: list[GraphVariant]) -> list[dict[str, Any]]:
    names = dict.fromkeys(asset.filename for variant in variants for asset in variant.assets)
    return [_asset(directory, name) for name in names]


def _asset(directory: Path, name: str) -> dict[str, Any]:
    if problem := find_asset_file_error(directory, name):
        return {"file": name, "bytes": None, "problem": problem}
    return {"file": name, "bytes": (directory / ASSETS_DIRECTORY / name).stat().st_size}
