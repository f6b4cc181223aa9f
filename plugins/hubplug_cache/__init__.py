"""The cache directory of modules, shared with tensorflow_hub (``TFHUB_CACHE_DIR``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import hubplug
from hubplug.files.locks import ForkLock
from hubplug.shown.logs import logger

# Here and below, names of hubplug that only a hook needs are imported when it is asked: `hubplug --help` loads this file.
if TYPE_CHECKING:
    from collections.abc import Callable

    from hubplug.entries import CacheEntries
    from hubplug.hookspecs import RunCache
    from hubplug.types import Declined, LocalModule, Plan, Provenance, Source
    from hubplug_cache._directory import Root
    from hubplug_cache._entry import Entry

_LOG = logger("hubplug.cache")


class CacheDirectory:
    """Keeps local copies of modules in a directory.

    Options of hubplug.yaml:
        dir: A local directory; null stands for ``tfhub_modules`` under the system's temporary directory, or a per-user
            directory where that one cannot be trusted. The variable ``TFHUB_CACHE_DIR`` beats it.
        read_only: Whether the directory is only read: what it does not have, or has damaged, is left to the next plugin.
        lock_timeout: Seconds to wait for another process that fills the same entry.
    """

    environment: ClassVar[Mapping[str, str]] = {"dir": "TFHUB_CACHE_DIR"}

    def __init__(self, dir: str | None = None, read_only: bool = False, lock_timeout: float = 1800.0) -> None:
        if not lock_timeout >= 0:  # NaN is neither less nor more
            from hubplug.errors import ConfigError

            raise ConfigError(f"lock_timeout is {lock_timeout}, expected 0 seconds or more")
        self._dir = dir
        self.read_only = read_only
        self.lock_timeout = lock_timeout
        self._root: Root | None = None
        self._choosing = ForkLock()
        self._warned: set[Path] = set()

    @staticmethod
    def takes_everything(options: Mapping[str, Any]) -> bool:
        """Whether an instance with these options keeps whatever it is asked for: then no cache after it is asked."""
        return not options.get("read_only")

    def __reduce__(self) -> tuple[type[CacheDirectory], tuple[str | None, bool, float]]:
        return type(self), (self._dir, self.read_only, self.lock_timeout)

    def __repr__(self) -> str:
        return f"CacheDirectory({self._dir!r}, read_only={self.read_only})"

    def root(self) -> Root:
        """The directory in effect; it need not exist yet.

        Raises:
            CacheError: The choice is not a local directory, or none can be trusted.
        """
        from hubplug_cache._directory import choose_root

        with self._choosing:
            if self._root is None:
                self._root = choose_root(self._dir)
            return self._root

    def known_handles(self) -> list[str]:
        """The handles whose modules are here, for the shell to complete; without those that hold secrets."""
        from hubplug_cache._contents import handles_in

        return handles_in(self.root().path)

    @hubplug.hookimpl
    def hubplug_entries(self) -> CacheEntries:
        """Says what is in the directory.

        Raises:
            CacheError: The directory cannot be used.
        """
        from hubplug_cache._contents import entries_of

        return entries_of(self.root(), self.read_only, self.lock_timeout)

    @hubplug.hookimpl
    def hubplug_cache(self, source: Source) -> Plan[RunCache] | Declined | None:
        """Uses the entry of a source, or offers to fill it.

        Raises:
            CacheError: The directory cannot be used, or the entry belongs to another handle.
        """
        if source.in_place or not source.cacheable:
            return None
        from hubplug_cache._entry import find_entry
        from hubplug_cache._layout import entry_name

        root = self.root()
        path = root.path / entry_name(source.key)
        try:
            entry = find_entry(path, source, root.trusted_owners)
        except OSError as error:
            return self._unreadable(path, error)
        if entry.state == "hit":
            return hubplug.types.Plan(f"use {path}", lambda produce: self._use(source, entry), hit=True)
        if self.read_only:
            return self._declined(root.path, source, entry)
        return hubplug.types.Plan(_intention(entry), lambda produce: self._fill(root, path, source, produce))

    def _use(self, source: Source, entry: Entry) -> LocalModule:
        if entry.times and entry.manifest and not self.read_only:
            from hubplug_cache._changes import note_times

            note_times(entry.path, entry.manifest, entry.times)
        return hubplug.types.LocalModule(
            entry.path, source.handle, entry.manifest.provenance if entry.manifest else None
        )

    def _fill(self, root: Root, path: Path, source: Source, produce: Callable[[Path], Provenance]) -> LocalModule:
        from hubplug_cache._filling import fill

        return fill(root, path, source, produce, self.lock_timeout)

    def _declined(self, directory: Path, source: Source, entry: Entry) -> Declined:
        if entry.state == "absent":
            where = "" if directory.is_dir() else ": there is no such directory"
            return hubplug.types.Declined(
                f"{directory} has no entry for {source.handle.original} ({entry.path.name}){where}"
            )
        if entry.state == "damaged" and entry.path not in self._warned:
            self._warned.add(entry.path)
            _LOG.warning(
                "The copy of %s at %s, in a read-only cache, is damaged and is not used: %s",
                source.handle.original,
                entry.path,
                entry.fault,
            )
        return hubplug.types.Declined(
            f"the entry for {source.handle.original}, {entry.path}, is {entry.state}: {entry.fault}"
        )

    def _unreadable(self, path: Path, error: OSError) -> Declined:
        """Leaves an entry that cannot be read to the next plugin if this cache is a read-only one; raises otherwise."""
        from hubplug.errors import HubplugError
        from hubplug_cache._trouble import cache_error

        if isinstance(error, HubplugError):
            raise error
        failure = cache_error("read", path, error)
        if self.read_only:
            return hubplug.types.Declined(failure.message)
        raise failure from error


def _intention(entry: Entry) -> str:
    if entry.state == "absent":
        return f"fill {entry.path}, which does not exist yet"
    return f"fill {entry.path} again, because it is {entry.state}: {entry.fault}"
