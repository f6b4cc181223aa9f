"""What is in a cache directory, for people and for pruning."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hubplug.urls import redact
from hubplug_cache._entry import described_handle, inspect
from hubplug_cache._layout import entry_name, is_entry_name
from hubplug_cache._manifest import MANIFEST_NAME, Manifest


@dataclass(frozen=True)
class Listed:
    """One entry of a cache directory.

    Attributes:
        path: Its place.
        handle: The redacted handle; None where neither manifest nor note names it.
        state: ``complete``, ``adopted`` (whole, without a manifest) or ``damaged``.
        fault: What is wrong with a damaged one.
        size: Bytes in its files.
        last_used: Seconds since the epoch: when a file of it was last written or, as far as the file system keeps track,
            read.
        manifest: What is recorded of it, or None.
    """

    path: Path
    handle: str | None
    state: str
    fault: str | None
    size: int
    last_used: float
    manifest: Manifest | None

    def as_json(self, cache: str) -> dict[str, Any]:
        """The entry as an object for machines; ``cache`` is the name of the cache in the chain."""
        recorded = self.manifest.provenance if self.manifest else None
        return {
            "cache": cache,
            "key": self.path.name,
            "path": str(self.path),
            "handle": self.handle,
            "state": self.state,
            "fault": self.fault,
            "size": self.size,
            "files": len(recorded.files) if recorded else None,
            "fetched": self.manifest.time if self.manifest else None,
            "last_used": round(self.last_used),
            "location": recorded.location if recorded else None,
            "archive_sha256": recorded.archive_sha256 if recorded else None,
        }


def list_entries(root: Path) -> list[Listed]:
    """Every entry of a cache directory, sorted by name; none where there is no such directory.

    Raises:
        OSError: The system could not read the directory.
    """
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return []
    listed = []
    for name in sorted(filter(is_entry_name, names)):
        if (entry := describe(root / name)) is not None:
            listed.append(entry)
    return listed


def handles_in(root: Path) -> list[str]:
    """The handles that the notes beside the entries name in full; none where nothing can be read. Looks at no entry."""
    try:
        names = os.listdir(root)
    except OSError:
        return []
    described = ((name, redact(described_handle(root / name) or "")) for name in names if is_entry_name(name))
    return [handle for name, handle in described if entry_name(handle) == name]


def describe(path: Path) -> Listed | None:
    """One entry, or None if it is not there any more."""
    size, last_used = _measure(path)
    try:
        entry = inspect(path)
    except OSError as error:
        return Listed(path, None, "damaged", error.strerror or str(error), size, last_used, None)
    if entry.state == "absent":
        return None
    state = "damaged" if entry.state == "damaged" else "complete" if entry.manifest else "adopted"
    described = described_handle(path)
    handle = entry.manifest.provenance.handle if entry.manifest else redact(described) if described else None
    return Listed(path, handle, state, entry.fault, size, last_used, entry.manifest)


def _measure(path: Path) -> tuple[int, float]:
    size, last_used = 0, 0.0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                status = os.lstat(os.path.join(directory, name))
            except OSError:
                continue
            size += status.st_size
            # Listing reads the manifest, which does not count as a use of the module.
            last_used = max(last_used, status.st_mtime, 0.0 if name == MANIFEST_NAME else status.st_atime)
    return size, last_used
