"""What a cache says of what it keeps, whoever's cache it is: all that ``hubplug cache`` knows of it.

A plugin that answers ``hubplug_entries`` gives a ``CacheEntries``. Two fields are enough for ``list``, ``path``, ``verify`` and
``export``; ``remove`` and ``add`` let ``remove``, ``prune`` and ``import`` change it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hubplug.files.listing import find_differences
from hubplug.files.names import is_of_a_cache
from hubplug.types import Provenance, demand_types

_OPTIONAL_TEXT = (str, type(None))


@dataclass(frozen=True, eq=False)
class CacheEntry:
    """One module that a cache keeps.

    Attributes:
        key: What the cache calls it; no two of its entries have one key. 40 hexadecimal digits are taken for the sha1 of the
            cache key, by which tensorflow_hub names entries.
        path: The directory that the module is used from: regular files, of which several entries may have hard links; what is a symbolic
            link is taken for damage.
        provenance: What ``produce`` returned when it was filled. Without files where only the handle is known; None where that is not
            either.
        handle: What may be shown of the handle, where there is no provenance that says it.
        filled: When it was filled, ISO 8601 in UTC, or None.
        fault: What is wrong with it, as far as that can be seen without reading its files; None for a good one.
    """

    key: str
    path: Path
    provenance: Provenance | None = None
    handle: str | None = None
    filled: str | None = None
    fault: str | None = None

    def __post_init__(self) -> None:
        demand_types(self, key=str, path=Path, provenance=(Provenance, type(None)))
        demand_types(self, handle=_OPTIONAL_TEXT, filled=_OPTIONAL_TEXT, fault=_OPTIONAL_TEXT)

    @property
    def is_recorded(self) -> bool:
        """Whether it is known what its files must be."""
        return self.provenance is not None and len(self.provenance.files) > 0

    @property
    def named(self) -> str | None:
        """The redacted text of the handle; None where nothing says it."""
        return self.handle if self.provenance is None else self.provenance.handle

    def measure(self) -> tuple[int, float]:
        """Bytes in its files; and when one of them was last written or, as far as the file system keeps track, read (seconds since the
        epoch).
        """
        size, last_used = 0, 0.0
        for directory, _, names in os.walk(self.path):
            for name in names:
                try:
                    status = os.lstat(os.path.join(directory, name))
                except OSError:
                    continue
                size += status.st_size
                # Listing reads the record that a cache keeps in it, which does not count as a use of the module.
                last_used = max(last_used, status.st_mtime, 0.0 if is_of_a_cache(name) else status.st_atime)
        return size, last_used


def find_faults(entry: CacheEntry) -> Sequence[str]:
    """Everything that is wrong with an entry: each file is hashed and compared with the provenance.

    Raises:
        OSError: The system could not read it.
    """
    if entry.provenance is None or not entry.is_recorded:
        return [] if entry.fault is None else [entry.fault]
    return find_differences(entry.path, entry.provenance.files)


@dataclass(frozen=True, eq=False)
class CacheEntries:
    """What a cache keeps, and what may be done with it. Nothing is read before one of the functions is called.

    Attributes:
        directory: Where its modules lie.
        list: Gives every entry, those that it knows to be damaged too. It writes nothing.
        verify: Gives everything that is wrong with an entry, after reading all of its files. A cache that knows it as damaged from
            then on does not answer ``hubplug_cache`` with it any more.
        remove: Takes entries away, and deletes their files after as many seconds, for which others may read them. Gives the errors
            of those that stay, by key. None: it is not for this process to remove anything.
        add: ``add(sha1, provenance, produce)`` keeps what ``produce(dest)`` writes, which it calls at most once, as the entry of the
            cache key that has the sha1 and ``provenance.handle_sha256``; where that is there already, it is left alone. Gives its
            directory. None: nothing can be added, or only by ``hubplug_cache``.
    """

    directory: Path
    list: Callable[[], Iterable[CacheEntry]]
    verify: Callable[[CacheEntry], Sequence[str]] = find_faults
    remove: Callable[[Sequence[CacheEntry], float], Mapping[str, Exception]] | None = None
    add: Callable[[str, Provenance, Callable[[Path], Provenance]], Path] | None = None

    def __post_init__(self) -> None:
        demand_types(self, directory=Path)
