"""Whether the bytes of an entry are those that were published: every file is hashed."""

from __future__ import annotations

from pathlib import Path

from hubplug.files.unfinished import delete
from hubplug_cache._entry import find_fault, inspect, list_tree
from hubplug_cache._files import file_sha256, write_file
from hubplug_cache._layout import DAMAGED
from hubplug_cache._manifest import MANIFEST_NAME


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
    faults = [] if entry.manifest.intact else [f"{MANIFEST_NAME} does not match the checksum that it contains"]
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
