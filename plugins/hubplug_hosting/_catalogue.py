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
from hubplug_hosting._members import opened_directory
from hubplug_hosting._tree import ModuleTree

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
        suffix: Of the name of its archive; empty for a directory.
        is_versioned: Whether the URL said the version itself.
    """

    components: tuple[str, ...]
    suffix: str
    is_versioned: bool

    @property
    def is_archive(self) -> bool:
        """Whether it is an archive, or else a directory."""
        return bool(self.suffix)

    @property
    def model(self) -> tuple[str, str | None]:
        """The name of the model, and which version of it this is; None for a model without versions."""
        name = self.name
        above, _, last = name.rpartition("/")
        return (above, last) if above and _is_version(last) else (name, None)

    @property
    def name(self) -> str:
        """``publisher/model/1``: what the URL of the module is, without the suffix of an archive."""
        return "/".join(self.components).removesuffix(self.suffix)


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


def find_place(tree: ModuleTree, components: tuple[str, ...]) -> Place | None:
    """What a URL names: an archive, a module directory, or the newest version of a model; None where there is nothing.

    Raises:
        OSError: A directory cannot be read.
    """
    if not components:
        return None
    *above, last = components
    suffix = tree.suffix_of(last)
    name = tree.without_suffix(last)
    with ExitStack() as opened:
        parent = _open(opened, tree.root, above)
        if parent is None:
            return None
        if name and suffix and _is_regular(last, parent):
            return Place(components, suffix, _is_version(name))
        if (found := _module_called(tree, name, tuple(above), parent)) is not None:
            return Place((*above, name + found), found, _is_version(name))
        model = _open(opened, tree.root, components)
        if model is None:
            return None
        with os.scandir(model) as entries:
            versions = {tree.without_suffix(entry.name) for entry in entries}
        for version in sorted(filter(_is_version, versions), key=int, reverse=True):
            if (found := _module_called(tree, version, components, model)) is not None:
                return Place((*components, version + found), found, False)
    return None


def all_places(tree: ModuleTree, below: tuple[str, ...] = ()) -> Iterator[Place]:
    """Every module below the root, or below a directory in it, by name; hidden names and links are left out."""
    seen: set[str] = set()
    for number, place in enumerate(_below(tree, below)):
        if number >= _MOST_LISTED:
            return
        if place.name not in seen:
            seen.add(place.name)
            yield place


def _below(tree: ModuleTree, components: tuple[str, ...]) -> Iterator[Place]:
    with ExitStack() as opened:
        directory = _open(opened, tree.root, components)
        if directory is None:
            return
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
        for name in names:
            place = (*components, name)
            suffix, stem = tree.suffix_of(name), tree.without_suffix(name)
            if find_name_error(name):
                continue
            if stem and suffix and _is_regular(name, directory):
                yield Place(place, suffix, _is_version(stem))
            elif (below := _open(opened, tree.root, place)) is not None:
                if tree.is_module(below, place):
                    yield Place(place, "", _is_version(name))
                elif len(place) < _DEEPEST:
                    yield from _below(tree, place)


def _module_called(tree: ModuleTree, name: str, above: tuple[str, ...], parent: int) -> str | None:
    """The suffix of the archive of a module, or an empty one for its directory; None where there is neither."""
    for suffix in tree.suffixes:
        if _is_regular(name + suffix, parent):
            return suffix
    with ExitStack() as opened:
        directory = _open(opened, name, (), dir_fd=parent)
        return "" if directory is not None and tree.is_module(directory, (*above, name)) else None


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
