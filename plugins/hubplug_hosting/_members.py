"""What a module directory holds, found and read without following a link.

Every step is relative to an open directory, so that no other process can swap a link in between looking and opening.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hubplug.errors import ExportError
from hubplug.files.names import abridged, collision_key, find_name_error, is_of_a_cache
from hubplug.files.tree import Limits

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_PIECE = 1 << 20


@dataclass(frozen=True)
class ListedMember:
    """A file or directory; two equal lists of them mean that nothing has changed.

    Attributes:
        name: Relative to the module, with ``/``.
        size: In bytes; None for a directory.
        stamp: What a change of the content changes: inode and modification time in nanoseconds; empty for a directory.
    """

    name: str
    size: int | None
    stamp: tuple[int, ...] = ()


@contextmanager
def opened_directory(path: str, components: Sequence[str] = (), *, dir_fd: int | None = None) -> Iterator[int]:
    """Opens a directory below ``path``, one component after the other, none of which may be a link.

    ``path`` itself is the operator's, and may be one.

    Raises:
        OSError: As ``os.open``; a link gives ENOTDIR or ELOOP.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY if dir_fd is None else _DIRECTORY, dir_fd=dir_fd)
    try:
        for component in components:
            descriptor, above = os.open(component, _DIRECTORY, dir_fd=descriptor), descriptor
            os.close(above)
        yield descriptor
    finally:
        os.close(descriptor)


def open_regular(components: Sequence[str], dir_fd: int) -> int:
    """Opens a regular file below an open directory.

    Raises:
        OSError: As ``os.open``; also when it is not a regular file.
    """
    with opened_directory(".", components[:-1], dir_fd=dir_fd) as parent:
        descriptor = os.open(components[-1], _FILE, dir_fd=parent)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{'/'.join(components)} is not a regular file")
    return descriptor


def list_members(directory: int, shown: str) -> list[ListedMember]:
    """All members of an open module directory in the order of an archive: by name, a directory before what is in it.

    Args:
        directory: Its descriptor.
        shown: What a person calls it.

    Raises:
        ExportError: It holds a link or another odd file, or a name that hubplug would not unpack.
        OSError: It cannot be read.
    """
    found = sorted(_walk(directory, "", shown), key=lambda member: member.name.encode("utf-8").split(b"/"))
    if len(found) > Limits().max_members:
        raise ExportError(
            f"{shown} holds {len(found):,} files, more than the {Limits().max_members:,} that are unpacked"
        )
    seen: dict[str, str] = {}
    for member in found:
        other = seen.setdefault(collision_key(member.name), member.name)
        if other != member.name:
            raise ExportError(
                f"{shown} holds {abridged(other)} and {abridged(member.name)}: one name on some systems",
                hint="rename one of them",
            )
    return found


def read_member(directory: int, member: ListedMember, shown: str) -> Iterator[bytes]:
    """Yields the content of a listed file in pieces.

    Raises:
        ExportError: The file is not the one that was listed any more.
        OSError: It cannot be read.
    """
    descriptor = open_regular(member.name.split("/"), directory)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        rest = member.size or 0
        changed = stamp_of(os.fstat(descriptor)) != member.stamp
        while rest and not changed:
            piece = file.read(min(rest, _PIECE))
            changed = not piece
            rest -= len(piece)
            yield piece
        if changed or stamp_of(os.fstat(descriptor)) != member.stamp:
            raise ExportError(
                f"{shown}/{member.name} changed while it was read", hint="try again when no other program writes to it"
            )


def stamp_of(status: os.stat_result) -> tuple[int, ...]:
    """What a change of a file changes."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _walk(directory: int, prefix: str, shown: str) -> Iterator[ListedMember]:
    with os.scandir(directory) as entries:
        for entry in entries:
            name = prefix + entry.name
            if is_of_a_cache(name):
                continue
            if fault := find_name_error(name):
                raise ExportError(f"{shown} holds the name {abridged(name)}, and {fault}", hint="rename it")
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                yield ListedMember(name, None)
                with opened_directory(entry.name, dir_fd=directory) as below:
                    yield from _walk(below, f"{name}/", shown)
            elif stat.S_ISREG(status.st_mode):
                yield ListedMember(name, status.st_size, stamp_of(status))
            else:
                kind = "a link" if stat.S_ISLNK(status.st_mode) else "neither a file nor a directory"
                raise ExportError(
                    f"{shown} holds {abridged(name)}, which is {kind}",
                    hint="put the file itself there; archives of modules hold files and directories only",
                )
