"""Which names an asset file of a module may have: those that stay below ``assets/``."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from hubplug.errors import FormatError
from hubplug_format import AssetInfo

ASSETS_DIRECTORY = "assets"


def find_escape(filename: str) -> str | None:
    """Says so if a file name leads out of ``assets/``, compared by path component; None if it stays below."""
    normal = posixpath.normpath(filename)
    plain = filename and "\0" not in filename and "\\" not in filename and not posixpath.isabs(filename)
    if plain and normal != "." and normal.partition("/")[0] != "..":
        return None
    return f"Asset filename {filename!r} leads out of {ASSETS_DIRECTORY}/"


def check_filenames(assets: Iterable[AssetInfo], where: object) -> None:
    """Checks the file names of a graph variant.

    Raises:
        FormatError: One leads out of ``assets/``.
    """
    for asset in assets:
        if error := find_escape(asset.filename):
            raise FormatError(
                f"{error} of {where}", hint="do not use it: nothing that exports modules writes such a name"
            )
