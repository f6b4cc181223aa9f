"""Carries entries to a machine without a network: one tar archive, checked against its manifests on the way in.

The archive holds ``hubplug-cache.json`` (which says that it is one), and for each entry ``<sha1>/.hubplug.json`` and then
its files. It is reproducible: sorted, without times and owners.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from hubplug.errors import ArchiveError, CacheError, DigestMismatch, HubplugError
from hubplug.files.staging import replace_file
from hubplug.files.tar.reading import Member, TarReader
from hubplug.files.tar.writing import END, member_bytes
from hubplug.files.tree import Limits, TreeWriter
from hubplug.types import FileRecord, Provenance
from hubplug.urls import redact
from hubplug_cache._directory import Root
from hubplug_cache._entry import Entry, described_handle, identity, inspect, list_tree
from hubplug_cache._files import file_sha256
from hubplug_cache._filling import publish
from hubplug_cache._layout import entry_name, is_entry_name
from hubplug_cache._locking import lock_or_result
from hubplug_cache._manifest import MANIFEST_NAME, MAX_BYTES, Manifest, ManifestError, parse_manifest
from hubplug_cache._sweeping import sweep
from hubplug_cache._trouble import cache_error

INDEX = "hubplug-cache.json"
_INDEX_BYTES = json.dumps({"format": 1}).encode("ascii") + b"\n"
_CHUNK = 1 << 20
# An archive may have any number of entries; each is unpacked with the usual caps.
_LIMITS = Limits(max_members=sys.maxsize)


@dataclass(frozen=True)
class Imported:
    """An entry of an archive that was read.

    Attributes:
        path: Where it is.
        handle: The one that its manifest shows.
        added: False where the cache had it already.
        derived: Whether its place follows from that handle. Where it does not, since secrets were taken out of the handle or its
            plugin keeps modules by another key, only the archive says which handle it is for.
    """

    path: Path
    handle: str
    added: bool
    derived: bool


def export_entries(entries: Sequence[Path], archive: Path, *, all_of_them: bool = False) -> list[Path]:
    """Writes entries into a new tar archive, which appears when it is whole.

    Args:
        entries: Which ones.
        archive: The archive.
        all_of_them: Whether they are merely what there is, so that one that is removed meanwhile is left out.

    Returns:
        The entries that were left out.

    Raises:
        CacheError: An entry is damaged, its handle is unknown, or the archive cannot be written.
    """
    gone = []
    try:
        with replace_file(archive) as file:
            file.writelines(member_bytes(INDEX, len(_INDEX_BYTES), [_INDEX_BYTES]))
            for entry in sorted(entries):
                before, at = identity(entry), file.tell()
                try:
                    file.writelines(_entry_bytes(entry))
                except (OSError, CacheError):
                    if not all_of_them or (before is not None and identity(entry) == before):
                        raise
                    gone.append(entry)
                    file.seek(at)
                    file.truncate()
            file.write(END)
    except OSError as error:
        if isinstance(error, CacheError):
            raise
        raise cache_error("write", archive, error, hint="choose another place for the archive") from error
    return gone


def import_entries(root: Root, archive: Path, lock_timeout: float) -> Iterator[Imported]:
    """Adds the entries of an archive to a cache, one after the other; those that are there already are only checked.

    Raises:
        ArchiveError: The archive is damaged, or was not made by ``export_entries``.
        DigestMismatch: A file is not what its manifest says.
        CacheError: The cache cannot be used, or has another handle under the key of an entry.
    """
    root.prepare()
    try:
        file = open(archive, "rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise cache_error("read", archive, error, hint="check the path, and who may read it") from error
    try:
        with file:
            sweep(root.path)
            _demand_index(archive, file)
            members = TarReader(iter(lambda: file.read(_CHUNK), b""), str(archive), _LIMITS).members()
            first = next(members, None)
            if first is None or first.size != len(_INDEX_BYTES) or b"".join(first.content) != _INDEX_BYTES:
                raise _foreign(archive)
            for member in members:
                name, _, rest = member.name.partition("/")
                if not is_entry_name(name) or rest != MANIFEST_NAME:
                    raise ArchiveError(f"{archive}: {member.name!r} is where the manifest of an entry should be")
                yield _import_entry(root, name, _read_manifest(archive, member), members, lock_timeout)
    except OSError as error:
        if isinstance(error, HubplugError):
            raise
        raise cache_error(f"import {archive} into", root.path, error) from error


def _demand_index(archive: Path, file: BinaryIO) -> None:
    if file.read(len(INDEX) + 1) != INDEX.encode() + b"\0":
        raise _foreign(archive)
    file.seek(0)


def _foreign(archive: Path) -> ArchiveError:
    return ArchiveError(
        f"{archive} is not an archive that `hubplug cache export` wrote",
        hint="the archive of one module needs no import: give its path where a handle is expected",
    )


def manifest_for_export(path: Path) -> Manifest:
    """The manifest of an entry; made anew for one that tensorflow_hub wrote.

    Raises:
        CacheError: The entry is damaged, or its handle is not known.
    """
    entry = inspect(path)
    if entry.state != "hit":
        raise CacheError(
            f"{path} is {entry.state}: {entry.fault or 'there is nothing'}", hint="resolve its handle again"
        )
    if entry.manifest is not None:
        return replace(entry.manifest, times={})  # a copy's files have times of their own
    handle = described_handle(path)
    if handle is None or entry_name(handle) != path.name:
        raise CacheError(
            f"{path} has no manifest, and the note beside it does not name its handle, so it could not be found again",
            hint="resolve its handle with hubplug",
        )
    files = tuple(
        FileRecord(name, size, file_sha256(path / name))
        for name, size in sorted(list_tree(path).files.items())
        if not any(component.startswith(".") for component in name.split("/"))
    )
    return Manifest(Provenance(redact(handle), _key_sha256(handle), redact(handle), files=files), "", "tensorflow_hub")


def _entry_bytes(path: Path) -> Iterator[bytes]:
    manifest = manifest_for_export(path)
    data = manifest.to_bytes()
    yield from member_bytes(f"{path.name}/{MANIFEST_NAME}", len(data), [data])
    for record in manifest.provenance.files:
        yield from member_bytes(f"{path.name}/{record.path}", record.size, _file_bytes(path / record.path, record.size))


def _file_bytes(path: Path, size: int) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while data := file.read(_CHUNK):
            size -= len(data)
            yield data
    if size:
        raise CacheError(f"{path} changed while it was read")


def _read_manifest(archive: Path, member: Member) -> Manifest:
    if (size := member.size or 0) > MAX_BYTES:
        raise ArchiveError(f"{archive}: {member.name} has {size:,} bytes, more than {MAX_BYTES:,}")
    try:
        manifest = parse_manifest(b"".join(member.content))
    except ManifestError as error:
        raise ArchiveError(f"{archive}: {member.name} is damaged: {error}") from error
    if not manifest.intact:
        raise ArchiveError(f"{archive}: {member.name} does not match the checksum that it contains")
    recorded = manifest.provenance
    if _is_derived(recorded) and member.name != f"{entry_name(recorded.handle)}/{MANIFEST_NAME}":
        raise ArchiveError(f"{archive}: {member.name} is not where {recorded.handle} belongs")
    return manifest


def _is_derived(recorded: Provenance) -> bool:
    return _key_sha256(recorded.handle) == recorded.handle_sha256


def _key_sha256(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _import_entry(
    root: Root, name: str, manifest: Manifest, members: Iterator[Member], lock_timeout: float
) -> Imported:
    path = root.path / name
    recorded = manifest.provenance

    def look() -> Entry:
        there = inspect(path, root.trusted_owners)
        if there.manifest is not None and there.manifest.provenance.handle_sha256 != recorded.handle_sha256:
            raise CacheError(
                f"{path} holds {there.manifest.provenance.handle}, and the archive has {recorded.handle} there"
            )
        return there

    def hit() -> Entry | None:
        return there if (there := look()).state == "hit" and there.manifest is not None else None

    with lock_or_result(path, lock_timeout, hit) as found:
        if found is None:
            publish(path, recorded.handle, recorded.handle_sha256, _reader(name, recorded, members), look)
        else:
            for member, record in _paired(name, recorded, members):
                _read(member, record, lambda data: None)
    return Imported(path, recorded.handle, added=found is None, derived=_is_derived(recorded))


def _reader(name: str, recorded: Provenance, members: Iterator[Member]) -> Callable[[Path], Provenance]:
    def produce(dest: Path) -> Provenance:
        tree = TreeWriter(dest)
        for member, record in _paired(name, recorded, members):
            with tree.open(record.path, record.size) as file:
                _read(member, record, file.write)
        tree.finish()
        return recorded

    return produce


def _paired(name: str, recorded: Provenance, members: Iterator[Member]) -> Iterator[tuple[Member, FileRecord]]:
    """The members of one entry, which follow its manifest in the manifest's order."""
    for record in recorded.files:
        member = next(members, None)
        if member is None or member.name != f"{name}/{record.path}" or member.size != record.size:
            got = "its end" if member is None else f"{member.name!r} with {member.size or 0:,} bytes"
            raise ArchiveError(
                f"The archive has {got} where the manifest of {recorded.handle} has {record.path!r} with "
                f"{record.size:,} bytes"
            )
        yield member, record


def _read(member: Member, record: FileRecord, write: Callable[[memoryview], object]) -> None:
    digest = hashlib.sha256()
    for data in member.content:
        digest.update(data)
        write(data)
    if digest.hexdigest() != record.sha256:
        raise DigestMismatch(f"{member.name} has sha256 {digest.hexdigest()}, and its manifest says {record.sha256}")
