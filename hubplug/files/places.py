"""What lies at a place: told apart over time, taken away, and by which URLs the prefixes of a configuration find it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from hubplug.types import LocalModule, Source
from hubplug.urls import scheme_of


def identity_of(path: Path) -> tuple[int, int, int] | None:
    """Tells apart what lay at one place at different times; None where there is nothing."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_ctime_ns


def empty(directory: Path) -> None:
    """Deletes everything in a directory."""
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


@contextmanager
def kept_until_exit() -> Iterator[Path]:
    """A new directory that lives as long as the process; gone at once where filling it fails."""
    import atexit
    import tempfile

    directory = Path(tempfile.mkdtemp(prefix="hubplug-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    try:
        yield directory
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def places_of(module: LocalModule, source: Source) -> tuple[str, ...]:
    """The URLs by which a module was asked for and found; they may hold secrets.

    Args:
        module: As it is here.
        source: Where it lives. ``file:///srv/`` covers what lies there, however its path is written.
    """
    found = [source.location, *(handle.text for handle in source.handle.trail)]
    if module.provenance is not None:
        found.append(module.provenance.location)
    if not scheme_of(source.location):
        spellings = (os.path.abspath(source.location), os.path.realpath(source.location))
        found.extend(f"file://{quote(path)}" for path in spellings)
    return tuple(dict.fromkeys(found))
