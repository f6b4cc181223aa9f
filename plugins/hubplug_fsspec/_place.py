"""A location on a store: what is there, file by file, with errors that are hubplug's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from hubplug.errors import FetchError, HubplugError, UnsafeArchiveError
from hubplug.files.names import is_of_a_cache
from hubplug.shown.redaction import showable_cause
from hubplug.urls import redact
from hubplug_fsspec._errors import secrets_of
from hubplug_fsspec._filesystem import StoredObject, open_filesystem
from hubplug_fsspec._reach import within_reach

T = TypeVar("T")

ErrorMaker = Callable[[Exception, str, Mapping[str, Any]], HubplugError]


class Place:
    """A location with the file system that serves it; errors that leave it are hubplug's.

    Attributes:
        shown: The location, redacted.
        filesystem: fsspec's.
        path: The location's name in it.
    """

    def __init__(self, location: str, storage_options: Mapping[str, Any], as_error: ErrorMaker) -> None:
        """Opens the file system.

        Args:
            location: A URL.
            storage_options: What its file system is made with.
            as_error: Makes the error to be raised of a foreign one, the redacted location and these options.
        """
        self.shown = redact(location)
        self._location = location
        self._storage_options = storage_options
        self._as_error = as_error
        with self.errors():
            self.filesystem, self.path = self._within_reach(lambda: open_filesystem(location, storage_options))

    @property
    def root(self) -> str:
        """The path without a slash at its end, which names of files are below."""
        return self.path.rstrip("/")

    @contextmanager
    def errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raised = self._as_error(error, self.shown, self._storage_options)
            if raised is error:
                raise
            raise raised from showable_cause(error, secrets_of(self._storage_options))

    def stat(self) -> Mapping[str, Any]:
        with self.errors():
            self.filesystem.invalidate_cache()
            info: Mapping[str, Any] = self._within_reach(lambda: self.filesystem.info(self.path))
            return info

    def list(self, most: int) -> dict[str, StoredObject]:
        """Every file below, by its name relative to the place.

        Raises:
            UnsafeArchiveError: There are more than ``most`` files and directories.
        """
        with self.errors():
            return dict(self._walk(most))

    def is_free(self) -> bool:
        """Whether no file is there, nor below."""
        with self.errors():
            self.filesystem.invalidate_cache()
            try:
                info = self._within_reach(lambda: self.filesystem.info(self.path))
            except (FileNotFoundError, NotADirectoryError):
                return True
            if info["type"] != "directory":
                return False
            return next(self._walk(None), None) is None

    def _within_reach(self, act: Callable[[], T]) -> T:
        return within_reach(act, self._location, self._storage_options)

    def _walk(self, most: int | None) -> Iterator[tuple[str, StoredObject]]:
        self.filesystem.invalidate_cache()
        todo = [self.root]
        members = 0
        while todo:
            directory = todo.pop()
            for info in self.filesystem.ls(directory, detail=True):
                name = str(info["name"])
                if name.rstrip("/") == directory or (name.endswith("/") and not info.get("size")):
                    continue  # an empty object that stands for the directory itself
                if not name.startswith(f"{self.root}/"):
                    raise FetchError(f"{self.shown}: the listing names {name!r}, which is not below it")
                members += 1
                if most is not None and members > most:
                    raise UnsafeArchiveError(
                        f"{self.shown} has more than {most:,} files and directories",
                        hint="give the directory of one module",
                    )
                relative = name[len(self.root) + 1 :]
                if info["type"] == "directory":
                    todo.append(name)
                elif info["type"] != "file":
                    raise UnsafeArchiveError(f"{self.shown}: {relative!r} is a {info['type']}, not a regular file")
                elif not is_of_a_cache(relative):
                    yield relative, StoredObject.from_info(info)
