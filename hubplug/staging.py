"""How a directory comes to be whole or not at all: it is filled beside its place and put there with one rename."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hubplug.errors import HubplugError
from hubplug.urls import redact, scheme_of


@contextmanager
def publish(path: str, kind: type[HubplugError]) -> Iterator[Path]:
    """Yields an empty staging directory, and makes it ``path`` when the body succeeds.

    Args:
        path: A local path. Parents are made; an empty directory there is replaced.
        kind: The error to raise.

    Raises:
        HubplugError: Of that kind: ``path`` holds something, is no local path, or cannot be written; what else the body
            raises goes through.
    """
    if scheme_of(path):
        raise kind(
            f"{redact(path)} is no local path, and a module is put in its place with one rename",
            hint="export to a local directory and copy it there, tfhub_module.pb last",
        )
    target = Path(path)
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise kind(f"{target} exists already; nothing was written", hint="choose another directory, or remove that one")
    target = target.absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    except OSError as error:
        raise kind(f"{target} cannot be made: {error.strerror or error}") from error
    try:
        yield staging
        sync_tree(staging)
        staging.chmod(0o777 & ~_umask())
        try:
            staging.rename(target)
        except OSError as error:
            raise kind(f"{target} cannot be put in its place: {error.strerror or error}") from error
        sync_directory(target.parent)
    except BaseException as error:
        shutil.rmtree(staging, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, HubplugError):
            raise kind(f"{target} cannot be written: {error.strerror or error}; nothing was kept") from error
        raise


def sync_tree(root: Path) -> None:
    """Makes every file and directory under ``root`` durable."""
    for directory, _, names in os.walk(root):
        for name in names:
            descriptor = os.open(os.path.join(directory, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_directory(Path(directory))


def sync_directory(path: Path) -> None:
    """Makes the names in a directory durable, where the system can do so."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    # The only way to read it is to set it; a thread that makes a file in between gets the stricter mode.
    current = os.umask(0o077)
    os.umask(current)
    return current
