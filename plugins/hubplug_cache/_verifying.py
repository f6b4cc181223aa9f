"""Whether the bytes of an entry are those that were published: every file is hashed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from hubplug_cache._entry import find_fault, inspect, list_tree
from hubplug_cache._filling import write_file
from hubplug_cache._layout import DAMAGED
from hubplug_cache._manifest import MANIFEST_NAME
from hubplug_cache._sweeping import delete

_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_CHUNK = 1 << 20


def find_faults(path: Path) -> list[str]:
    """Everything that is wrong with an entry; an empty list for a good one and where there is none.

    Raises:
        OSError: The system could not read the entry.
    """
    entry = inspect(path)
    if entry.state == "absent" or (entry.state == "hit" and entry.manifest is None):
        return []
    if entry.manifest is None:
        return [entry.fault or "it is damaged"]
    faults = [] if entry.manifest.intact else [f"{MANIFEST_NAME} does not have the checksum that it names"]
    tree = list_tree(path)
    for record in entry.manifest.provenance.files:
        if tree.files.get(record.path) == record.size:
            digest = file_sha256(path / record.path)
            if digest != record.sha256:
                faults.append(f"{record.path} has sha256 {digest} instead of {record.sha256}")
    # Sizes and names; the mark of an earlier verification counts for nothing if the digests are right now.
    if fault := find_fault(tree, entry.manifest):
        faults.append(fault)
    return faults


def mark(path: Path, faults: list[str]) -> None:
    """Marks an entry as damaged, so that the next resolve fetches it again; a good one loses its mark.

    Raises:
        OSError: The system could not write there.
    """
    delete(path / DAMAGED)
    if faults and path.is_dir() and not path.is_symlink():
        write_file(path / DAMAGED, "; ".join(faults).encode("utf-8", "surrogateescape"))


def file_sha256(path: Path) -> str:
    """Hexadecimal digest of a file that is not a link.

    Raises:
        OSError: The system could not read it.
    """
    digest = hashlib.sha256()
    with open(_open_quietly(path), "rb", buffering=0) as file:
        while data := file.read(_CHUNK):
            digest.update(data)
    return digest.hexdigest()


def _open_quietly(path: Path) -> int:
    """Opens a file to read it, without leaving the trace of a use where the system allows that."""
    try:
        return os.open(path, _READ | getattr(os, "O_NOATIME", 0))
    except PermissionError:
        return os.open(path, _READ)
