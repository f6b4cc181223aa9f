"""Which module a URL names, and every module that there is.

A URL's path is split and decoded once, checked by component, and opened step by step below the root without following a
link: there is no text that leads elsewhere.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from hubplug.files.names import find_name_error
from hubplug_format import SAVED_MODEL_FILE, SAVED_MODEL_TEXT_FILE
from hubplug_hosting._members import opened_directory

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar")

_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NOTHING = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
_LONGEST_VERSION = 18
_DEEPEST = 8
_MOST_LISTED = 10_000


class BadPath(Exception):
    """The path of a request cannot name a module; says why."""


@dataclass(frozen=True)
class Place:
    """Where a module is below the root.

    Attributes:
        components: Its directory, or its archive.
        is_archive: Which of the two.
        is_versioned: Whether the URL said the version itself.
    """

    components: tuple[str, ...]
    is_archive: bool
    is_versioned: bool

    @property
    def model(self) -> tuple[str, str | None]:
        """The name of the model, and which version of it this is; None for a model without versions."""
        name = self.name
        above, _, last = name.rpartition("/")
        return (above, last) if above and _is_version(last) else (name, None)

    @property
    def name(self) -> str:
        """``publisher/model/1``: what the URL of the module is, without the suffix of an archive."""
        return "/".join((*self.components[:-1], _without_suffix(self.components[-1])))


def components_of(path: str) -> tuple[str, ...]:
    """The decoded components of the path of a URL; a slash at the end does not count.

    Raises:
        BadPath: One of them could name something else than a file below its directory.
    """
    if not path.startswith("/"):
        raise BadPath("the path does not begin with a slash")
    if _ESCAPE.search(path) or not path.isascii():
        raise BadPath("the path is not percent-encoded")
    parts = path[1:].removesuffix("/").split("/") if path != "/" else []
    decoded = []
    for part in parts:
        try:
            component = unquote_to_bytes(part).decode("utf-8")
        except UnicodeDecodeError:
            raise BadPath("the path is not UTF-8") from None
        if "/" in component or (fault := find_name_error(component)):
            raise BadPath("the path has an encoded slash" if "/" in component else f"of a name in the path, {fault}")
        if component.startswith("."):
            raise BadPath("a name in the path begins with a dot")
        decoded.append(component)
    return tuple(decoded)


def find_place(root: str, components: tuple[str, ...]) -> Place | None:
    """What a URL names: an archive, a module directory, or the newest version of a model; None where there is nothing.

    Raises:
        OSError: A directory cannot be read.
    """
    if not components:
        return None
    *above, last = components
    name = _without_suffix(last)
    with ExitStack() as opened:
        parent = _open(opened, root, above)
        if parent is None:
            return None
        if last != name and _is_regular(last, parent):
            return Place(components, True, _is_version(name))
        if (found := _module_called(name, parent)) is not None:
            return Place((*above, found), found != name, _is_version(name))
        model = _open(opened, root, components)
        if model is None:
            return None
        with os.scandir(model) as entries:
            versions = {_without_suffix(entry.name) for entry in entries}
        for version in sorted(filter(_is_version, versions), key=int, reverse=True):
            if (found := _module_called(version, model)) is not None:
                return Place((*components, found), found != version, False)
    return None


def all_places(root: str, below: tuple[str, ...] = ()) -> Iterator[Place]:
    """Every module below the root, or below a directory in it, by name; hidden names and links are left out."""
    seen: set[str] = set()
    for number, place in enumerate(_below(root, below)):
        if number >= _MOST_LISTED:
            return
        if place.name not in seen:
            seen.add(place.name)
            yield place


def is_module(descriptor: int) -> bool:
    """Whether an open directory holds a SavedModel."""
    return any(_is_regular(name, descriptor) for name in (SAVED_MODEL_FILE, SAVED_MODEL_TEXT_FILE))


def _below(root: str, components: tuple[str, ...]) -> Iterator[Place]:
    with ExitStack() as opened:
        directory = _open(opened, root, components)
        if directory is None:
            return
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
        for name in names:
            place = (*components, name)
            stem = _without_suffix(name)
            if find_name_error(name):
                continue
            if stem != name and _is_regular(name, directory):
                yield Place(place, True, _is_version(stem))
            elif (below := _open(opened, root, place)) is not None:
                if is_module(below):
                    yield Place(place, False, _is_version(name))
                elif len(place) < _DEEPEST:
                    yield from _below(root, place)


def _module_called(name: str, parent: int) -> str | None:
    """The name of the archive of a module, or else of its directory; None where there is neither."""
    for suffix in ARCHIVE_SUFFIXES:
        if _is_regular(name + suffix, parent):
            return name + suffix
    with ExitStack() as opened:
        directory = _open(opened, name, (), dir_fd=parent)
        return name if directory is not None and is_module(directory) else None


def _open(opened: ExitStack, path: str, components: Sequence[str], dir_fd: int | None = None) -> int | None:
    """An open directory; None where there is none, or a link on the way."""
    try:
        return opened.enter_context(opened_directory(path, components, dir_fd=dir_fd))
    except OSError as error:
        if error.errno in _NOTHING:
            return None
        raise


def _is_regular(name: str, parent: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError as error:
        if error.errno in _NOTHING:
            return False
        raise


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) <= _LONGEST_VERSION


def _without_suffix(name: str) -> str:
    return next((name.removesuffix(suffix) for suffix in ARCHIVE_SUFFIXES if name.endswith(suffix)), name)
