"""Brings an object as an archive, or a directory tree file by file.

Which of the two it is, the store says; what archive format an object has, ``hubplug_unpack`` says. Nothing is taken
for complete before its size is right and the store says that nothing was replaced meanwhile.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import Any

from hubplug.errors import DigestMismatch, FetchError, IncompleteDownload, MissingError
from hubplug.files.tree import TreeWriter
from hubplug.shown.progress import progress
from hubplug.types import ArchiveStream, Source
from hubplug_fsspec._errors import as_fetch_error
from hubplug_fsspec._filesystem import StoredObject
from hubplug_fsspec._place import Place

_CHUNK = 1 << 20
_ARCHIVE_BLOCK = 8 << 20
_FILE_BLOCK = 2 << 20  # for each of several files at once
_TRY_AGAIN = "try again when nothing is writing there; a published module should never change"


class _ObjectReader:
    """The bytes of one object from first to last; short or changed ones are an error at the end, not an end."""

    def __init__(self, place: Place, info: Mapping[str, Any], force_bar: bool) -> None:
        self._place = place
        self._object = StoredObject.from_info(info)
        self._count = 0
        self._sha256 = None if self._object.sha256 is None else hashlib.sha256()
        self._cleanup = ExitStack()
        with place.errors():
            self._file = self._cleanup.enter_context(place.filesystem.open(place.path, "rb", block_size=_ARCHIVE_BLOCK))
        self._bar = self._cleanup.enter_context(progress(place.shown, self._object.size, force=force_bar))

    def read(self, size: int, /) -> bytes:
        with self._place.errors():
            data: bytes = self._file.read(size)
        self._count += len(data)
        if self._sha256 is not None:
            self._sha256.update(data)
        self._bar.advance(len(data))
        if not data and size:
            self._check_end()
        return data

    def close(self) -> None:
        with self._place.errors():
            self._cleanup.close()

    def _check_end(self) -> None:
        _check_size(self._place.shown, self._object.size, self._count)
        if self._sha256 is not None:
            _check_digest(self._place.shown, self._object, self._sha256.hexdigest())
        now = StoredObject.from_info(self._place.stat())
        if now.version != self._object.version:
            raise FetchError(f"{self._place.shown} was replaced while it was read", hint=_TRY_AGAIN)


def fetch(
    source: Source, storage_options: Mapping[str, Any], tree: TreeWriter, parallel: int, force_bar: bool
) -> ArchiveStream | None:
    """Opens the archive, or writes the whole tree and returns None.

    Raises:
        MissingError: Nothing is there.
        AccessError: The store refused, or wants credentials.
        FetchError: Anything else that the store or its client complains of.
    """
    place = Place(source.location, storage_options, as_fetch_error)
    info = place.stat()
    if info["type"] == "directory":
        _copy_tree(place, tree, parallel, force_bar)
        return None
    stored = StoredObject.from_info(info)
    return ArchiveStream(
        _ObjectReader(place, info, force_bar),
        name=place.shown,
        size=stored.size,
        etag=stored.etag,
        media_type=info.get("contentType") or info.get("ContentType"),
    )


def _copy_tree(place: Place, tree: TreeWriter, parallel: int, force_bar: bool) -> None:
    objects = place.list(tree.limits.max_members)
    if not objects:
        raise MissingError(f"{place.shown} is an empty directory", hint="check the handle for a misspelling")
    sizes = [stored.size for stored in objects.values()]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    # The largest first, so that no worker is left alone with it at the end.
    largest_first = sorted(objects, key=lambda name: (-(objects[name].size or 0), name))
    stop = threading.Event()
    with (
        progress(place.shown, total, force=force_bar) as bar,
        ThreadPoolExecutor(parallel, thread_name_prefix="hubplug") as workers,
    ):
        futures = [
            workers.submit(_copy_file, place, name, objects[name], tree, bar.advance, stop) for name in largest_first
        ]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        finally:
            stop.set()
            for future in futures:
                future.cancel()
    if place.list(tree.limits.max_members) != objects:
        raise FetchError(f"{place.shown} was changed while it was copied", hint=_TRY_AGAIN)


def _copy_file(
    place: Place,
    name: str,
    stored: StoredObject,
    tree: TreeWriter,
    advance: Callable[[int], object],
    stop: threading.Event,
) -> None:
    shown = f"{place.shown.rstrip('/')}/{name}"
    count = 0
    with tree.open(name, stored.size) as file, ExitStack() as cleanup:
        with place.errors():
            stream = cleanup.enter_context(place.filesystem.open(stored.path, "rb", block_size=_FILE_BLOCK))
        while not stop.is_set():
            with place.errors():
                data = stream.read(_CHUNK)
            if not data:
                break
            file.write(data)
            advance(len(data))
            count += len(data)
        if not stop.is_set():
            _check_size(shown, stored.size, count)
            _check_digest(shown, stored, file.sha256())


def _check_digest(shown: str, stored: StoredObject, got: str) -> None:
    if stored.sha256 not in (None, got):
        raise DigestMismatch(
            f"{shown}: expected sha256 {stored.sha256}, which its store says of it, got {got}; it is not used",
            hint="try again; if that stays so, tell whoever runs the store or the proxy on the way",
        )


def _check_size(shown: str, announced: int | None, count: int) -> None:
    if announced is not None and count != announced:
        raise IncompleteDownload(
            f"{shown}: {count:,} bytes arrived, but the listing announced {announced:,}", hint=_TRY_AGAIN
        )
