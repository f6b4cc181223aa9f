"""The caches of a chain and their entries, for people and for pruning; whoever's caches they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hubplug.chain import blamed, member_of, mistake_of
from hubplug.entries import CacheEntries, CacheEntry
from hubplug.errors import CacheError, HubplugError
from hubplug.hub import Hub
from hubplug.settings.members import Member
from hubplug.types import Handle, Provenance
from hubplug.urls import scheme_of
from hubplug_cache._layout import entry_name
from hubplug_cache._trouble import cache_error

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Cache:
    """A cache of the chain; its errors are its own.

    Attributes:
        member: Its plugin.
        offered: What it says of itself.
    """

    member: Member
    offered: CacheEntries

    @property
    def name(self) -> str:
        return self.member.name

    @property
    def directory(self) -> Path:
        return self.offered.directory

    def entries(self) -> list[Listed]:
        """What is in it.

        Raises:
            CacheError: It cannot be read.
        """
        found = self._do("list", lambda: list(self.offered.list()))
        for entry in found:
            if not isinstance(entry, CacheEntry):
                raise mistake_of(self.member, f"listed {type(entry).__name__}, expected CacheEntry")
        return [Listed(self, entry, *entry.measure()) for entry in found]

    def verify(self, entry: CacheEntry) -> list[str]:
        """Everything that is wrong with an entry, that it cannot be read, too."""
        try:
            return list(self.offered.verify(entry))
        except OSError as error:
            return [cache_error("verify", entry.path, error).message]
        except Exception as error:
            raise blamed(error, self.member, "verify") from error

    def remove(self, entries: Sequence[CacheEntry], grace: float) -> dict[str, Exception]:
        """Removes entries; the errors of those that stay, by key.

        Raises:
            CacheError: It cannot be written to.
        """
        remove = self.offered.remove
        assert remove is not None
        return dict(self._do("remove entries of", lambda: remove(entries, grace)))

    def add(self, sha1: str, provenance: Provenance, produce: Callable[[Path], Provenance]) -> Path:
        """Adds an entry; its directory.

        Raises:
            CacheError: It cannot be written to.
            HubplugError: What ``produce`` raised.
        """
        add = self.offered.add
        assert add is not None
        return Path(self._do("import into", lambda: add(sha1, provenance, produce)))

    def _do(self, doing: str, act: Callable[[], T]) -> T:
        try:
            return act()
        except HubplugError:
            raise
        except OSError as error:
            raise cache_error(doing, self.directory, error) from error
        except Exception as error:
            raise blamed(error, self.member, doing) from error


@dataclass(frozen=True, eq=False)
class Listed:
    """An entry with what was found on the disk.

    Attributes:
        cache: Whose it is.
        entry: What the cache says of it.
        size: Bytes in its files.
        last_used: Seconds since the epoch: when a file of it was last written or, as far as the file system keeps track,
            read.
    """

    cache: Cache
    entry: CacheEntry
    size: int
    last_used: float

    @property
    def state(self) -> str:
        """``complete``, ``adopted`` (without a record of where it came from) or ``damaged``."""
        return "damaged" if self.entry.fault else "complete" if self.entry.is_recorded else "adopted"

    @property
    def shown(self) -> str:
        """Its handle for people."""
        return self.entry.named or "of an unknown handle"

    def as_json(self) -> dict[str, Any]:
        """The entry as an object for machines."""
        recorded = self.entry.provenance if self.entry.is_recorded else None
        return {
            "cache": self.cache.name,
            "key": self.entry.key,
            "path": str(self.entry.path),
            "handle": self.entry.named,
            "state": self.state,
            "fault": self.entry.fault,
            "size": self.size,
            "files": len(recorded.files) if recorded else None,
            "fetched": self.entry.filled,
            "last_used": round(self.last_used),
            "location": recorded.location if recorded else None,
            "archive_sha256": recorded.archive_sha256 if recorded else None,
        }


def caches_of(hub: Hub, name: str | None = None, *, able_to: str | None = None) -> list[Cache]:
    """The caches of a chain, or the one of a name.

    Args:
        hub: Whose chain.
        name: The only one that is asked for.
        able_to: ``remove`` or ``add``: only those that offer it.

    Raises:
        HubplugError: There is none.
    """
    answers = hub.chain.answers("hubplug_entries")
    known = [Cache(member_of(answer), answer.value) for answer in answers if answer.member]
    chosen = [cache for cache in known if name in (None, cache.name)]
    if not chosen:
        names = ", ".join(cache.name for cache in known) or "none"
        silent = ", ".join(silent_caches(hub))
        raise HubplugError(
            f"The chain has no cache{f' named {name!r}' if name else ''}; its caches: {names}"
            + (f" (and what it has is not known: {silent})" if silent else ""),
            hint="`hubplug config show` prints the chain",
        )
    able = [cache for cache in chosen if able_to is None or getattr(cache.offered, able_to)]
    if not able:
        doing = "added to" if able_to == "add" else "removed from"
        raise CacheError(
            f"Nothing can be {doing} {' or '.join(cache.name for cache in chosen)}: read-only, or without `{able_to}`",
            hint="put a writable cache into hubplug.yaml",
        )
    return able


def silent_caches(hub: Hub) -> list[str]:
    """The names of the caches of a chain that do not say what they keep."""
    hooks = ((member.name, hub.chain.hooks_of(member)) for member in hub.chain.members)
    return [name for name, has in hooks if "hubplug_cache" in has and "hubplug_entries" not in has]


def find_entries(caches: Sequence[Cache], wanted: Sequence[str]) -> list[Listed]:
    """The entries of handles or keys in the order asked for, each once; all of them if none are named.

    Raises:
        CacheError: There is none for one of them.
    """
    everything = [listed for cache in caches for listed in cache.entries()]
    selected: dict[int, Listed] = {}
    for text in wanted:
        is_meant = _meant_by(text)
        found = [listed for listed in everything if is_meant(listed.entry)]
        if not found:
            looked = ", ".join(str(cache.directory) for cache in caches)
            raise CacheError(
                f"There is no entry for {Handle.parse(text)} in {looked}", hint="`hubplug cache list` shows all"
            )
        selected.update((id(listed), listed) for listed in found)
    return list(selected.values()) if wanted else everything


def _meant_by(text: str) -> Callable[[CacheEntry], bool]:
    """Whether an entry has this key or handle; of a local archive it is every entry that was made from it."""
    handle = Handle.parse(text).text
    keys = (text, entry_name(handle))
    digest = hashlib.sha256(handle.encode("utf-8", "surrogateescape")).hexdigest()
    # The key of a local archive has its size and time as well.
    names = () if scheme_of(handle) else (handle, os.path.realpath(handle))

    def is_meant(entry: CacheEntry) -> bool:
        recorded = entry.provenance
        return entry.key in keys or entry.named in names or (recorded is not None and recorded.handle_sha256 == digest)

    return is_meant
