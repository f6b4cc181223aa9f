"""The archives that are sent: ready ones as they are, module directories packed once for each state of their files.

An archive is opened once and its digest is that of the open file, so a client gets the old one or the new one, never a
mix of both.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hubplug.errors import ConfigError, ExportError
from hubplug.files.staging import replace_file
from hubplug_hosting._catalogue import Place
from hubplug_hosting._members import list_members, open_regular, opened_directory, stamp_of
from hubplug_hosting._packing import check_module, write_archive
from hubplug_hosting._tree import ModuleTree

_PIECE = 1 << 20
_MOST_DIGESTS = 10_000


@dataclass(frozen=True)
class Artifact:
    """An open archive; close its file.

    Attributes:
        path: Where it lies.
        file: At any position; whoever sends from it seeks first.
        size: In bytes.
        sha256: Hexadecimal digest of the whole.
        stamp: What the file was when it was hashed; compare with ``is_unchanged``.
    """

    path: str
    file: BinaryIO
    size: int
    sha256: str
    stamp: tuple[int, ...]

    def is_unchanged(self) -> bool:
        """Whether nothing has been written into the open file since it was hashed."""
        return stamp_of(os.fstat(self.file.fileno())) == self.stamp


class WorkFolder:
    """A directory of this user alone, for what is made of the modules: kept where one is named, else temporary."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        """Makes it.

        Raises:
            ConfigError: It cannot be made, or somebody else can write to it.
        """
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._path = None if path is None else Path(path).absolute()
        self._lock = threading.Lock()
        if self._path is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="hubplug-serve-")
            return
        try:
            self._path.mkdir(0o700, parents=True, exist_ok=True)
            status = self._path.stat()
        except OSError as error:
            raise ConfigError(f"{self._path} cannot hold what is made to be served: {error.strerror}") from error
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
            raise ConfigError(
                f"{self._path} can be written to by somebody else, who could put other bytes there",
                hint="give a directory of your own with mode 0700",
            )

    def path(self) -> Path:
        """The directory; a new one where the system has cleaned up the old one."""
        if self._path is not None:
            self._path.mkdir(0o700, parents=True, exist_ok=True)
            return self._path
        with self._lock:
            assert self._temporary is not None
            if not os.path.isdir(self._temporary.name):
                self._temporary.cleanup()
                self._temporary = tempfile.TemporaryDirectory(prefix="hubplug-serve-")
            return Path(self._temporary.name)

    def close(self) -> None:
        """Removes a temporary one."""
        if self._temporary is not None:
            self._temporary.cleanup()


class Artifacts:
    """Opens archives below a root; packed ones are kept in a work folder."""

    def __init__(self, tree: ModuleTree, work: WorkFolder) -> None:
        self._root, self._hub = tree.root, tree.hub
        self._work = work
        self._lock = threading.Lock()
        self._busy: dict[Place, threading.Lock] = {}
        self._packed: dict[Place, Path] = {}
        self._digests: dict[tuple[int, ...], str] = {}

    def open(self, place: Place) -> Artifact | None:
        """Opens the archive of a place; None where it has to be packed or hashed first, which takes time.

        Raises:
            HubplugError: The directory holds what cannot be packed.
            OSError: It cannot be read.
        """
        return self._open(place, made=False)

    def make(self, place: Place) -> Artifact:
        """Opens the archive of a place, and packs or hashes it first where that has not been done.

        Raises:
            HubplugError: The directory is not a complete module, or holds what cannot be packed.
            OSError: It cannot be read.
        """
        with self._lock:
            busy = self._busy.setdefault(place, threading.Lock())
        with busy:
            found = self._open(place, made=True)
        assert found is not None
        return found

    def _open(self, place: Place, made: bool) -> Artifact | None:
        found = self._open_ready(place) if place.is_archive else self._open_packed(place, made)
        if found is None:
            return None
        path, file = found
        try:
            status = os.fstat(file.fileno())
            stamp = stamp_of(status)
            digest = self._digests.get(stamp)
            if digest is None and not made:
                file.close()
                return None
            artifact = Artifact(path, file, status.st_size, digest or self._hash(file, stamp), stamp)
            if not artifact.is_unchanged():
                raise ExportError(f"{place.name} changed while it was read", hint="replace archives by renaming")
        except BaseException:
            file.close()
            raise
        return artifact

    def _open_ready(self, place: Place) -> tuple[str, BinaryIO]:
        with opened_directory(self._root) as root:
            file = os.fdopen(open_regular(place.components, root), "rb", buffering=0)
        return os.path.join(self._root, *place.components), file

    def _open_packed(self, place: Place, made: bool) -> tuple[str, BinaryIO] | None:
        with opened_directory(self._root, place.components) as directory:
            members = list_members(directory, place.name)
            state = hashlib.sha256(repr((place.name, members)).encode()).hexdigest()
            target = self._work.path() / f"{state}.tar.gz"
            if not target.exists():
                if not made:
                    return None
                check_module(Path(self._root, *place.components), self._hub)
                self._remember(target, write_archive(directory, members, target, place.name).sha256)
            file = target.open("rb", buffering=0)
        if (old := self._packed.get(place)) not in (None, target) and old is not None:
            for gone in (old, _note_of(old)):
                gone.unlink(missing_ok=True)
        self._packed[place] = target
        stamp = stamp_of(os.fstat(file.fileno()))
        if stamp not in self._digests:
            with suppress(OSError, ValueError, KeyError):  # a note that is not there, or of another file
                note = json.loads(_note_of(target).read_text("ascii"))
                if tuple(note["stamp"]) == stamp:
                    self._digests[stamp] = str(note["sha256"])
        return str(target), file

    def _remember(self, target: Path, sha256: str) -> None:
        stamp = stamp_of(target.stat())
        with replace_file(_note_of(target)) as note:
            note.write(json.dumps({"stamp": stamp, "sha256": sha256}).encode("ascii"))

    def _hash(self, file: BinaryIO, stamp: tuple[int, ...]) -> str:
        digest = hashlib.sha256()
        while piece := file.read(_PIECE):
            digest.update(piece)
        if len(self._digests) >= _MOST_DIGESTS:
            self._digests.clear()
        self._digests[stamp] = digest.hexdigest()
        return self._digests[stamp]


def _note_of(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.json")
