"""A cache that keeps each file once, under the sha256 of its content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import hubplug
from hubplug.entries import CacheEntries
from hubplug.hookspecs import RunCache
from hubplug.types import LocalModule, Plan, Provenance, Source


class BlobCache:
    """Keeps modules under ``directory``; files that several of them have are there once.

    Options of hubplug.yaml:
        directory: A local directory, on a file system with hard links.
    """

    environment: ClassVar[dict[str, str]] = {"directory": "BLOB_CACHE_DIR"}

    def __init__(self, directory: str = "~/.cache/blob-cache") -> None:
        self._directory = Path(directory).expanduser().absolute()

    @hubplug.hookimpl
    def hubplug_cache(self, source: Source) -> Plan[RunCache]:
        from blob_cache._store import Store

        store = Store(self._directory)
        found = store.find(source.key_sha256, source.handle.sha256)
        if found is not None:
            module = LocalModule(found.path, source.handle, found.provenance)
            return Plan(f"use {found.path}", lambda produce: module, hit=True)

        def fill(produce: Callable[[Path], Provenance]) -> LocalModule:
            entry = store.fill(source.key_sha256, produce, source.handle.sha256)
            return LocalModule(entry.path, source.handle, entry.provenance)

        return Plan(f"fill {self._directory}", fill)

    @hubplug.hookimpl
    def hubplug_entries(self) -> CacheEntries:
        from blob_cache._store import Store

        store = Store(self._directory)

        def add(sha1: str, provenance: Provenance, produce: Callable[[Path], Provenance]) -> Path:
            return store.fill(provenance.handle_sha256, produce).path

        return CacheEntries(self._directory, store.entries, store.verify, store.remove, add)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self._directory),)
