"""Takes modules from the local file system, directories as they are, archives through the cache; and exports to it.

The plugin decides what a handle without a scheme means (a path), and that a ``file://`` URL counts only when the user
wrote it: a server that answers with one would read this machine's files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubplug.hookspecs import RunFetch, hookimpl
from hubplug.types import Declined, Plan, Source
from hubplug.urls import scheme_of

if TYPE_CHECKING:
    from hubplug.types import Handle

__all__ = ["LocalFiles"]


class LocalFiles:
    """Takes what lies on this machine: directories, ``file://`` URLs and archives, and exports to ``file://`` URLs."""

    @hookimpl
    def hubplug_resolve(self, handle: Handle) -> Source | Declined | None:
        """Takes paths and ``file://`` URLs.

        A relative path stays relative, as in tensorflow_hub: what is built from the module names its files that way.

        Raises:
            MissingError: Nothing is there.
            FormatError: It is a file that is certainly not an archive.
            FetchError: It cannot be looked at.
            HandleError: The ``file://`` URL names another machine.
        """
        from hubplug_file._paths import archive_key, is_directory, path_of_url

        if handle.scheme not in ("", "file"):
            return None
        step: Handle | None = handle
        while step is not None:
            if step.named_by_server:
                return Declined("a server may not name a local path")
            step = step.asked_before
        path = path_of_url(handle.text) if handle.scheme else handle.text
        if is_directory(path):
            return Source(handle, path.rstrip("/") or "/", in_place=True)
        return Source(handle, path, cache_key=archive_key(path))

    @hookimpl
    def hubplug_fetch(self, source: Source) -> Plan[RunFetch] | None:
        """Reads a local archive."""
        from hubplug_file._reading import open_archive

        if scheme_of(source.location):
            return None
        return Plan(f"read {source.location}", lambda tree, auth_for: open_archive(source))

    @hookimpl
    def hubplug_publish(self, handle: Handle) -> Handle | None:
        """Exports to ``file://`` URLs go to their paths.

        Raises:
            HandleError: The URL names another machine.
        """
        from hubplug_file._paths import path_as_written

        return handle.instead(path_as_written(handle.text)) if handle.scheme == "file" else None
