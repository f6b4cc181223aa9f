"""Whether the files of an entry are still those that were published: by the time at which each was written last.

A file with another time than the manifest's is hashed. So what overwrites a file in place is noticed, and a copy of a
cache directory, whose files are as old as the copy, is hashed once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from hubplug.files.listing import file_sha256
from hubplug.files.unfinished import unfinished_path
from hubplug_cache._files import write_file
from hubplug_cache._layout import NOTE
from hubplug_cache._manifest import MANIFEST_NAME, Manifest, ManifestError, parse_manifest, read_manifest
from hubplug_cache._sweeping import sweep

# As long as the clock of a file system may stand still, a file that is written again keeps its time.
_TICK_NS = 2_000_000_000


def settle_times(root: Path, paths: Iterable[str]) -> dict[str, int]:
    """Dates the files of a new entry to a moment that no later writing can have, and that every copy keeps.

    Archives, container layers and some file systems keep whole, or even, seconds.

    Returns:
        When each file was written, as the file system has it now (``st_mtime_ns``).

    Raises:
        OSError: The system could not read them.
    """
    moment = (int(time.time()) - 2) // 2 * 2
    times = {}
    for path in paths:
        with suppress(OSError):  # the time that it has will do
            os.utime(root / path, (moment, moment))
        times[path] = os.lstat(root / path).st_mtime_ns
    return times


def find_change(root: Path, times: Mapping[str, int], manifest: Manifest) -> str | None:
    """How a file of an entry differs from what was published, or None; only those that were written since are read.

    Args:
        root: The entry; its files have their right sizes.
        times: When each was written last.
        manifest: What they must be. One without times has nothing to compare with.

    Raises:
        OSError: The system could not read a file.
    """
    for record in manifest.provenance.files:
        if manifest.times.get(record.path, times[record.path]) != times[record.path]:
            digest = _sha256_once(root / record.path)
            if digest != record.sha256:
                return f"{record.path} was changed: its sha256 is {digest} instead of {record.sha256}"
    return None


def note_times(root: Path, manifest: Manifest, times: Mapping[str, int]) -> None:
    """Writes other times into the manifest of an entry whose files were found right, so that they are not hashed again.

    Where that cannot be done, nothing is: they are hashed again the next time.

    Args:
        root: The entry.
        manifest: What its manifest says.
        times: When the files were written last, as seen before they were hashed.
    """
    known = {record.path: times[record.path] for record in manifest.provenance.files}
    if os.rename not in os.supports_dir_fd or max(known.values()) > time.time_ns() - _TICK_NS:
        return
    try:
        sweep(root.parent)  # what died here before
        # Relative to the directory that was looked at: by its path, another one may be there meanwhile.
        entry = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            old = os.stat(MANIFEST_NAME, dir_fd=entry, follow_symlinks=False)
            with unfinished_path(root.parent, root.name, NOTE) as written:
                write_file(written, replace(manifest, times=known).to_bytes())
                written.chmod(old.st_mode & 0o777)
                new = os.lstat(written)
                is_the_same = parse_manifest(read_manifest(root, entry)) == manifest
                if is_the_same and (old.st_uid, old.st_gid) == (new.st_uid, new.st_gid):
                    os.rename(written, MANIFEST_NAME, dst_dir_fd=entry)
        finally:
            os.close(entry)
    except (OSError, ManifestError):
        pass


def _sha256_once(path: Path) -> str:
    """As ``file_sha256``; of a file that does not change, only the first time."""
    status = os.lstat(path)
    if status.st_ctime_ns > time.time_ns() - _TICK_NS:
        return file_sha256(path)
    return _remembered(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@lru_cache(maxsize=4096)
def _remembered(path: Path, *_: int) -> str:
    return file_sha256(path)
