"""Small real plugins for a made-up scheme and a made-up format, which write down when they are asked.

``toy://name`` is a tree of single files, ``toyball://name`` an archive: the line ``TOYBALL`` and the text of the module.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import hubplug
from hubplug.errors import IncompleteDownload, MissingError
from hubplug.hookspecs import RunCache, RunExport, RunFetch, RunUnpack
from hubplug.spec import ExportRequest
from hubplug.types import (
    ArchiveStream,
    Declined,
    Finding,
    Handle,
    LocalModule,
    Plan,
    SignatureInfo,
    Source,
    TensorInfo,
)

ANY = TensorInfo("string", (None,), names={"name": "x:0"})


class TextSpec(hubplug.ModuleSpec):
    """A module that is one text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def get_tags(self) -> list[frozenset[str]]:
        return [frozenset()]

    def signatures(self, tags: Collection[str] | None = None) -> Mapping[str, SignatureInfo]:
        return {"default": SignatureInfo({"text": ANY}, {"default": ANY})}


class Logged:
    """Writes down who was asked for what."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.log: list[str] = [] if log is None else log


class Resolver(Logged):
    """``toy://`` and ``toyball://`` live where they say."""

    @hubplug.hookimpl
    def hubplug_resolve(self, handle: Handle) -> Source | Declined | None:
        self.log.append(f"resolve {handle}")
        if handle.scheme in ("toy", "toyball"):
            return Source(handle, handle.text)
        return Declined(f"only toy:// and toyball://, not {handle.scheme or 'a path'}")


class Shelf(Logged):
    """A cache in a directory; a hit is what it has put there itself and has the pinned digest."""

    def __init__(self, root: Path, log: list[str] | None = None) -> None:
        super().__init__(log)
        self.root = root
        self.entries: dict[str, LocalModule] = {}

    @hubplug.hookimpl
    def hubplug_cache(self, source: Source) -> Plan[RunCache]:
        self.log.append(f"cache {source}")
        known = self.entries.get(source.key_sha256)
        if known is not None and known.provenance and source.handle.sha256 in (None, known.provenance.archive_sha256):
            return Plan(f"use {known.path}", lambda produce: known, hit=True)

        def fill(produce: Any) -> LocalModule:
            self.root.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(dir=self.root))
            try:
                provenance = produce(staging)
                shutil.rmtree(self.root / source.key_sha256, ignore_errors=True)
                entry = staging.rename(self.root / source.key_sha256)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
            module = self.entries[source.key_sha256] = LocalModule(entry, source.handle, provenance)
            return module

        return Plan(f"fill {self.root / source.key_sha256}", fill)


class Fetcher(Logged):
    """Brings ``toy://`` as single files and ``toyball://`` as an archive, from a dict of texts."""

    def __init__(self, texts: Mapping[str, str], log: list[str] | None = None) -> None:
        super().__init__(log)
        self.texts = texts

    @hubplug.hookimpl
    def hubplug_fetch(self, source: Source) -> Plan[RunFetch] | None:
        self.log.append(f"fetch {source}")
        scheme, _, name = source.location.partition("://")
        if scheme not in ("toy", "toyball"):
            return None

        def run(tree: Any, auth_for: Any) -> ArchiveStream | None:
            auth_for(source.location)
            name_only = name.partition("?")[0].rpartition("@")[2]
            if name_only not in self.texts:
                raise MissingError(f"{source} is not there")
            text = self.texts[name_only].encode()
            if scheme == "toyball":
                return ArchiveStream(io.BytesIO(b"TOYBALL\n" + text), name=str(source), etag='"1"')
            with tree.open("model.txt") as file:
                file.write(text)
            return None

        return Plan(f"bring {source}", run, network=True, asks_about=[source.location])


class Unpacker(Logged):
    @hubplug.hookimpl
    def hubplug_unpack(self, archive: ArchiveStream) -> Plan[RunUnpack] | None:
        self.log.append(f"unpack {archive.name}")
        if archive.peek(8) != b"TOYBALL\n":
            return None

        def run(tree: Any) -> None:
            data = archive.read(1 << 20)
            while more := archive.read(1 << 20):
                data += more
            if data.endswith(b"\n..."):
                raise IncompleteDownload(f"{archive.name} ends in the middle")
            with tree.open("model.txt") as file:
                file.write(data[8:])

        return Plan("open the ball", run)


class TextFormat(Logged):
    @hubplug.hookimpl
    def hubplug_load_format(self, module: LocalModule) -> TextSpec | Declined:
        self.log.append(f"load_format {module.handle.original}")
        if (module.path / "model.txt").is_file():
            return TextSpec((module.path / "model.txt").read_text())
        return Declined("there is no model.txt")


class House(Logged):
    """The profile ``house``: the text says ``good``."""

    @hubplug.hookimpl
    def hubplug_validate(self, spec: TextSpec, profile: str) -> list[Finding] | None:
        self.log.append(f"validate {profile}")
        if profile != "house":
            return None
        if "good" in spec.text:
            return []
        return [Finding("house/good", "error", f"the text {spec.text!r} does not say 'good'")]


class Signer(Logged):
    @hubplug.hookimpl
    def hubplug_auth(self, request: Any) -> Any:
        self.log.append(f"auth {request!r}")


class Writer(Logged):
    @hubplug.hookimpl
    def hubplug_export(self, request: ExportRequest) -> Plan[RunExport] | None:
        self.log.append("export")
        spec = request.spec
        if not isinstance(spec, TextSpec):
            return None
        return Plan("write the text", lambda dest: (dest / "model.txt").write_text(spec.text) and None)


def toy_plugins(root: Path, texts: Mapping[str, str], log: list[str] | None = None) -> list[Any]:
    """One plugin for each hook."""
    log = [] if log is None else log
    return [
        Resolver(log),
        Shelf(root, log),
        Fetcher(texts, log),
        Unpacker(log),
        TextFormat(log),
        House(log),
        Signer(log),
        Writer(log),
    ]
