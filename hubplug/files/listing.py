"""What lies in a directory, and how it differs from the files that should be there; links are named, never followed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hubplug.types import FileRecord

_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Tree:
    """What is below a directory.

    Attributes:
        files: Sizes in bytes by relative path.
        times: When each of them was written last (``st_mtime_ns``).
        odd: What is neither file nor directory, by relative path.
        changed: When something of it changed last (``st_ctime_ns``).
    """

    files: dict[str, int]
    times: dict[str, int]
    odd: dict[str, str]
    changed: int = 0


def list_tree(root: Path) -> Tree:
    """Every file below a directory.

    Raises:
        OSError: The system could not read a directory.
    """
    files: dict[str, int] = {}
    times: dict[str, int] = {}
    odd: dict[str, str] = {}
    changed = os.lstat(root).st_ctime_ns
    pending = [("", os.fspath(root))]
    while pending:
        prefix, directory = pending.pop()
        with os.scandir(directory) as scan:
            members = list(scan)
        for member in members:
            name = prefix + member.name
            mode = (status := member.stat(follow_symlinks=False)).st_mode
            changed = max(changed, status.st_ctime_ns)
            if stat.S_ISREG(mode):
                files[name] = status.st_size
                times[name] = status.st_mtime_ns
            elif stat.S_ISDIR(mode):
                pending.append((name + "/", member.path))
            else:
                odd[name] = kind_of(mode)
    return Tree(files, times, odd, changed)


def find_difference(tree: Tree, records: Sequence[FileRecord]) -> str | None:
    """How names and sizes differ from those of records, or None; no file is read."""
    expected = {record.path: record.size for record in records}
    for path, size in expected.items():
        if path in tree.odd:
            return f"{path} is {tree.odd[path]}"
        if path not in tree.files:
            return f"{path} is missing"
        if tree.files[path] != size:
            return f"{path} has {tree.files[path]:,} bytes instead of {size:,}"
    for path in (*tree.files, *tree.odd):
        # File managers and network file systems leave hidden files behind, which nothing loads.
        if path not in expected and not is_hidden(path):
            return f"{path} does not belong to it"
    return None


def find_differences(root: Path, records: Sequence[FileRecord]) -> list[str]:
    """Everything in which a directory differs from records; every file is hashed.

    Raises:
        OSError: The system could not read it.
    """
    tree = list_tree(root)
    faults = []
    for record in records:
        if tree.files.get(record.path) == record.size and (digest := file_sha256(root / record.path)) != record.sha256:
            faults.append(f"{record.path} has sha256 {digest} instead of {record.sha256}")
    if difference := find_difference(tree, records):
        faults.append(difference)
    return faults


def file_sha256(path: Path) -> str:
    """Hexadecimal digest of a file that is not a link; without the trace of a use where the system allows that.

    Raises:
        OSError: The system could not read it.
    """
    digest = hashlib.sha256()
    with open(_open_quietly(path), "rb", buffering=0) as file:
        while data := file.read(_CHUNK):
            digest.update(data)
    return digest.hexdigest()


def is_hidden(path: str) -> bool:
    """Whether a component of a relative path begins with a dot."""
    return any(component.startswith(".") for component in path.split("/"))


def kind_of(mode: int) -> str:
    """What something is, by its ``st_mode``, for people."""
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISREG(mode):
        return "a file"
    if stat.S_ISDIR(mode):
        return "a directory"
    return "a device, pipe or socket"


def _open_quietly(path: Path) -> int:
    try:
        return os.open(path, _READ | getattr(os, "O_NOATIME", 0))
    except PermissionError:
        return os.open(path, _READ)
