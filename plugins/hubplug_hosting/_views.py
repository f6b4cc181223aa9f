"""What the page of a module shows, put together from the tree and from what the archive says."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from hubplug_hosting._artifacts import Artifact
from hubplug_hosting._catalogue import Place
from hubplug_hosting._descriptions import Description, Descriptions, readme_beside
from hubplug_hosting._listing import versions_of
from hubplug_hosting._pages import ModuleView
from hubplug_hosting._tree import ModuleTree


def describe(root: str, place: Place, artifact: Artifact, descriptions: Descriptions) -> Description:
    """The description of an open archive, with the documentation that lies beside it."""
    last = place.name.rpartition("/")[2]
    return descriptions.get(artifact, artifact.path, readme_beside(root, place.components, last))


def view_of(tree: ModuleTree, place: Place, size: int, sha256: str, known: Description) -> ModuleView:
    """What there is to show by now; the facts are there."""
    model, number = place.model
    modified = 0.0
    with suppress(OSError):
        modified = Path(tree.root, *place.components).lstat().st_mtime
    suffix = "" if place.is_archive else ".tar.gz"
    archive: dict[str, Any] = {
        "path": "/".join(place.components) + suffix,
        "size": size,
        "sha256": sha256,
    }
    checks = known.checks.result() if known.checks.done() else None
    return ModuleView(
        place.name, model, number, versions_of(tree, place), modified, archive, known.facts.result(), checks
    )
