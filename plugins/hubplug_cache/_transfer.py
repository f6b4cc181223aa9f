"""Carries entries to a machine without a network: one tar archive, checked against its manifests on the way out and in.

The archive holds ``hubplug-cache.json`` (which says that it is one), and for each entry ``<sha1>/.hubplug.json`` and then
its files; ``<sha1>`` is that of the cache key. It is reproducible: sorted, without times and owners.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from hubplug.entries import CacheEntry
from hubplug.errors import ArchiveError, CacheError, DigestMismatch, HubplugError
from hubplug.files.listing import file_sha256, find_difference, is_hidden, list_tree
from hubplug.files.staging import replace_file
from hubplug.files.tar.reading import Member, TarReader
from hubplug.files.tar.writing import END, member_bytes
from hubplug.files.tree import Limits, TreeWriter
from hubplug.types import FileRecord, Provenance
from hubplug_cache._entry import identity
from hubplug_cache._layout import entry_name, is_entry_name
from hubplug_cache._manifest import MANIFEST_NAME, MAX_BYTES, Manifest, ManifestError, own_version, parse_manifest
from hubplug_cache._trouble import cache_error

INDEX = "hubplug-cache.json"
_INDEX_BYTES = json.dumps({"format": 1}).encode("ascii") + b"\n"
_CHUNK = 1 << 20
# An archive may have any number of entries; each is unpacked with the usual caps.
_LIMITS = Limits(max_members=sys.maxsize)

Add = Callable[[str, Provenance, Callable[[Path], Provenance]], Path]


@dataclass(frozen=True)
class Imported:
    """An entry of an archive that was read.

    Attributes:
        path: Where it is.
        handle: The one that its manifest shows.
        added: False where the cache had it already.
        derived: Whether its place follows from that handle. Where it does not, since secrets were taken out of the handle or its
            cache is given another key, only the archive says which handle it is for.
    """

    path: Path
    handle: str
    added: bool
    derived: bool


def export_entries(
    entries: Sequence[CacheEntry], archive: Path, *, all_of_them: bool = False
) -> tuple[list[str], list[CacheEntry]]:
    """Writes entries into a new tar archive, which appears when it is whole.

    Args:
        entries: Which ones; of several for one cache key the first.
        archive: The archive.
        all_of_them: Whether they are merely what there is, so that one that is removed meanwhile is left out.

    Returns:
        The names of those that are in it, and the entries that were left out because they were removed.

    Raises:
        CacheError: An entry is damaged, its handle is unknown, or the archive cannot be written.
    """
    gone: list[CacheEntry] = []
    named = {name_in_archive(entry): entry for entry in reversed(entries)}
    try:
        with replace_file(archive) as file:
            file.writelines(member_bytes(INDEX, len(_INDEX_BYTES), [_INDEX_BYTES]))
            for name, entry in sorted(named.items()):
                before, at = identity(entry.path), file.tell()
                try:
                    file.writelines(_entry_bytes(name, entry))
                except (OSError, CacheError):
                    if not all_of_them or (before is not None and identity(entry.path) == before):
                        raise
                    gone.append(entry)
                    file.seek(at)
                    file.truncate()
            file.write(END)
    except OSError as error:
        if isinstance(error, CacheError):
            raise
        raise cache_error("write", archive, error, hint="choose another place for the archive") from error
    return [name for name, entry in named.items() if entry not in gone], gone


def name_in_archive(entry: CacheEntry) -> str:
    """The sha1 of an entry's cache key, by which it is found again.

    Raises:
        CacheError: It is not known.
    """
    if is_entry_name(entry.key):
        return entry.key
    if entry.provenance is None or not _is_derived(entry.provenance):
        raise CacheError(
            f"{entry.path} is kept under a key that {entry.named or 'an unknown handle'} does not say in full, so it could not "
            "be found again elsewhere",
            hint="name the entries to export",
        )
    return entry_name(entry.provenance.handle)


def import_entries(add: Add, archive: Path) -> Iterator[Imported]:
    """Gives the entries of an archive to a cache, one after the other; those that are there already are only checked.

    Args:
        add: ``CacheEntries.add`` of the cache.
        archive: The archive.

    Raises:
        ArchiveError: The archive is damaged, or was not made by ``export_entries``.
        DigestMismatch: A file is not what its manifest says.
        CacheError: The cache cannot be used, or has another handle under the key of an entry.
    """
    try:
        file = open(archive, "rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise cache_error("read", archive, error, hint="check the path, and who may read it") from error
    try:
        with file:
            _demand_index(archive, file)
            members = TarReader(iter(lambda: file.read(_CHUNK), b""), str(archive), _LIMITS).members()
            first = next(members, None)
            if first is None or first.size != len(_INDEX_BYTES) or b"".join(first.content) != _INDEX_BYTES:
                raise _foreign(archive)
            for member in members:
                name, _, rest = member.name.partition("/")
                if not is_entry_name(name) or rest != MANIFEST_NAME:
                    raise ArchiveError(f"{archive}: {member.name!r} is where the manifest of an entry should be")
                yield _import_entry(add, name, _read_manifest(archive, member).provenance, members)
    except OSError as error:
        if isinstance(error, HubplugError):
            raise
        raise cache_error("import", archive, error) from error


def _demand_index(archive: Path, file: BinaryIO) -> None:
    if file.read(len(INDEX) + 1) != INDEX.encode() + b"\0":
        raise _foreign(archive)
    file.seek(0)


def _foreign(archive: Path) -> ArchiveError:
    return ArchiveError(
        f"{archive} is not an archive that `hubplug cache export` wrote",
        hint="the archive of one module needs no import: give its path where a handle is expected",
    )


def manifest_for_export(entry: CacheEntry) -> Manifest:
    """The manifest of an entry; made anew for one of which there is no record.

    Raises:
        CacheError: The entry is damaged, or its handle is not known.
    """
    path, recorded = entry.path, entry.provenance
    if entry.fault is not None:
        raise CacheError(f"{path} is damaged: {entry.fault}", hint="resolve its handle again")
    if recorded is None:
        raise CacheError(
            f"{path} has no record of where it came from, and its handle is not known in full, so it could not be found again",
            hint="resolve its handle with hubplug",
        )
    if recorded.files:
        # Names first: a record may have been written by anyone, and lead out of the entry.
        if difference := find_difference(list_tree(path), recorded.files):
            raise CacheError(f"{path} is damaged: {difference}", hint="resolve its handle again")
        return Manifest(recorded, entry.filled or "", own_version())
    files = tuple(
        FileRecord(name, size, file_sha256(path / name))
        for name, size in sorted(list_tree(path).files.items())
        if not is_hidden(name)
    )
    return Manifest(replace(recorded, files=files), "", "tensorflow_hub")


def _entry_bytes(name: str, entry: CacheEntry) -> Iterator[bytes]:
    manifest = manifest_for_export(entry)
    data = manifest.to_bytes()
    yield from member_bytes(f"{name}/{MANIFEST_NAME}", len(data), [data])
    for record in manifest.provenance.files:
        yield from member_bytes(f"{name}/{record.path}", record.size, _file_bytes(entry.path / record.path, record))


def _file_bytes(path: Path, record: FileRecord) -> Iterator[bytes]:
    digest, size = hashlib.sha256(), record.size
    with open(path, "rb") as file:
        while data := file.read(_CHUNK):
            size -= len(data)
            digest.update(data)
            if size < 0:
                break
            yield data
    if size or digest.hexdigest() != record.sha256:
        raise CacheError(
            f"{path} is not what was published: expected {record.size:,} bytes with sha256 {record.sha256}",
            hint="hubplug cache verify, then resolve its handle again",
        )


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


def _import_entry(add: Add, name: str, recorded: Provenance, members: Iterator[Member]) -> Imported:
    asked: list[Path] = []

    def produce(dest: Path) -> Provenance:
        if asked:
            raise CacheError(f"The cache had {recorded.handle} read a second time, which an archive cannot do")
        asked.append(dest)
        tree = TreeWriter(dest)
        for member, record in _paired(name, recorded, members):
            with tree.open(record.path, record.size) as file:
                _read(member, record, file.write)
        tree.finish()
        return recorded

    path = add(name, recorded, produce)
    if not asked:
        for member, record in _paired(name, recorded, members):
            _read(member, record, lambda data: None)
    return Imported(path, recorded.handle, added=bool(asked), derived=_is_derived(recorded))


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
