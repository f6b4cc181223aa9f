"""Files wherever fsspec reaches: what matches a pattern, how one is opened, and how one comes to be there whole."""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from hubplug.errors import AccessError, ConfigError, ExportError, FetchError, HubplugError, MissingDependencyError
from hubplug.files.owners import owned_name
from hubplug.files.space import reason_of
from hubplug.files.staging import replace_file
from hubplug.urls import redact, scheme_of

# Where an object is there when all of it has arrived, and not before; elsewhere it is sent under another name first.
_STORES_OF_OBJECTS = ("abfs", "abfss", "adl", "az", "gcs", "gs", "hf", "memory", "oci", "oss", "s3", "s3a")


def absolute(path: str) -> str:
    """A path that means the same to workers that stand in another directory; a URL as it is."""
    return path if scheme_of(path) else os.path.abspath(path)


def find(pattern: str) -> list[tuple[str, int]]:
    """The files that match a pattern, sorted, with their sizes in bytes.

    Raises:
        HubplugError: The place cannot be reached.
    """
    if not scheme_of(pattern):  # where this process stands is no pattern
        pattern = os.path.join(glob.escape(str(Path.cwd())), pattern)
    filesystem, path = _place(pattern)
    with _fetching(pattern):
        # Others may have added files since it was listed last.
        filesystem.invalidate_cache()
        if _is_pattern(path):
            found = filesystem.glob(path, detail=True)
        else:
            found = {path: filesystem.info(path)} if filesystem.exists(path) else {}
    prefix = f"{scheme_of(pattern)}://" if scheme_of(pattern) else ""
    return sorted(
        (name if not prefix or name.startswith(prefix) else f"{prefix}{name}", int(info.get("size") or 0))
        for name, info in found.items()
        if info.get("type") == "file"
    )


def find_numbered(pattern: str) -> list[tuple[str, int]]:
    """As ``find``, of a pattern in which ``*`` alone stands for others."""
    return find("".join(f"[{char}]" if char in "[?" else char for char in pattern))


def is_directory(path: str) -> bool:
    """Whether a path names a directory."""
    filesystem, place = _place(path)
    with _fetching(path):
        return bool(not _is_pattern(place) and filesystem.isdir(place))


@contextmanager
def reading(path: str) -> Iterator[IO[bytes]]:
    """Opens a file; what is compressed is decompressed.

    Raises:
        HubplugError: It cannot be opened.
    """
    import fsspec.utils

    filesystem, place = _place(path)
    with _fetching(path):
        file = filesystem.open(place, "rb", compression=fsspec.utils.infer_compression(path))
    with file:
        yield file


@contextmanager
def local_copy(path: str) -> Iterator[str]:
    """The path of a file on this machine, for a library that opens files itself."""
    filesystem, place = _place(path)
    if not scheme_of(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="hubplug-") as folder:
        local = os.path.join(folder, "input")
        with _fetching(path):
            filesystem.get_file(place, local)
        yield local


def read_whole(path: str) -> bytes:
    """The content of a small file."""
    filesystem, place = _place(path)
    with _fetching(path):
        return bytes(filesystem.cat_file(place))


@contextmanager
def writing(path: str) -> Iterator[IO[bytes]]:
    """Yields a file to be written, which is at ``path`` when the body succeeds: whole, or not at all.

    Raises:
        ExportError: It cannot be written.
    """
    try:
        if not scheme_of(path):
            Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
            with replace_file(Path(path)) as file:
                yield file
            return
        with tempfile.TemporaryDirectory(prefix="hubplug-") as folder:
            local = Path(folder, "shard")
            with local.open("wb") as file:
                yield file
            _upload(local, path)
    except OSError as error:
        if isinstance(error, HubplugError):
            raise
        said = _said(error) if scheme_of(path) else reason_of(error, Path(path))
        raise ExportError(f"{redact(path)} cannot be written: {said}") from error


def delete(path: str) -> None:
    """Deletes a file, if there is one."""
    filesystem, place = _place(path)
    if filesystem.exists(place):
        filesystem.rm_file(place)


def _upload(local: Path, path: str) -> None:
    filesystem, place = _place(path)
    filesystem.makedirs(os.path.dirname(place), exist_ok=True)
    if scheme_of(path).lower() in _STORES_OF_OBJECTS:
        filesystem.put_file(str(local), place)
        return
    directory, name = os.path.split(place)
    partial = f"{directory}/{owned_name(f'.{name[:20]}', 'partial')}"
    try:
        filesystem.put_file(str(local), partial)
        filesystem.mv(partial, place)
    except BaseException:
        if filesystem.exists(partial):
            filesystem.rm_file(partial)
        raise


def _place(path: str) -> tuple[Any, str]:
    """The file system of a path or URL, and the path in it.

    Raises:
        ConfigError: It chains file systems, or nothing knows its scheme.
        MissingDependencyError: The package of its scheme is not installed.
    """
    from fsspec.core import url_to_fs

    if "::" in path:
        raise ConfigError(f"{redact(path)} chains file systems with '::'", hint="give the place itself")
    try:
        filesystem, place = url_to_fs(path if scheme_of(path) else os.path.abspath(path))
    except ImportError as error:
        extra = {"gs": "pip install 'hubplug[gcs]'", "hf": "pip install 'hubplug[hf]'"}
        raise MissingDependencyError(
            f"{redact(path)} needs a package that is not installed",
            hint=extra.get(scheme_of(path), f"install the fsspec implementation of {scheme_of(path)}://"),
        ) from error
    except ValueError as error:
        raise ConfigError(f"{redact(path)} is not a place that fsspec knows: {redact(str(error))}") from error
    return filesystem, str(place)


def _is_pattern(path: str) -> bool:
    return any(char in path for char in "*?[")


@contextmanager
def _fetching(path: str) -> Iterator[None]:
    try:
        yield
    except HubplugError:
        raise
    except PermissionError as error:
        raise AccessError(f"{redact(path)} cannot be read: {_said(error)}") from error
    except OSError as error:
        raise FetchError(f"{redact(path)} cannot be read: {_said(error)}") from error


def _said(error: OSError) -> str:
    return error.strerror or redact(str(error)) or type(error).__name__
