"""What a module directory holds, all of which a signature has to cover: model-signing itself passes over some of it.

It does not see empty directories, and it leaves out what the signer said should be left out. So what there is is listed here, and
compared with what was signed. Two files are not signed: the signature, and the manifest that a cache keeps in its own entry.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from hubplug.files.names import MANIFEST_NAME, abridged, find_name_error
from hubplug.files.signatures import SIGNATURE_NAME
from hubplug_signing._errors import SignatureFault

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def signable_files(directory: str | os.PathLike[str], *, of_a_cache: bool) -> set[str]:
    """The names of all files that have to be signed, with ``/``.

    Args:
        directory: The module's; it may be a link itself.
        of_a_cache: Whether it is an entry of a cache, which has the cache's manifest in it.

    Raises:
        SignatureFault: Something in it cannot be signed: a link, an odd file, an empty directory.
        OSError: It cannot be read.
    """
    unsigned = {SIGNATURE_NAME, *([MANIFEST_NAME] if of_a_cache else [])}
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return {name for name in _walk(descriptor, "") if name not in unsigned}
    finally:
        os.close(descriptor)


def _walk(directory: int, prefix: str) -> Iterator[str]:
    empty = True
    with os.scandir(directory) as entries:
        for entry in entries:
            empty = False
            name = prefix + entry.name
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                below = os.open(entry.name, _DIRECTORY, dir_fd=directory)
                try:
                    yield from _walk(below, f"{name}/")
                finally:
                    os.close(below)
            elif not stat.S_ISREG(status.st_mode):
                kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "neither a file nor a directory"
                raise SignatureFault("not-covered", f"{abridged(name)} is {kind}, which no signature covers")
            elif name != MANIFEST_NAME and (fault := find_name_error(name)):
                raise SignatureFault("not-covered", f"of the name {abridged(name)}, {fault}")
            else:
                yield name
    if empty and prefix:
        raise SignatureFault(
            "not-covered",
            f"the directory {abridged(prefix.rstrip('/'))} is empty, and no signature covers empty directories",
            "`hubplug publish --sign` leaves them out",
        )
