"""The contracts, held by small plugins of a third party whose fixtures use ``tmp_path`` as they like."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from filelock import FileLock

import hubplug
from hubplug.errors import FetchError, MissingError
from hubplug.hub import Hub
from hubplug.settings.config import DEFAULT
from hubplug.spec import ExportRequest, ModuleSpec
from hubplug.testing import (
    CacheContract,
    ExportContract,
    FetchContract,
    LoadFormatContract,
    Reply,
    ScriptedServer,
    UnpackContract,
    archive_of,
)
from hubplug.types import ArchiveStream, FileRecord, Handle, LocalModule, Plan, Provenance, Source
from hubplug_archive import TarArchive
from hubplug_tf1 import Tf1Format

# What contracts have called their own files at one time or another.
_NAMES = ("dest", "first", "second", "0", "1", "staging", "empty", "other", "produced", "contract", "archive", "half")


@pytest.fixture
def used_tmp_path(tmp_path: Path) -> Path:
    """``tmp_path`` in full use by the author."""
    for name in _NAMES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "author.txt").write_text("the author's own")
    return tmp_path


class ContentAddressed:
    """A cache that keeps each set of files once, under a digest, and an index of what came from where."""

    def __init__(self, *, dir: str) -> None:
        self._root = Path(dir)

    @hubplug.hookimpl
    def hubplug_cache(self, source: Source) -> Plan[Any]:
        index = self._root / "index" / f"{source.key_sha256}-{source.handle.sha256 or 'any'}.json"

        def run(produce: Callable[[Path], Provenance]) -> LocalModule:
            index.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{index}.lock"):
                if not index.is_file():
                    self._fill(index, produce)
                known = json.loads(index.read_text())
            files = tuple(FileRecord(**record) for record in known["provenance"].pop("files"))
            return LocalModule(
                self._root / known["tree"], source.handle, Provenance(**known["provenance"], files=files)
            )

        return Plan(f"keep {source.handle} by its content", run, hit=index.is_file())

    def _fill(self, index: Path, produce: Callable[[Path], Provenance]) -> None:
        fresh = Path(tempfile.mkdtemp(dir=self._root))
        try:
            provenance = produce(fresh)
            digest = digest_of(provenance)
            with contextlib.suppress(OSError):  # the same files are there already
                fresh.rename(self._root / digest)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        staged = index.with_suffix(".new")
        staged.write_text(json.dumps({"tree": digest, "provenance": asdict(provenance)}))
        os.replace(staged, index)


def digest_of(provenance: Provenance) -> str:
    return hashlib.sha256(repr([(file.path, file.sha256) for file in provenance.files]).encode()).hexdigest()


class TestContentAddressed(CacheContract):
    @pytest.fixture
    def place(self, used_tmp_path: Path) -> Path:
        return used_tmp_path / "cache"

    @pytest.fixture
    def make_plugin(self, place: Path) -> Callable[[], ContentAddressed]:
        place.mkdir()
        return lambda: ContentAddressed(dir=str(place))


def test_a_content_addressed_cache_serves_a_hub(
    make_hub: Callable[..., Hub], server: ScriptedServer, tiny_archive: bytes, tmp_path: Path
) -> None:
    server.always(Reply(body=tiny_archive))
    hub = make_hub(ContentAddressed(dir=str(tmp_path)))
    first, second = hub.resolve(server.url("/a/1")), hub.resolve(server.url("/b/1"))
    assert first.path == second.path
    assert first.provenance is not None
    assert second.provenance is not None
    assert first.provenance.location != second.provenance.location
    assert hub.resolve(server.url("/a/1")).provenance == first.provenance
    assert len(server.requests) == 2


class Shelf:
    """Brings ``shelf://host:port/name`` from a server of the plugin's own kind."""

    @hubplug.hookimpl
    def hubplug_fetch(self, source: Source) -> Plan[Any] | None:
        if not source.location.startswith("shelf://"):
            return None
        url = source.location.replace("shelf", "http", 1)
        shown = hubplug.redact(source.location)

        def run(tree: Any, auth_for: Any) -> ArchiveStream:
            try:
                body = urllib.request.urlopen(url, timeout=60)
            except urllib.error.HTTPError as error:
                error.close()
                raise MissingError(f"{shown}: HTTP {error.code}") from None
            except OSError as error:
                raise FetchError(f"{shown} cannot be reached: {error}", hint="try again later") from None
            return ArchiveStream(body, name=shown)

        return Plan(f"bring {shown}", run, network=True)


