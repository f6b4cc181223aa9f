"""``tfhub_module.pb``: the file that says that a directory is a module in TF1 Hub format, and of which version."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hubplug.errors import FormatError
from hubplug_format.protos.files import names_in, read_capped
from hubplug_format.protos.schema import message_class, parse

MODULE_DEF_FILE = "tfhub_module.pb"
FORMAT_V3 = 3
# Field 1 (format) = 3, as a varint.
MODULE_DEF_BYTES = b"\x08\x03"

_MAX_BYTES = 64 << 10


@dataclass(frozen=True)
class ModuleDef:
    """What ``tfhub_module.pb`` says.

    Attributes:
        format: Its version; 3 is the only one there is.
        required_features: What a reader must know besides; no feature was ever defined.
    """

    format: int
    required_features: tuple[str, ...] = ()


def read_module_def(directory: str | os.PathLike[str]) -> ModuleDef:
    """Reads and checks ``tfhub_module.pb``.

    Args:
        directory: The module's directory.

    Raises:
        FormatError: The file is missing or damaged, its format is not 3, or it requires features.
    """
    path = Path(directory) / MODULE_DEF_FILE
    if not path.parent.is_dir():
        raise FormatError(f"There is no directory {path.parent}", hint="check the path")
    if not os.path.lexists(path):
        raise FormatError(
            f"{path.parent} is not in TF1 Hub format: it has no {MODULE_DEF_FILE}, but {names_in(path.parent)}",
            hint="load a plain SavedModel with hubplug.load(...)",
        )
    message = parse(message_class("ModuleDef"), read_capped(path, _MAX_BYTES), str(path))
    definition = ModuleDef(message.format, tuple(message.required_features))
    if definition.format != FORMAT_V3:
        raise FormatError(
            f"Unsupported module def format: {definition.format} in {path}, where hubplug reads format {FORMAT_V3}",
            hint="fetch or export the module again; a newer format needs a newer hubplug",
        )
    if definition.required_features:
        raise FormatError(
            f"Unsupported features: {_abridged(definition.required_features)} are required by {path}, and hubplug knows none",
            hint="use a release of hubplug that knows them",
        )
    return definition


def _abridged(names: Sequence[str]) -> str:
    shown = [name[:80] for name in names[:8]]
    return f"{shown}" if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
