"""The models of a tree as a person lists them: their versions, sizes and dates."""

from __future__ import annotations

import os
import stat
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from difflib import get_close_matches

from hubplug_hosting._catalogue import Place, all_places
from hubplug_hosting._members import opened_directory
from hubplug_hosting._tree import ModuleTree

_DEEPEST = 8
_MOST_NEAR = 5
_SECONDS_KEPT = 1.0


@dataclass(frozen=True)
class Version:
    """A module as it lies in the tree.

    Attributes:
        place: Where.
        number: Of its version; None for a model without versions.
        size: Of the archive, or of all files of the directory, in bytes.
        modified: When the newest of these was written, in seconds since 1970.
    """

    place: Place
    number: str | None
    size: int
    modified: float


@dataclass(frozen=True)
class Model:
    """A model with its versions, the newest first."""

    name: str
    versions: tuple[Version, ...]

    @property
    def newest(self) -> Version:
        """The version that a URL without one means."""
        return self.versions[0]


class Listing:
    """All models of a tree, looked for at most once a second, however many ask."""

    def __init__(self, tree: ModuleTree) -> None:
        self._tree = tree
        self._lock = threading.Lock()
        self._models: list[Model] = []
        self._until = 0.0

    def search(self, words: str = "") -> list[Model]:
        """Those whose names have every one of some words, by name."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._models = list_models(self._tree)
                self._until = time.monotonic() + _SECONDS_KEPT
            models = self._models
        wanted = words.casefold().split()
        return [model for model in models if all(word in model.name.casefold() for word in wanted)]


def list_models(tree: ModuleTree, below: tuple[str, ...] = ()) -> list[Model]:
    """The models below the root, or below a directory in it, by name."""
    places = all_places(tree, below)
    models: dict[str, list[Version]] = {}
    with opened_directory(tree.root) as descriptor:
        for place in places:
            name, number = place.model
            models.setdefault(name, []).append(_version(place, number, descriptor))
    for versions in models.values():
        versions.sort(key=lambda version: int(version.number or -1), reverse=True)
    return [Model(name, tuple(models[name])) for name in sorted(models)]


def versions_of(tree: ModuleTree, place: Place) -> list[str]:
    """The version numbers of a module's model, the newest first."""
    model, number = place.model
    if number is None:
        return []
    found = {other.model[1] for other in all_places(tree, tuple(model.split("/"))) if other.model[0] == model}
    return sorted((version for version in found if version is not None), key=int, reverse=True)


def near_names(tree: ModuleTree, components: tuple[str, ...]) -> list[str]:
    """Names of models and modules that may have been meant."""
    places = list(all_places(tree))
    names = {place.name: place.name for place in places} | {place.model[0]: place.model[0] for place in places}
    by_last = {name.rpartition("/")[2].casefold(): name for name in names if not name.rpartition("/")[2].isdecimal()}
    asked = "/".join(components)
    close = get_close_matches(asked.casefold(), {name.casefold(): name for name in names}, n=_MOST_NEAR, cutoff=0.6)
    folded = {name.casefold(): name for name in names}
    last = [part for part in components if not part.isdecimal()][-1:]
    also = get_close_matches(last[0].casefold(), by_last, n=2, cutoff=0.7) if last else []
    return list(dict.fromkeys([*(folded[name] for name in close), *(by_last[name] for name in also)]))[:_MOST_NEAR]


def _version(place: Place, number: str | None, root: int) -> Version:
    size, modified = 0, 0.0
    with suppress(OSError), ExitStack() as opened:  # one that has just been removed
        if place.is_archive:
            parent = opened.enter_context(opened_directory(".", place.components[:-1], dir_fd=root))
            status = os.stat(place.components[-1], dir_fd=parent, follow_symlinks=False)
            size, modified = status.st_size, status.st_mtime
        else:
            size, modified = _extent(opened.enter_context(opened_directory(".", place.components, dir_fd=root)), 0)
    return Version(place, number, size, modified)


def _extent(directory: int, depth: int) -> tuple[int, float]:
    size, modified = 0, 0.0
    with os.scandir(directory) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                size, modified = size + status.st_size, max(modified, status.st_mtime)
            elif stat.S_ISDIR(status.st_mode) and depth < _DEEPEST:
                with opened_directory(entry.name, dir_fd=directory) as below:
                    more, newer = _extent(below, depth + 1)
                size, modified = size + more, max(modified, newer)
    return size, modified