class TestShelf(FetchContract):
    @pytest.fixture(autouse=True)
    def in_use(self, used_tmp_path: Path, isolated_environment: Path) -> None:
        """The author needs ``tmp_path`` for something else."""

    @pytest.fixture
    def plugin(self) -> Shelf:
        return Shelf()

    @pytest.fixture
    def source(self, server: ScriptedServer, tiny_archive: bytes) -> Source:
        server.on("/m", Reply(body=tiny_archive))
        return Source(Handle.parse("shelf://m"), f"shelf://127.0.0.1:{server.port}/m")

    @pytest.fixture
    def missing_source(self, server: ScriptedServer) -> Source:
        return Source(Handle.parse("shelf://m"), f"shelf://127.0.0.1:{server.port}/missing")

    @pytest.fixture
    def unreachable_source(self, closed_port: int) -> Source:
        return Source(Handle.parse("shelf://m"), f"shelf://127.0.0.1:{closed_port}/m")


def test_a_plugin_that_needs_the_network_has_to_say_which_server_is_gone(
    server: ScriptedServer, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    source = Source(Handle.parse("shelf://m"), f"shelf://127.0.0.1:{server.port}/m")
    with pytest.raises((pytest.fail.Exception, pytest.FixtureLookupError), match="unreachable_source"):
        FetchContract().test_a_server_that_is_gone_is_an_error_of_one_line_and_not_a_missing_module(
            Shelf(), source, tmp_path, request
        )


class TestUnpacking(UnpackContract):
    @pytest.fixture
    def plugin(self, used_tmp_path: Path) -> TarArchive:
        return TarArchive()

    @pytest.fixture
    def archive(self, tiny_module: Path) -> bytes:
        return archive_of(tiny_module)

    @pytest.fixture
    def content(self, tiny_module: Path) -> Mapping[str, bytes]:
        files = [path for path in tiny_module.rglob("*") if path.is_file()]
        return {path.relative_to(tiny_module).as_posix(): path.read_bytes() for path in files}


class TestLoading(LoadFormatContract):
    @pytest.fixture
    def plugin(self, used_tmp_path: Path) -> Tf1Format:
        return Tf1Format()

    @pytest.fixture
    def directory(self, tiny_module: Path) -> Path:
        return tiny_module


class Listing:
    """Exports the tags of a module."""

    @hubplug.hookimpl
    def hubplug_export(self, request: ExportRequest) -> Plan[Any] | None:
        if type(request.spec) is ModuleSpec:
            return None

        def run(dest: Path) -> None:
            (dest / "tags.txt").write_text(str(request.spec.get_tags()))

        return Plan("list the tags", run, names=["tags.txt"])


class TestListing(ExportContract):
    @pytest.fixture
    def plugin(self) -> Listing:
        return Listing()

    @pytest.fixture
    def request_to_export(self, used_tmp_path: Path, make_hub: Callable[..., Hub], tiny_module: Path) -> ExportRequest:
        return ExportRequest(make_hub().load_spec(str(tiny_module)), str(used_tmp_path / "exported"))


def test_make_hub_has_the_built_in_plugins_in_the_order_of_the_default_chain(make_hub: Callable[..., Hub]) -> None:
    assert [member.name for member in make_hub().chain.members] == DEFAULT["chain"]
    assert [member.name for member in make_hub(Shelf(), chain=["file"]).chain.members] == ["Shelf[0]", "file"]


@click.command()
@click.argument("handle")
def where(handle: str) -> None:
    """A command of a plugin."""
    click.echo(hubplug.current_hub().resolve(handle).path)


def test_a_command_reaches_the_hub_in_effect(make_hub: Callable[..., Hub], tmp_path: Path, tiny_archive: bytes) -> None:
    class Team:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle) -> Handle | None:
            return handle.instead(str(tmp_path / "m.tar.gz")) if handle.scheme == "team" else None

    (tmp_path / "m.tar.gz").write_bytes(tiny_archive)
    with make_hub(Team()).activate():
        result = CliRunner().invoke(where, ["team://m"], catch_exceptions=False)
    assert (Path(result.output.strip()) / "tfhub_module.pb").is_file()
