"""The files of the cache: blobs, trees of hard links to them, and a note for each key."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock

from hubplug.entries import CacheEntry, find_faults
from hubplug.types import FileRecord, Provenance


class Store:
    """One directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._blobs, self._trees = root / "blobs", root / "trees"
        self._notes, self._staging = root / "entries", root / "staging"

    def find(self, key: str, pinned: str | None = None) -> CacheEntry | None:
        """The entry of a key, if it is whole as far as that shows, and is the pinned archive."""
        entry = self._read(self._notes / f"{key}.json")
        if entry is None or entry.fault is not None or entry.provenance is None:
            return None
        return entry if pinned in (None, entry.provenance.archive_sha256) else None

    def entries(self) -> Iterator[CacheEntry]:
        """Every entry, by its key."""
        for note in sorted(self._notes.glob("*.json")):
            if (entry := self._read(note)) is not None:
                yield entry

    def fill(self, key: str, produce: Callable[[Path], Provenance], pinned: str | None = None) -> CacheEntry:
        """The entry of a key; filled first if it is not there."""
        for folder in (self._blobs, self._trees, self._notes, self._staging):
            folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._staging / f"{key}.lock"):
            if (found := self.find(key, pinned)) is not None:
                return found
            with tempfile.TemporaryDirectory(dir=self._staging) as folder:
                fresh = Path(folder, "module")
                fresh.mkdir()
                provenance = produce(fresh)
                with self._alone():
                    tree = self._keep(fresh, provenance)
                    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
                    note = Path(folder, "note.json")
                    note.write_text(json.dumps({"tree": tree, "filled": now, "provenance": asdict(provenance)}))
                    note.replace(self._notes / f"{key}.json")
        return CacheEntry(key, self._trees / tree, provenance, filled=now)

    def verify(self, entry: CacheEntry) -> Sequence[str]:
        """Everything that is wrong with an entry, whose tree and bad blobs are then gone."""
        faults = [entry.fault] if entry.fault else find_faults(entry)
        if faults and not entry.fault and entry.provenance is not None:
            with self._alone():
                shutil.rmtree(entry.path, ignore_errors=True)
                for record in entry.provenance.files:
                    if not self._is_good(record):
                        (self._blobs / record.sha256).unlink(missing_ok=True)
        return faults

    def remove(self, entries: Sequence[CacheEntry], grace: float) -> Mapping[str, Exception]:
        """Takes entries away, and then every tree and blob that no other one uses."""
        failed: dict[str, Exception] = {}
        with self._alone():
            for entry in entries:
                try:
                    (self._notes / f"{entry.key}.json").unlink(missing_ok=True)
                except OSError as error:
                    failed[entry.key] = error
            used = {entry.path for entry in self.entries()}
            unused = {entry.path for entry in entries if entry.key not in failed} - used
            aside = [(path, self._staging / f"removed-{os.urandom(8).hex()}") for path in unused if path.is_dir()]
            for path, new in aside:
                path.rename(new)
        if aside:
            time.sleep(grace)
        for _, new in aside:
            shutil.rmtree(new, ignore_errors=True)
        with self._alone():
            for blob in self._blobs.glob("*"):
                if blob.stat().st_nlink == 1:
                    blob.unlink()
        return failed

    def _alone(self) -> FileLock:
        self._staging.mkdir(parents=True, exist_ok=True)
        return FileLock(self._staging / "store.lock")

    def _read(self, note: Path) -> CacheEntry | None:
        try:
            known = json.loads(note.read_text())
            files = tuple(FileRecord(**record) for record in known["provenance"].pop("files"))
            provenance = Provenance(**known["provenance"], files=files)
            tree, filled = self._trees / known["tree"], str(known["filled"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            return CacheEntry(note.stem, note, fault="its note cannot be read")
        fault = None if tree.is_dir() else "it was found damaged, and is fetched again when it is needed"
        return CacheEntry(note.stem, tree, provenance, filled=filled, fault=fault)

    def _keep(self, fresh: Path, provenance: Provenance) -> str:
        """Makes a tree of a directory that was filled; its name."""
        digest = hashlib.sha256(repr([(file.path, file.sha256) for file in provenance.files]).encode()).hexdigest()
        tree = self._trees / digest
        if tree.is_dir() and not find_faults(CacheEntry("", tree, provenance)):
            return digest
        for record in provenance.files:
            blob, file = self._blobs / record.sha256, fresh / record.path
            if self._is_good(record):
                file.unlink()
                os.link(blob, file)
            else:
                blob.unlink(missing_ok=True)
                os.link(file, blob)
        shutil.rmtree(tree, ignore_errors=True)
        fresh.rename(tree)
        return digest

    def _is_good(self, record: FileRecord) -> bool:
        digest = hashlib.sha256()
        with suppress(FileNotFoundError), open(self._blobs / record.sha256, "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
            return digest.hexdigest() == record.sha256
        return False
