"""Whether a directory holds a whole module: every file that its definition names, and no less.

Structure only, in milliseconds: the content of assets and the values of variables have no checksum that covers them all,
so a flipped bit in them is the business of a manifest.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from hubplug.errors import FormatError
from hubplug_format.checkpoint.index import CheckpointIndex
from hubplug_format.module.assets import ASSETS_DIRECTORY, find_asset_name_error
from hubplug_format.module.graph_variant import GraphVariant
from hubplug_format.module.module_def import MODULE_DEF_FILE, read_module_def
from hubplug_format.module.saved_model import SavedModelFile

VARIABLES_PREFIX = "variables/variables"

_CHECKPOINTED = {"variables", "model_variables", "trainable_variables"}


def check_complete(directory: str | os.PathLike[str]) -> list[str]:
    """Says what is missing or damaged in a module's directory.

    Args:
        directory: A module in TF1 Hub format, or a plain SavedModel.

    Returns:
        One sentence for each problem, in the order of the files; none for a complete module.
    """
    directory = Path(directory)
    if not directory.is_dir():
        return [f"There is no directory {directory}"]
    problems = []
    if os.path.lexists(directory / MODULE_DEF_FILE):
        try:
            read_module_def(directory)
        except FormatError as error:
            problems.append(error.message)
    try:
        variants = tuple(SavedModelFile.read(directory).variants.values())
        problems += find_variable_errors(directory, variants)
        problems += _find_asset_errors(directory, variants)
    except FormatError as error:
        problems.append(error.message)
    return problems


def find_asset_file_error(directory: str | os.PathLike[str], filename: str) -> str | None:
    """Says why the file of an asset cannot be used: a bad name, missing, not a regular file, behind a link; None for good."""
    if error := find_asset_name_error(filename):
        return f"An asset of {directory} has a bad name: {error}"
    path = Path(directory)
    for part in (ASSETS_DIRECTORY, *filename.split("/")):
        path /= part
        try:
            mode = path.lstat().st_mode
        except (OSError, ValueError):
            return f"{path} is missing, and the module needs the asset {filename!r}"
        if stat.S_ISLNK(mode):
            return f"{path} is a link, and the module needs the asset {filename!r} as a file of its own"
    return None if stat.S_ISREG(mode) else f"{path} is not a regular file, and the module needs it as an asset"


def find_variable_errors(directory: Path, variants: Sequence[GraphVariant]) -> Iterator[str]:
    """Says which files of the variables are missing or damaged.

    Raises:
        FormatError: A definition of a variable is damaged.
    """
    prefix = directory / VARIABLES_PREFIX
    index = Path(f"{prefix}.index")
    if os.path.lexists(index):
        try:
            CheckpointIndex.read(prefix)
        except FormatError as error:
            yield error.message
        return
    variables = sum(
        not _CHECKPOINTED.isdisjoint(variable.collections) for variant in variants for variable in variant.variables
    )
    if variables:
        yield f"{index} is missing, and the module has {variables} variables"
    elif any(variant.has_object_graph for variant in variants):
        yield f"{index} is missing, and a TF2 SavedModel has one"
    elif any(prefix.parent.glob(f"{prefix.name}.data-*")):
        yield f"{index} is missing, but its data files are there"


def _find_asset_errors(directory: Path, variants: tuple[GraphVariant, ...]) -> Iterator[str]:
    names = dict.fromkeys(asset.filename for variant in variants for asset in variant.assets)
    for name in names:
        if error := find_asset_file_error(directory, name):
            yield error
