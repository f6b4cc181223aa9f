"""A model of a disk that loses power: what was recorded of a program's changes, and every way in which they may be lost.

Only fsync makes something last: of a file its bytes, of a directory its names. Until then a name may be there or not, each
for itself, and the bytes may be missing, zeros, or cut. Renaming within a directory is atomic. That is less than today's
file systems promise, and what POSIX does.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.reliability.strace import Call

Tree = dict[str, "bytes | Tree"]

_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_AT = re.compile(r'^(?:AT_FDCWD|\d+)<(?P<directory>[^>]*)>, "(?P<name>[^"]*)"')
_RESULT = re.compile(r"= (\d+)(?:<.*>)?$")


@dataclass(eq=False)
class File:
    """Its number, how many bytes were written, and how many of these are safe."""

    number: int
    written: int = 0
    synced: int = 0


@dataclass(eq=False)
class Change:
    """Of the names of a directory: one that goes, one that comes, or both at once."""

    removed: str | None
    added: str | None
    node: File | Directory | None


@dataclass(eq=False)
class Directory:
    """The names as programs see them, those that are safe, and what lies between."""

    names: dict[str, File | Directory] = field(default_factory=dict)
    safe: dict[str, File | Directory] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)

    def change(self, removed: str | None, added: str | None, node: File | Directory | None) -> None:
        change = Change(removed, added, node)
        _apply(self.names, change)
        self.pending.append(change)

    def sync(self) -> None:
        self.safe, self.pending = dict(self.names), []


class Recording:
    """The changes that a program made below a directory, whose first content is safe."""

    def __init__(self, root: Path, before: Tree, calls: Sequence[Call], with_fsync: bool = True) -> None:
        """Takes what was recorded.

        Args:
            root: The directory, as the program has left it.
            before: What it held before.
            calls: The changing calls, in order.
            with_fsync: False: the disk that takes every fsync and does nothing, for a check of this model itself.
        """
        self.calls = calls
        self._root = root
        self._before = before
        self._with_fsync = with_fsync
        self._contents: dict[int, bytes] = {}
        disk = self._after(len(calls))
        self._learn(disk, root)
        self._times = {path.relative_to(root): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}

    def date(self, root: Path) -> None:
        """Gives the files of a state the times that they had in the end: those may have lasted where bytes did not."""
        for path, moment in self._times.items():
            if (root / path).is_file():
                os.utime(root / path, ns=(moment, moment))

    def states(self, prefix: int, chance: random.Random, samples: int) -> Iterator[Tree]:
        """What may be there after a power failure behind the first ``prefix`` calls.

        Args:
            prefix: How many calls were made.
            chance: Draws the samples.
            samples: How many mixtures there are beside the pure ones.
        """
        disk = self._after(prefix)
        for keep in (False, True):
            for lose in (_nothing, _zeros, _half):
                yield self._tree(disk, lambda keep=keep: keep, lambda lose=lose: lose)
        for _ in range(samples):
            share = chance.choice((1.0, chance.random()))
            # The right length with other bytes is what a check of sizes does not notice.
            losses = chance.choice(((_nothing, _zeros, _half, _everything), (_zeros, _everything)))
            yield self._tree(
                disk,
                lambda share=share: chance.random() < share,
                lambda losses=losses: chance.choice(losses),
            )

    def _after(self, prefix: int) -> Directory:
        self._count = 0
        disk = self._load(self._before)
        for call in self.calls[:prefix]:
            self._replay(disk, call)
        return disk

    def _load(self, tree: Tree) -> Directory:
        directory = Directory()
        for name, content in sorted(tree.items()):
            node: File | Directory
            if isinstance(content, dict):
                node = self._load(content)
            else:
                node = self._file(len(content))
                self._contents[node.number] = content
                node.synced = node.written
            directory.names[name] = node
        directory.sync()
        return directory

    def _file(self, written: int = 0) -> File:
        self._count += 1
        return File(self._count, written)

    def _learn(self, disk: Directory, path: Path) -> None:
        """What was written, from where it is now."""
        for name, node in disk.names.items():
            if isinstance(node, Directory):
                self._learn(node, path / name)
            else:
                self._contents[node.number] = (path / name).read_bytes()
                assert len(self._contents[node.number]) == node.written, path / name

    def _replay(self, disk: Directory, call: Call) -> None:
        if call.name in ("mkdir", "mkdirat", "openat"):
            parent, name = self._find(disk, _path(call))
            if parent is not None and name not in parent.names:
                parent.change(None, name, self._file() if call.name == "openat" else Directory())
        elif call.name == "write":
            node = self._node(disk, _descriptor_path(call))
            result = _RESULT.search(call.text)
            if isinstance(node, File) and result:
                node.written += int(result[1])
        elif call.name == "ftruncate":
            node = self._node(disk, _descriptor_path(call))
            assert isinstance(node, File), call
            node.written = int(call.text.partition(">, ")[2].partition(")")[0])
            node.synced = min(node.synced, node.written)
        elif call.name in ("fsync", "fdatasync"):
            node = self._node(disk, _descriptor_path(call))
            if self._with_fsync and isinstance(node, File):
                node.synced = node.written
            elif self._with_fsync and isinstance(node, Directory):
                node.sync()
        elif call.name in ("unlink", "rmdir", "unlinkat"):
            parent, name = self._find(disk, _path(call))
            assert parent is not None, call
            parent.change(name, None, None)
        elif call.name in ("rename", "renameat", "renameat2"):
            old, new = (Path(text) for text in _STRING.findall(call.text))
            parent, name = self._find(disk, old)
            other, new_name = self._find(disk, new)
            assert parent is not None, call
            assert parent is other, call
            parent.change(name, new_name, parent.names[name])
        else:
            assert call.name in ("flock", "fchmod", "chmod", "utimensat"), call

    def _find(self, disk: Directory, path: Path) -> tuple[Directory | None, str]:
        """The directory that holds a path, and its name there; None for the root itself and what is outside of it."""
        if not path.is_relative_to(self._root) or path == self._root:
            return None, ""
        *above, name = path.relative_to(self._root).parts
        for part in above:
            node = disk.names[part]
            assert isinstance(node, Directory)
            disk = node
        return disk, name

    def _node(self, disk: Directory, path: Path) -> File | Directory | None:
        if path == self._root:
            return disk
        parent, name = self._find(disk, path)
        return None if parent is None else parent.names[name]

    def _tree(self, directory: Directory, keep: Callable[[], bool], lose: Callable[[], Lose]) -> Tree:
        names = dict(directory.safe)
        for change in directory.pending:
            if keep():
                _apply(names, change)
        return {
            name: self._tree(node, keep, lose)
            if isinstance(node, Directory)
            else lose()(self._contents.get(node.number, b"")[: node.written], node.synced)
            for name, node in names.items()
        }


Lose = Callable[[bytes, int], bytes]


def _nothing(data: bytes, synced: int) -> bytes:
    return data[:synced]


def _zeros(data: bytes, synced: int) -> bytes:
    return data[:synced] + bytes(len(data) - synced)


def _half(data: bytes, synced: int) -> bytes:
    return data[: (synced + len(data)) // 2]


def _everything(data: bytes, synced: int) -> bytes:
    return data


def read_tree(path: Path) -> Tree:
    """What a directory holds."""
    return {entry.name: read_tree(entry) if entry.is_dir() else entry.read_bytes() for entry in path.iterdir()}


def write_tree(path: Path, tree: Mapping[str, bytes | Tree]) -> None:
    """Makes a directory that holds this."""
    path.mkdir()
    for name, content in tree.items():
        if isinstance(content, dict):
            write_tree(path / name, content)
        else:
            (path / name).write_bytes(content)


def _apply(names: dict[str, File | Directory], change: Change) -> None:
    if change.removed is not None:
        names.pop(change.removed, None)
    if change.added is not None:
        assert change.node is not None
        names[change.added] = change.node


def _path(call: Call) -> Path:
    """What a call makes or removes: an absolute path, or a name in an open directory."""
    if match := _AT.match(call.text):
        return Path(match["directory"]) / match["name"]
    found = _STRING.search(call.text)
    assert found is not None, call
    return Path(found[1])


def _descriptor_path(call: Call) -> Path:
    return Path(call.text.partition("<")[2].partition(">")[0])
