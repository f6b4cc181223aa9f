"""What a hit is.

An entry is a hit if its manifest names the key and the pinned digest, and its files are exactly those of the manifest,
with their sizes, and with their digests where they were written since. One without a manifest, as tensorflow_hub writes them, is a hit if it is structurally complete. Looking
needs no lock and no write, and opens nothing but the manifest, as long as no file was written since.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from hubplug.errors import CacheError
from hubplug.files.listing import Tree, find_difference, is_hidden, kind_of, list_tree
from hubplug.types import Source
from hubplug.urls import redact
from hubplug_cache._layout import DAMAGED, descriptor_of
from hubplug_cache._manifest import MANIFEST_NAME, Manifest, ManifestError, OtherFormat, parse_manifest, read_manifest

_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_TRIES = 5


@dataclass(frozen=True)
class Entry:
    """What lies at the place of an entry.

    Attributes:
        path: The place.
        state: ``hit``: usable; ``absent``; ``damaged``; ``unpinned``: whole, but not known to be the pinned archive.
        fault: What is wrong, for people; None for a hit and where there is nothing.
        manifest: The manifest where there is one that can be read.
        times: Of a hit whose files were found right by hashing them: when they were written last. The manifest has other
            times, so that they are hashed again the next time.
    """

    path: Path
    state: Literal["hit", "absent", "damaged", "unpinned"]
    fault: str | None = None
    manifest: Manifest | None = None
    times: Mapping[str, int] | None = None


def find_entry(path: Path, source: Source, trusted_owners: frozenset[int] | None = None) -> Entry:
    """Looks at the place where the entry of a source would be.

    Args:
        path: The place.
        source: Its key and the pinned digest are what the entry is compared with.
        trusted_owners: Who may own the entry; None: anyone.

    Raises:
        CacheError: The entry belongs to another handle.
        OSError: The system could not read it.
    """
    entry = _settled(path, lambda: inspect(path, trusted_owners))
    if entry.state != "hit":
        return entry
    if entry.manifest is None:
        _refuse_other_descriptor(path, source)
        if source.handle.sha256 is not None:
            fault = f"the digest of its archive was not recorded, and the pinned one is {source.handle.sha256}"
            return Entry(path, "unpinned", fault)
        return entry
    recorded = entry.manifest.provenance
    if _is_foreign(entry.manifest, source):
        raise CacheError(
            f"{path} holds {recorded.handle} (key sha256 {recorded.handle_sha256[:16]}...), and was asked for "
            f"{source.handle.original} (key sha256 {source.key_sha256[:16]}...): two handles with one key",
            hint=f"find out who put it there; `hubplug cache remove {path.name}` makes room",
        )
    if not entry.manifest.intact:
        return Entry(path, "damaged", f"{MANIFEST_NAME} does not match the checksum that it contains", entry.manifest)
    if source.handle.sha256 not in (None, recorded.archive_sha256):
        got = recorded.archive_sha256 or "not recorded"
        fault = f"the digest of its archive is {got}, and the pinned one is {source.handle.sha256}"
        return Entry(path, "unpinned", fault, entry.manifest)
    return entry


def inspect(path: Path, trusted_owners: frozenset[int] | None = None) -> Entry:
    """Looks whether a directory is a whole entry, whoever it belongs to.

    Raises:
        OSError: The system could not read it.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return Entry(path, "absent")
    if not stat.S_ISDIR(status.st_mode):
        return Entry(path, "damaged", f"it is {kind_of(status.st_mode)} and not a directory")
    if trusted_owners is not None and status.st_uid not in trusted_owners:
        return Entry(path, "damaged", f"it belongs to uid {status.st_uid}")
    tree = list_tree(path)
    if not tree.files and not tree.odd:
        return Entry(path, "damaged", "it is empty")
    if MANIFEST_NAME in tree.odd:
        return Entry(path, "damaged", f"{MANIFEST_NAME} is {tree.odd[MANIFEST_NAME]}")
    if MANIFEST_NAME not in tree.files:
        return _without_manifest(path, tree)
    try:
        manifest = parse_manifest(read_manifest(path))
    except OtherFormat:
        return _without_manifest(path, tree)
    except ManifestError as error:
        return Entry(path, "damaged", f"{MANIFEST_NAME} is damaged: {error}")
    if fault := find_difference(tree, manifest.provenance.files):
        return Entry(path, "damaged", fault, manifest)
    if DAMAGED in tree.files:
        return Entry(path, "damaged", read_text(path / DAMAGED) or "it was marked as damaged", manifest)
    if all(tree.times.get(name) == moment for name, moment in manifest.times.items()):
        return Entry(path, "hit", None, manifest)
    from hubplug_cache._changes import find_change  # reads the files; a usual hit reads none

    if fault := find_change(path, tree.times, manifest):
        return Entry(path, "damaged", fault, manifest)
    return Entry(path, "hit", None, manifest, tree.times)


def described_handle(entry: Path) -> str | None:
    """The handle that the note beside an entry names: in clear where tensorflow_hub wrote it, redacted otherwise."""
    text = read_text(descriptor_of(entry)).partition("\n")[0].rstrip("\r")
    return text.removeprefix("Module: ") if text.startswith("Module: ") else None


def read_text(path: Path) -> str:
    """The beginning of a small text; empty where it cannot be read."""
    try:
        with open(os.open(path, _OPEN), "rb") as file:
            return file.read(1 << 16).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _settled(path: Path, look: Callable[[], Entry]) -> Entry:
    """Looks again where another process replaced or removed the entry at that moment, which is not damage."""
    for _ in range(_TRIES):
        before = identity(path)
        try:
            entry = look()
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE):
                raise
        else:
            if entry.state in ("hit", "absent") or identity(path) == before:
                return entry
    return look()


def identity(path: Path) -> tuple[int, int] | None:
    """Tells apart what lay at one place at different times; None where there is nothing."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _without_manifest(path: Path, tree: Tree) -> Entry:
    for name, kind in tree.odd.items():
        if not is_hidden(name):
            return Entry(path, "damaged", f"{name} is {kind}")
    fault = _structural_fault(path, tree.changed)
    return Entry(path, "damaged", fault) if fault else Entry(path, "hit")


@lru_cache(maxsize=256)
def _structural_fault(path: Path, changed: int) -> str:
    """What a module's directory lacks; computed again when something in it has changed."""
    # Parses protocol buffers, so only for entries that need it.
    from hubplug_format import check_complete

    return "; ".join(check_complete(path))


def _refuse_other_descriptor(path: Path, source: Source) -> None:
    described = described_handle(path)
    original = source.handle.original
    if described not in (None, source.key, redact(source.key), original.text, str(original)):
        raise CacheError(
            f"{path} holds {redact(described or '')}, and was asked for {original}: two handles with one key",
            hint=f"find out who put it there; `hubplug cache remove {path.name}` makes room",
        )


def _is_foreign(manifest: Manifest, source: Source) -> bool:
    """Whether a manifest belongs to another handle; a flipped bit in the name of this one is damage, not another name."""
    recorded = manifest.provenance
    if not _nearly_equal(recorded.handle_sha256, source.key_sha256):
        return True
    return not manifest.intact and not _nearly_equal(recorded.handle, str(source.handle.original))


def _nearly_equal(left: str, right: str) -> bool:
    return len(left) == len(right) and sum(a != b for a, b in zip(left, right, strict=True)) <= 2
