"""What is in a cache directory, as ``hubplug cache`` sees it: entries are described, verified, removed and added."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from hubplug.entries import CacheEntries, CacheEntry
from hubplug.errors import CacheError
from hubplug.files.listing import find_differences
from hubplug.files.unfinished import delete
from hubplug.types import Provenance
from hubplug.urls import redact
from hubplug_cache._directory import Root
from hubplug_cache._entry import Entry, described_handle, inspect
from hubplug_cache._files import write_file
from hubplug_cache._filling import publish
from hubplug_cache._layout import DAMAGED, entry_name, is_entry_name
from hubplug_cache._locking import lock_or_result
from hubplug_cache._manifest import MANIFEST_NAME
from hubplug_cache._pruning import remove
from hubplug_cache._sweeping import sweep
from hubplug_cache._trouble import cache_error

Produce = Callable[[Path], Provenance]


def entries_of(root: Root, read_only: bool, lock_timeout: float) -> CacheEntries:
    """What is in a cache directory, and what may be done with it."""

    def verify(entry: CacheEntry) -> Sequence[str]:
        faults = find_faults(entry.path)
        if not read_only and entry.is_recorded:
            try:
                mark(entry.path, faults)
            except OSError as error:
                return [*faults, cache_error("mark", entry.path, error).message]
        return faults

    def take_away(entries: Sequence[CacheEntry], grace: float) -> Mapping[str, Exception]:
        if not root.path.is_dir():
            return {}
        failed = remove([entry.path for entry in entries], grace)
        sweep(root.path, grace)
        return {path.name: error for path, error in failed.items()}

    def add(sha1: str, provenance: Provenance, produce: Produce) -> Path:
        return add_entry(root, sha1, provenance, produce, lock_timeout)

    if read_only:
        return CacheEntries(root.path, lambda: list_entries(root.path), verify)
    return CacheEntries(root.path, lambda: list_entries(root.path), verify, take_away, add)


def list_entries(root: Path) -> Iterator[CacheEntry]:
    """Every entry of a cache directory, sorted by name; none where there is no such directory.

    Raises:
        OSError: The system could not read the directory.
    """
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return
    for name in sorted(filter(is_entry_name, names)):
        if (entry := _describe(root / name)) is not None:
            yield entry


def handles_in(root: Path) -> list[str]:
    """The handles that the notes beside the entries name in full; none where nothing can be read. Looks at no entry."""
    try:
        names = os.listdir(root)
    except OSError:
        return []
    described = ((name, redact(described_handle(root / name) or "")) for name in names if is_entry_name(name))
    return [handle for name, handle in described if entry_name(handle) == name]


def find_faults(path: Path) -> list[str]:
    """Everything that is wrong with an entry, by hashing every file; an empty list for a good one and where there is none.

    Raises:
        OSError: The system could not read the entry.
    """
    entry = inspect(path)
    if entry.state == "absent" or (entry.state == "hit" and entry.manifest is None):
        return []
    if entry.manifest is None:
        return [entry.fault or "it is damaged"]
    faults = [] if entry.manifest.intact else [f"{MANIFEST_NAME} does not match the checksum that it contains"]
    # The mark of an earlier verification counts for nothing if the digests are right now.
    return faults + find_differences(path, entry.manifest.provenance.files)


def mark(path: Path, faults: Sequence[str]) -> None:
    """Marks an entry as damaged, so that the next resolve fetches it again; a good one loses its mark.

    Raises:
        OSError: The system could not write there.
    """
    delete(path / DAMAGED)
    if faults and path.is_dir() and not path.is_symlink():
        write_file(path / DAMAGED, "; ".join(faults).encode("utf-8", "surrogateescape"))


def add_entry(root: Root, sha1: str, provenance: Provenance, produce: Produce, lock_timeout: float) -> Path:
    """Keeps what ``produce`` writes, unless the entry is there already.

    Raises:
        CacheError: The cache cannot be used, or has another handle there.
        HubplugError: What ``produce`` raised.
    """
    root.prepare()
    sweep(root.path)
    path = root.path / sha1

    def look() -> Entry:
        there = inspect(path, root.trusted_owners)
        if there.manifest is not None and there.manifest.provenance.handle_sha256 != provenance.handle_sha256:
            raise CacheError(
                f"{path} holds {there.manifest.provenance.handle}, and the archive has {provenance.handle} there"
            )
        return there

    def hit() -> Entry | None:
        return there if (there := look()).state == "hit" and there.manifest is not None else None

    with lock_or_result(path, lock_timeout, hit) as found:
        if found is None:
            publish(path, provenance.handle, provenance.handle_sha256, produce, look)
    return path


def _describe(path: Path) -> CacheEntry | None:
    """One entry, or None if it is not there any more."""
    try:
        entry = inspect(path)
    except OSError as error:
        return CacheEntry(path.name, path, fault=error.strerror or str(error))
    if entry.state == "absent":
        return None
    fault = (entry.fault or "it is damaged") if entry.state == "damaged" else None
    if entry.manifest is not None:
        return CacheEntry(path.name, path, entry.manifest.provenance, filled=entry.manifest.time, fault=fault)
    described = described_handle(path)
    if described is None:
        return CacheEntry(path.name, path, fault=fault)
    shown = redact(described)
    digest = hashlib.sha256(described.encode("utf-8", "surrogateescape")).hexdigest()
    known = Provenance(shown, digest, shown) if entry_name(described) == path.name else None
    return CacheEntry(path.name, path, known, handle=shown, fault=fault)
