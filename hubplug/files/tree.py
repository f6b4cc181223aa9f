"""The one way bytes get into a module directory: every name is checked, every cap kept, every file hashed and synced.

Whoever brings a module, an archive or a tree of single files, writes it through a ``TreeWriter``. So what is refused,
which modes files get and what the manifest holds is decided here and nowhere else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hubplug.errors import ArchiveError, CacheError, IncompleteDownload, PluginError, UnsafeArchiveError
from hubplug.files.durable import sync_directory
from hubplug.files.names import abridged, collision_key, find_name_error
from hubplug.files.space import FULL, how_to_make_room, is_of_inodes, reason_of
from hubplug.types import FileRecord

_GIB = 1 << 30
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_ELSEWHERE = "or choose a directory on a larger disk (TFHUB_CACHE_DIR)"
_WRITEBACK = 8 << 20
# A module has dozens of files. A bomb has thousands, and would wait for the disk thousands of times before its end.
_SYNCED_AT_ONCE = 64
# Nothing writes to a file of a module after it is there. Windows deletes no file that may not be written.
FILE_MODE = 0o644 if os.name == "nt" else 0o444


@dataclass(frozen=True)
class Limits:
    """Caps that no legitimate module reaches, and that stop a bomb.

    Attributes:
        max_bytes: Of all files together.
        max_file_bytes: Of one file; a checkpoint may be a single shard, hence as large as the whole.
        max_members: Files and directories, those included that are only implied by a longer path.
        max_ratio: Unpacked bytes for each byte of a compressed archive, applied above ``ratio_floor`` unpacked bytes:
            variables that were initialized with zeros compress a thousandfold.
        ratio_floor: In bytes.
        max_header_bytes: Of an archive's extended header for one member.
    """

    max_bytes: int = 256 * _GIB
    max_file_bytes: int = 256 * _GIB
    max_members: int = 10_000
    max_ratio: int = 200
    ratio_floor: int = _GIB
    max_header_bytes: int = 1 << 20


class TreeFile:
    """A file of the tree while it is written. Made by ``TreeWriter.open``."""

    def __init__(
        self, tree: TreeWriter, name: str, size: int | None, descriptor: int, again: FileRecord | None = None
    ) -> None:
        self._tree = tree
        self._descriptor = descriptor
        self._again = again
        self._sha256 = hashlib.sha256()
        self._advised = 0
        self._is_elsewhere = False
        self.name = name
        self.size = size
        self.written = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Appends ``data``.

        Raises:
            ArchiveError: That makes the file longer than announced.
            UnsafeArchiveError: That makes the file or the tree larger than its cap.
            CacheError: The system could not write it.
        """
        self._tree._count_bytes(self, len(data))
        self._sha256.update(data)
        rest = memoryview(b"" if self._again or self._is_elsewhere else data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except OSError as error:
                raise self._tree._cannot_write(self.name, len(rest) + self.missing, error) from error
        if self._again is None and not self._is_elsewhere and self.written - self._advised >= _WRITEBACK:
            self._start_writeback()

    def sha256(self) -> str:
        """Hexadecimal digest of what has been written so far."""
        return self._sha256.hexdigest()

    @property
    def missing(self) -> int:
        """Announced bytes that have not been written yet."""
        return max((self.size or 0) - self.written, 0)

    def _keep_elsewhere(self) -> None:
        """From now on what is written is only counted and hashed: the bytes are in another file, which takes the name."""
        self._is_elsewhere = True

    def _start_writeback(self) -> None:
        """Lets the disk begin now, so that the sync at the end has little left to wait for."""
        if hasattr(os, "posix_fadvise"):
            with suppress(OSError):
                os.posix_fadvise(self._descriptor, self._advised, self.written - self._advised, os.POSIX_FADV_DONTNEED)
        self._advised = self.written

    def _close(self, at_once: bool) -> FileRecord:
        if self.missing:
            raise IncompleteDownload(f"{self.name!r} has {self.written:,} bytes of the {self.size:,} announced for it")
        record = FileRecord(self.name, self.written, self._sha256.hexdigest())
        if self._again is not None:
            if record != self._again:
                raise _twice(self.name)
            return record
        try:
            if at_once:
                os.fsync(self._descriptor)
            self._descriptor, closing = -1, self._descriptor
            os.close(closing)
        except OSError as error:
            raise self._tree._cannot_write(self.name, 0, error) from error
        return record


class TreeWriter:
    """Fills an empty directory with a module.

    Names are relative, with ``/``; ``hubplug.files.names`` says what is wrong with others. Parents are made. Modes are
    0755 and 0444 under the umask, links are neither made nor followed, and nothing that exists is written over: a file
    that comes a second time must have the same bytes. Several threads may have files open at once.
    """

    def __init__(self, root: Path, limits: Limits = Limits()) -> None:
        """Writes under ``root``, an existing empty directory."""
        self.root = root
        self.limits = limits
        self._lock = threading.RLock()
        self._names: dict[str, str] = {}
        self._directories: list[str] = []
        self._records: dict[str, FileRecord] = {}
        self._unsynced: list[str] = []
        self._open: dict[str, TreeFile] = {}
        self._bytes = 0
        self._finished = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been written."""
        return not self._names

    def directory(self, name: str) -> None:
        """Makes a directory and its parents; one that the tree has already is fine.

        Raises:
            UnsafeArchiveError: The name is bad, collides with another, or is one too many.
            CacheError: The system could not make it.
        """
        with self._lock:
            self._check(name)
            self._make_directories(name)

    @contextmanager
    def open(self, name: str, size: int | None = None) -> Iterator[TreeFile]:
        """Opens a new file for a ``with`` block, at whose end it is on the disk (or, after hundreds of small files, with ``finish``).

        A block that raises leaves no file: the name is free again. What is written to a file that the tree has already is
        only compared with it, and counts for the caps again.

        Args:
            name: Where, relative to the root.
            size: The announced size in bytes, or None if it is not known.

        Raises:
            UnsafeArchiveError: The name is bad, collides with another, or is one too many; a cap is exceeded; the file is
                there already with other bytes.
            IncompleteDownload: Fewer than ``size`` bytes were written.
            CacheError: The system could not write the file, or has not enough room for it.
        """
        with self._lock:
            self._check(name)
            file = self._again(name, size) or self._new(name, size)
        if file._again is not None:
            yield file
            file._close(False)
            return
        try:
            yield file
            sync_now = len(self._records) < _SYNCED_AT_ONCE or file.written >= _WRITEBACK
            record = file._close(sync_now)
        except BaseException:
            self._forget(file)
            raise
        with self._lock:
            del self._open[name]
            self._records[name] = record
            if not sync_now:
                self._unsynced.append(name)

    def adopt(self, directory: Path) -> None:
        """Takes what another library has put into a directory: files are moved here, and copied only from another disk.

        They are checked, hashed and synced as if they had been written. What was not taken when this raises stays where it is.

        Args:
            directory: No one may write there any more, or need what is there: it is used up, and half used up when the process is killed.

        Raises:
            UnsafeArchiveError: A name is bad, something is neither file nor directory, or a cap is exceeded.
            CacheError: The system could not read or move a file.
        """
        for folder, folders, files in os.walk(directory):
            for name in sorted([*folders, *files]):
                path = Path(folder, name)
                target, status = path.relative_to(directory).as_posix(), path.lstat()
                if stat.S_ISDIR(status.st_mode):
                    self.directory(target)
                elif stat.S_ISREG(status.st_mode):
                    self._take(path, target, status.st_size)
                else:
                    raise UnsafeArchiveError(f"{abridged(target)} is neither a file nor a directory")

    def _take(self, path: Path, name: str, size: int) -> None:
        with self.open(name, size) as file, path.open("rb") as source:
            is_new = file._again is None and os.fstat(source.fileno()).st_dev == os.fstat(file._descriptor).st_dev
            if is_new:  # what is written to the file is hashed; the one that is moved over its name has it already
                file._keep_elsewhere()
            while data := source.read(_WRITEBACK):
                file.write(data)
            if is_new:
                try:
                    os.fchmod(source.fileno(), FILE_MODE)
                    os.fsync(source.fileno())
                    path.replace(self.root / name)
                except OSError as error:
                    raise self._cannot_write(name, size, error) from error

    def finish(self) -> tuple[FileRecord, ...]:
        """Puts on the disk what is not there yet, the directories above all, and ends the writing.

        Returns:
            Every file, sorted by path.

        Raises:
            PluginError: A file is still open.
            CacheError: The system could not sync a file or directory.
        """
        with self._lock:
            if self._open:
                raise PluginError(f"{min(self._open)!r} was still being written when its tree was finished")
            self._finished = True
            try:
                for name in self._unsynced:
                    _sync(self.root / name)
                for name in [*reversed(self._directories), ""]:
                    sync_directory(self.root / name)
            except OSError as error:
                raise self._cannot_write(name, 0, error) from error
            return tuple(self._records[name] for name in sorted(self._records))

    def _new(self, name: str, size: int | None) -> TreeFile:
        self._check_room(name, size or 0)
        if parent := name.rpartition("/")[0]:
            self._make_directories(parent)
        self._register(name, is_directory=False)
        try:
            descriptor = os.open(self.root / name, _CREATE, FILE_MODE)
        except OSError as error:
            del self._names[collision_key(name)]
            raise self._cannot_write(name, size or 0, error) from error
        file = self._open[name] = TreeFile(self, name, size, descriptor)
        return file

    def _again(self, name: str, size: int | None) -> TreeFile | None:
        """What compares with a file that is there, or None: archives may hold a member twice, as an appended one does."""
        record = self._records.get(name)
        if record is None:
            return None
        if size not in (None, record.size):
            raise _twice(name)
        return TreeFile(self, name, size, -1, record)

    def _check(self, name: str) -> None:
        if self._finished:
            raise PluginError(f"{name!r} came after its tree was finished")
        if not isinstance(name, str):
            raise PluginError(f"the name of a member is a str, got {type(name).__name__}: {name!r}")
        if fault := find_name_error(name):
            raise UnsafeArchiveError(f"The name {abridged(name)} is refused: {fault}")

    def _check_room(self, name: str, size: int) -> None:
        if size > self.limits.max_file_bytes:
            raise self._too_much("max_file_bytes", f"{name!r} has {size:,} bytes")
        needed = size + sum(file.missing for file in self._open.values())
        if self._bytes + needed > self.limits.max_bytes:
            raise self._too_much("max_bytes", f"With {name!r} there are {self._bytes + needed:,} bytes")
        try:
            free = shutil.disk_usage(self.root).free if needed else 0
        except OSError as error:
            raise self._cannot_write(name, size, error) from error
        if needed > free:
            raise CacheError(
                f"No room for {self.root / name}: {needed:,} bytes are needed and {free:,} are free",
                hint=f"free some space, {_ELSEWHERE}",
            )

    def _register(self, name: str, *, is_directory: bool) -> bool:
        """Takes a name; False if it is a directory that the tree has already."""
        key = collision_key(name)
        taken = self._names.get(key)
        if taken is not None:
            if is_directory and taken == f"{name}/":
                return False
            if taken.rstrip("/") != name:
                raise UnsafeArchiveError(f"{abridged(name)} and {abridged(taken)} are one name on some systems")
            if is_directory or taken.endswith("/"):
                raise UnsafeArchiveError(f"{abridged(name)} is both a file and a directory")
            raise _twice(name)
        if len(self._names) >= self.limits.max_members:
            raise self._too_much("max_members", f"With {abridged(name)} there is one file or directory more")
        self._names[key] = f"{name}/" if is_directory else name
        return True

    def _make_directories(self, name: str) -> None:
        components = name.split("/")
        for depth in range(1, len(components) + 1):
            ancestor = "/".join(components[:depth])
            if self._register(ancestor, is_directory=True):
                try:
                    os.mkdir(self.root / ancestor, 0o755)
                except OSError as error:
                    raise self._cannot_write(ancestor, 0, error) from error
                self._directories.append(ancestor)

    def _count_bytes(self, file: TreeFile, count: int) -> None:
        if file.size is not None and file.written + count > file.size:
            raise ArchiveError(f"{file.name!r} continues after the {file.size:,} bytes that were announced for it")
        with self._lock:
            if file.written + count > self.limits.max_file_bytes:
                raise self._too_much("max_file_bytes", f"{file.name!r} goes on")
            if self._bytes + count > self.limits.max_bytes:
                raise self._too_much("max_bytes", f"With {file.name!r} there are more bytes")
            self._bytes += count
            file.written += count

    def _forget(self, file: TreeFile) -> None:
        if file._descriptor >= 0:
            os.close(file._descriptor)
        with self._lock:
            with suppress(OSError):
                (self.root / file.name).unlink()
            del self._open[file.name]
            del self._names[collision_key(file.name)]
            self._bytes -= file.written

    def _too_much(self, cap: str, what: str) -> UnsafeArchiveError:
        return UnsafeArchiveError(
            f"{what}: beyond the cap {cap} of {getattr(self.limits, cap):,}",
            hint=f"no usual module is that large; if this one is to be trusted, raise limits.{cap} in hubplug.yaml",
        )

    def _cannot_write(self, name: str, needed: int, error: OSError) -> CacheError:
        reason = reason_of(error, self.root)
        if error.errno in FULL:
            return CacheError(
                f"Cannot write {self.root / name}: {reason}"
                + ("" if is_of_inodes(reason) else f"; {max(needed, 1):,} more bytes are needed"),
                hint=f"{how_to_make_room(reason)}, {_ELSEWHERE}",
            )
        return CacheError(f"Cannot write {self.root / name}: {reason}")


def _twice(name: str) -> UnsafeArchiveError:
    return UnsafeArchiveError(f"{abridged(name)} is there twice, and not with the same bytes")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
