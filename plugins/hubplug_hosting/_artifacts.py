"""The archives that are sent: ready ones as they are, module directories packed once for each state of their files.

An archive is opened once and its digest is that of the open file, so a client gets the old one or the new one, never a
mix of both.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Hashable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hubplug.errors import ExportError
from hubplug_hosting._catalogue import Place
from hubplug_hosting._members import list_members, open_regular, opened_directory, stamp_of
from hubplug_hosting._packing import check_module, write_archive

_PIECE = 1 << 20
_MOST_DIGESTS = 10_000


@dataclass(frozen=True)
class Artifact:
    """An open archive.

    Attributes:
        file: At any position; whoever sends from it seeks first.
        size: In bytes.
        sha256: Hexadecimal digest of the whole.
        stamp: What the file was when it was hashed; compare with ``is_unchanged``.
    """

    file: BinaryIO
    size: int
    sha256: str
    stamp: tuple[int, ...]

    def is_unchanged(self) -> bool:
        """Whether nothing has been written into the open file since it was hashed."""
        return stamp_of(os.fstat(self.file.fileno())) == self.stamp


@dataclass(frozen=True)
class _Packed:
    state: Hashable
    path: Path
    sha256: str


class Artifacts:
    """Opens archives below a root; packed ones are kept in a temporary directory until ``close``."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._folder = tempfile.TemporaryDirectory(prefix="hubplug-serve-")
        self._lock = threading.Lock()
        self._busy: dict[Place, threading.Lock] = {}
        self._packed: dict[Place, _Packed] = {}
        self._digests: dict[tuple[int, ...], str] = {}

    def close(self) -> None:
        """Removes what was packed."""
        self._folder.cleanup()

    @contextmanager
    def opened(self, place: Place) -> Iterator[Artifact]:
        """Opens the archive of a place, which is packed or hashed first where that has not been done.

        Raises:
            HubplugError: The directory is not a complete module, or holds what cannot be packed.
            OSError: It cannot be read.
        """
        with self._lock:
            busy = self._busy.setdefault(place, threading.Lock())
        with ExitStack() as opened:
            with busy:
                file = opened.enter_context(self._open_ready(place) if place.is_archive else self._open_packed(place))
                status = os.fstat(file.fileno())
                stamp = stamp_of(status)
                artifact = Artifact(file, status.st_size, self._digest(file, stamp), stamp)
            if not artifact.is_unchanged():
                raise ExportError(f"{place.name} changed while it was read", hint="replace archives by renaming")
            yield artifact

    def _open_ready(self, place: Place) -> BinaryIO:
        with opened_directory(self._root) as root:
            return os.fdopen(open_regular(place.components, root), "rb", buffering=0)

    def _open_packed(self, place: Place) -> BinaryIO:
        shown = os.path.join(self._root, *place.components)
        with opened_directory(self._root, place.components) as directory:
            members = list_members(directory, place.name)
            state = tuple(members)
            known = self._packed.get(place)
            if known is None or known.state != state or not known.path.exists():
                check_module(Path(shown))
                target = self._folder_for_packed() / f"{hashlib.sha256(place.name.encode()).hexdigest()}.tar.gz"
                made = write_archive(directory, members, target, place.name)
                known = self._packed[place] = _Packed(state, target, made.sha256)
                file = target.open("rb", buffering=0)
                self._digests[stamp_of(os.fstat(file.fileno()))] = made.sha256
                return file
        return known.path.open("rb", buffering=0)

    def _folder_for_packed(self) -> Path:
        """The temporary directory; a new one where the system has cleaned up the old one."""
        with self._lock:
            if not os.path.isdir(self._folder.name):
                self._folder.cleanup()
                self._folder = tempfile.TemporaryDirectory(prefix="hubplug-serve-")
            return Path(self._folder.name)

    def _digest(self, file: BinaryIO, stamp: tuple[int, ...]) -> str:
        known = self._digests.get(stamp)
        if known is None:
            digest = hashlib.sha256()
            while piece := file.read(_PIECE):
                digest.update(piece)
            if len(self._digests) >= _MOST_DIGESTS:
                self._digests.clear()
            known = self._digests[stamp] = digest.hexdigest()
        return known
