"""How an entry comes to be: filled in a directory of its own, made durable, and published by one rename.

So whoever looks finds a whole entry or none, whatever dies when. A process that finds the place taken at the end uses
what is there if it is whole.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from hubplug.errors import CacheError, HubplugError
from hubplug.files.durable import sync_directory
from hubplug.files.listing import find_difference, list_tree
from hubplug.files.tree import FILE_MODE
from hubplug.files.unfinished import delete, unfinished_directory, unfinished_path
from hubplug.shown.logs import logger
from hubplug.types import LocalModule, Provenance, Source
from hubplug_cache._changes import settle_times
from hubplug_cache._directory import Root
from hubplug_cache._entry import Entry, find_entry, identity
from hubplug_cache._files import write_file
from hubplug_cache._layout import FILLING, NOTE, descriptor_of
from hubplug_cache._locking import lock_or_result
from hubplug_cache._manifest import MANIFEST_NAME, Manifest, own_version
from hubplug_cache._sweeping import set_aside, sweep
from hubplug_cache._trouble import cache_error, is_disk_error

_LOG = logger("hubplug.cache")
_TAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
_TRIES = 10

Produce = Callable[[Path], Provenance]


def fill(root: Root, path: Path, source: Source, produce: Produce, lock_timeout: float) -> LocalModule:
    """Returns the entry of a source, and fills it first if it is not there or is not whole.

    Args:
        root: The cache directory.
        path: The place of the entry in it.
        source: What is to be there.
        produce: Fills an empty directory and says where the files came from.
        lock_timeout: Seconds to wait for another process that fills it.

    Raises:
        CacheError: The system refused, another process took too long, or the entry belongs to another handle.
        HubplugError: What ``produce`` raised; names the damage where there is a damaged entry, which then stays.
    """
    root.prepare()

    def look() -> Entry:
        return find_entry(path, source, root.trusted_owners)

    def hit() -> Entry | None:
        return found if (found := look()).state == "hit" else None

    not_ours: list[OSError] = []

    def fetch(dest: Path) -> Provenance:
        try:
            return produce(dest)
        except OSError as error:
            if not is_disk_error(error):
                not_ours.append(error)
            raise

    try:
        with lock_or_result(path, lock_timeout, hit) as found:
            if found is None:
                sweep(root.path)
                before = look()
                with _naming_the_damage(before, source):
                    found = publish(path, str(source.handle.original), source.key_sha256, fetch, look)
                if before.state == "damaged":
                    _LOG.warning(
                        "The cached copy of %s at %s was damaged: %s. It was moved aside and fetched again",
                        source.handle.original,
                        path,
                        before.fault,
                    )
    except OSError as error:
        if isinstance(error, HubplugError) or error in not_ours:
            raise
        raise cache_error("fill", path, error) from error
    return LocalModule(path, source.handle, found.manifest.provenance if found.manifest else None)


def publish(path: Path, handle: str, key_sha256: str, produce: Produce, look: Callable[[], Entry]) -> Entry:
    """Fills an entry and puts it in its place, whatever damaged thing is there.

    Args:
        path: The place.
        handle: The redacted text of the handle.
        key_sha256: Digest of the cache key's whole text.
        produce: Fills an empty directory and says where the files came from.
        look: Says what is at the place now.

    Raises:
        OSError: The system refused. Nothing is left behind.
        HubplugError: What ``produce`` raised.
    """
    try:
        with unfinished_directory(path.parent, path.name, FILLING) as staging:
            manifest = _write(staging, handle, key_sha256, produce(staging))
            _write_descriptor(path, handle)
            return _put(staging, path, look) or Entry(path, "hit", None, manifest)
    except BaseException:
        _delete_lonely_descriptor(path)
        raise


def _write(staging: Path, handle: str, key_sha256: str, provenance: Provenance) -> Manifest:
    """Adds the manifest to a filled staging directory."""
    provenance = replace(provenance, handle_sha256=key_sha256)
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    manifest = Manifest(provenance, now, own_version())
    fault = find_difference(list_tree(staging), provenance.files) if provenance.files else "there are no files"
    if fault:
        raise CacheError(f"What was fetched for {handle} is not what was announced: {fault}")
    manifest = replace(manifest, times=settle_times(staging, (record.path for record in provenance.files)))
    write_file(staging / MANIFEST_NAME, manifest.to_bytes(), FILE_MODE)
    sync_directory(staging)
    return manifest


def _write_descriptor(path: Path, handle: str) -> None:
    """Writes the note for people, before the entry is there: so one that is there always has its note."""
    now = datetime.now().isoformat(sep=" ")
    text = f"Module: {handle}\nDownload Time: {now}\nDownloader Hostname: {socket.gethostname()} (PID:{os.getpid()})"
    with unfinished_path(path.parent, path.name, NOTE) as note:
        write_file(note, text.encode("utf-8", "surrogateescape"))
        note.replace(descriptor_of(path))


def _put(staging: Path, path: Path, look: Callable[[], Entry]) -> Entry | None:
    """Renames a finished staging directory to its place.

    Returns:
        The entry that another process had published meanwhile, or None if it is now ours.
    """
    for _ in range(_TRIES):
        seen = identity(path)
        if (there := look()).state == "hit":
            return there
        if there.state != "absent":
            _clear(path, seen, in_use=there.state == "unpinned")
        try:
            staging.rename(path)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            continue
        try:
            sync_directory(path.parent)
        except BaseException:
            path.rename(staging)
            raise
        return None
    raise CacheError(f"Cannot publish {path}: other processes repeatedly put something else there")


def _clear(path: Path, seen: tuple[int, int] | None, in_use: bool) -> None:
    """Makes room for a new entry where a damaged one, or an outdated one that others may read, was seen."""
    try:
        aside = set_aside(path, in_use)
    except FileNotFoundError:
        return
    if identity(aside) != seen:
        # Another process replaced it between our look and our rename. If that does not go back, ours takes its place.
        with suppress(OSError):
            aside.rename(path)
    elif not in_use:
        # Before the new one is published: a process that dies here leaves a miss, and whoever fills that sweeps.
        delete(aside)


def _delete_lonely_descriptor(path: Path) -> None:
    if not os.path.lexists(path):
        delete(descriptor_of(path))


@contextmanager
def _naming_the_damage(before: Entry, source: Source) -> Iterator[None]:
    """Puts what is wrong with an entry into the error that kept it from being repaired."""
    try:
        yield
    except HubplugError as error:
        if before.fault is not None:
            fault = "is damaged" if before.state == "damaged" else "is not the pinned one"
            error.message = (
                f"The cached copy of {source.handle.original} at {before.path} {fault}: {before.fault}; "
                f"fetching it again failed: {error.message}"
            )
        raise
