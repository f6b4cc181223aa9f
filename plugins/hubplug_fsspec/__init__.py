"""Modules on object stores and distributed file systems: ``gs://``, ``s3://``, ``hdfs://`` and others, through fsspec.

Decides which schemes are taken (an allow-list; which of them a server may name, the core says) and hands the bringing and
the publishing to private modules, the only ones that import fsspec.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from hubplug.errors import ConfigError, HandleError
from hubplug.files.tree import TreeWriter
from hubplug.hookspecs import RunFetch, RunPublish, RunResolve, hookimpl
from hubplug.shown.words import scheme_meant
from hubplug.types import ArchiveStream, Declined, Handle, Plan, Source
from hubplug.urls import scheme_of
from hubplug.web import Network

# What other plugins own, what reads the machine itself, and what hides another location inside the handle.
_NEVER = frozenset({
    "http", "https", "file", "local", "ftp", "data", "root", "reference", "dask", "dir", "zip", "tar", "libarchive",
    "cached", "blockcache", "filecache", "simplecache", "generic", "async_wrapper", "asyncwrapper", "asynclocal",
})  # fmt: skip
_IN_THIS_PROCESS = "memory"


class Fsspec:
    """Takes handles of object stores and distributed file systems, archives as well as directory trees, and exports there.

    The package of the protocol (gcsfs, s3fs, adlfs, ...) is imported when something is brought or published.
    """

    environment: ClassVar[Mapping[str, str]] = {"progress": "TFHUB_DOWNLOAD_PROGRESS"}
    # Credentials; and an allow-list, which grants trust when it grows.
    trusted_options: ClassVar[Sequence[str]] = ("schemes", "storage_options")

    def __init__(
        self,
        schemes: Sequence[str] = (
            "gs", "gcs", "s3", "s3a", "hdfs", "webhdfs", "abfs", "abfss", "az", "oss", "oci", "hf", "memory",
        ),
        storage_options: Mapping[str, Mapping[str, Any]] = {},
        parallel: int = 8,
        progress: bool | str = False,
    ) -> None:  # fmt: skip
        """Checks the options.

        Args:
            schemes: Those that are taken.
            storage_options: By scheme, what fsspec's file system of that scheme is made with (``token``,
                ``endpoint_url``, ``anon``, ...). Never shown in a message.
            parallel: Files of a directory tree that are copied or uploaded at the same time.
            progress: Whether a progress bar is drawn even if no one seems to be watching; any text but the
                empty one means yes.

        Raises:
            ConfigError: A scheme is not for this plugin, or ``parallel`` is less than 1.
        """
        self._schemes = tuple(scheme.lower() for scheme in schemes)
        self._storage_options = {scheme.lower(): dict(options) for scheme, options in storage_options.items()}
        self._parallel = parallel
        self._progress = bool(progress)
        if refused := _NEVER.intersection(self._schemes):
            raise ConfigError(
                f"schemes: {min(refused)!r} is never fetched through fsspec",
                hint="the plugins file and http take local paths and web addresses",
            )
        if strays := set(self._storage_options).difference(self._schemes):
            raise ConfigError(f"storage_options: {min(strays)!r} is not among the schemes {', '.join(self._schemes)}")
        if parallel < 1:
            raise ConfigError(f"parallel: at least 1 file is copied at a time, got {parallel}")

    def __repr__(self) -> str:
        return f"Fsspec(schemes={list(self._schemes)})"

    @hookimpl
    def hubplug_resolve(self, handle: Handle) -> Source | Plan[RunResolve] | Declined | None:
        scheme = handle.scheme.lower()
        if declined := self._find_refusal(scheme):
            return declined
        if scheme == "hf":
            return self._at_commit(handle)
        return Source(handle, _location_of(handle), cacheable=scheme != _IN_THIS_PROCESS)

    @hookimpl
    def hubplug_fetch(self, source: Source) -> Plan[RunFetch] | Declined | None:
        scheme = scheme_of(source.location).lower()
        if declined := self._find_refusal(scheme):
            return declined

        def run(tree: TreeWriter, auth_for: Callable[..., Any]) -> ArchiveStream | None:
            from hubplug_fsspec._fetching import fetch

            return fetch(source, self._options(scheme), tree, self._parallel, self._progress)

        return Plan(
            f"copy {source} with fsspec", run, network=scheme != _IN_THIS_PROCESS, credentials=self._credentials(scheme)
        )

    @hookimpl
    def hubplug_publish(self, handle: Handle) -> Plan[RunPublish] | Declined | None:
        scheme = handle.scheme.lower()
        if declined := self._find_refusal(scheme):
            return declined
        if scheme == "hf":
            return Declined("exports to Hugging Face are commits, which hubplug does not make")
        location = _location_of(handle)

        def run(produce: Callable[[Path], None]) -> None:
            from hubplug_fsspec._publishing import publish

            publish(location, self._storage_options.get(scheme, {}), produce, self._parallel, self._progress)

        return Plan(
            f"upload the module to {handle} with fsspec",
            run,
            network=scheme != _IN_THIS_PROCESS,
            credentials=self._credentials(scheme),
        )

    def _at_commit(self, handle: Handle) -> Source | Plan[RunResolve]:
        from hubplug_fsspec._hugging_face import RepositoryPath, commit_of

        place = RepositoryPath.of_handle(handle)
        if place.is_pinned:
            return Source(handle, str(place))

        def run(auth_for: Network) -> Handle:
            return handle.instead(str(place.at(commit_of(place, self._storage_options.get("hf", {})))))

        return Plan(f"ask which commit {place} is", run, network=True, credentials=self._credentials("hf"))

    def _options(self, scheme: str) -> Mapping[str, Any]:
        options = self._storage_options.get(scheme, {})
        if scheme != "hf":
            return options
        from hubplug_fsspec._hugging_face import options_of

        return options_of(options)

    def _credentials(self, scheme: str) -> str:
        from hubplug_fsspec._credentials import describe_credentials

        return describe_credentials(scheme, self._storage_options.get(scheme, {}))

    def _find_refusal(self, scheme: str) -> Declined | None:
        if not scheme or scheme in _NEVER:
            return Declined("takes object stores and distributed file systems only")
        if scheme not in self._schemes:
            return Declined(
                f"{scheme}:// is not among its schemes {', '.join(self._schemes)}",
                hint=scheme_meant(scheme, self._schemes),
            )
        return None


def _location_of(handle: Handle) -> str:
    """The text of a handle, with its scheme in lower case.

    Raises:
        HandleError: Nothing comes after the scheme.
    """
    scheme = handle.scheme.lower()
    location = f"{scheme}{handle.text[len(scheme) :]}"
    if not location[len(scheme) + 3 :].strip("/"):
        raise HandleError(f"{str(handle)!r} names nothing but a scheme", hint=f"write {scheme}://bucket/path")
    return location
