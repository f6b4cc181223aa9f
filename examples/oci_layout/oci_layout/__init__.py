"""Modules as artifacts in an OCI image layout, a directory: ``oci+file:///models/layout?tag=text-embedding-1``."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import hubplug
from hubplug.hookspecs import RunFetch
from hubplug.types import ArchiveStream, Declined, Handle, Plan, Source

SCHEME = "oci+file"


class OciLayout:
    """Takes ``oci+file://`` handles and brings the one layer of the artifact with that tag."""

    @hubplug.hookimpl
    def hubplug_resolve(self, handle: Handle) -> Source | Declined | None:
        if handle.scheme != SCHEME:
            return None
        if handle.named_by_server:
            return Declined("a server may not name a local path")
        return Source(handle, handle.text)

    @hubplug.hookimpl
    def hubplug_fetch(self, source: Source) -> Plan[RunFetch] | None:
        if not source.location.startswith(f"{SCHEME}://"):
            return None
        parts = urlsplit(source.location)
        tag = parse_qs(parts.query).get("tag", ["latest"])[0]
        folder = unquote(parts.path)

        def run(tree: Any, auth_for: Any) -> ArchiveStream:
            from oci_layout._layout import open_layer

            return open_layer(folder, tag)

        return Plan(f"read the layer of the artifact in {folder}", run)
