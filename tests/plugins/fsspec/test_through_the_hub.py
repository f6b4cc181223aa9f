"""Object stores as one link of the whole chain: cache, fsspec, archive, format."""

from __future__ import annotations

import hashlib
import socket
import tarfile
from pathlib import Path

import pytest

from hubplug.errors import DigestMismatch, HubplugError, NobodyAnswered, OccupiedError, OfflineError
from hubplug.hookspecs import RunExport, hookimpl
from hubplug.hub import Hub
from hubplug.spec import ExportRequest, ModuleSpec
from hubplug.types import Plan

from .conftest import Store

# The smallest module there is: format 3, and one empty graph variant.
MODULE = {"tfhub_module.pb": b"\x08\x03", "saved_model.pb": b"\x08\x01\x12\x00"}


def hub_with(store: Store, cache: Path, offline: bool = False) -> Hub:
    fsspec = {"storage_options": {store.scheme: dict(store.storage_options)}} if store.storage_options else {}
    return Hub(
        {
            "chain": ["cache", "file", "fsspec", "archive", "tf1"],
            "plugins": {"cache": {"options": {"dir": str(cache)}}, "fsspec": {"options": fsspec}},
            "offline": offline,
        }
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TFHUB_CACHE_DIR")
    return tmp_path / "cache"


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as tar:
        for name, content in MODULE.items():
            (tmp_path / name).write_bytes(content)
            tar.add(tmp_path / name, name)
    return (tmp_path / "m.tar.gz").read_bytes()


def files_of(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != ".hubplug.json"}


@pytest.mark.parametrize("store", ["gs", "s3"], indirect=True)
@pytest.mark.parametrize("kind", ["tree", "archive"])
def test_a_module_on_a_store_lands_in_the_cache_and_is_there_offline(
    store: Store, cache: Path, archive: bytes, kind: str
) -> None:
    if kind == "tree":
        store.put({f"team/model/{name}": content for name, content in MODULE.items()})
        handle = store.url("team/model")
    else:
        store.put({"team/model.tar.gz": archive})
        handle = store.url("team/model.tar.gz")
    resolved = hub_with(store, cache).resolve(handle)
    assert resolved.path.parent == cache
    assert resolved.path.name == hashlib.sha1(handle.encode()).hexdigest()
    assert files_of(resolved.path) == MODULE
    assert hub_with(store, cache, offline=True).resolve(handle).path == resolved.path


def test_a_module_in_memory_is_brought_for_this_process_only(memory_store: Store, cache: Path) -> None:
    memory_store.put({f"m/{name}": content for name, content in MODULE.items()})
    resolved = hub_with(memory_store, cache, offline=True).resolve(memory_store.url("m"))
    assert files_of(resolved.path) == MODULE
    assert not cache.exists() or [path for path in cache.iterdir() if not path.name.startswith(".")] == []


def test_a_pinned_archive_must_have_the_digest(s3_store: Store, cache: Path, archive: bytes) -> None:
    s3_store.put({"m.tar.gz": archive})
    digest = hashlib.sha256(archive).hexdigest()
    hub = hub_with(s3_store, cache)
    assert files_of(hub.resolve(f"{s3_store.url('m.tar.gz')}#sha256={digest}").path) == MODULE
    s3_store.put({"n.tar.gz": archive + b"x"})
    with pytest.raises(HubplugError):
        hub.resolve(f"{s3_store.url('n.tar.gz')}#sha256={digest}")


def test_a_tree_cannot_satisfy_the_pin_of_an_archive(gs_store: Store, cache: Path) -> None:
    gs_store.put({f"m/{name}": content for name, content in MODULE.items()})
    with pytest.raises(DigestMismatch, match="expected the archive with sha256 0000"):
        hub_with(gs_store, cache).resolve(f"{gs_store.url('m')}#sha256={'0' * 64}")


def test_offline_nothing_is_asked_of_a_store(gs_store: Store, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = hub_with(gs_store, cache, offline=True)

    def connect(*args: object) -> None:
        pytest.fail("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(OfflineError, match=r"copy gs://.* with fsspec"):
        hub.resolve(gs_store.url("m"))


def test_a_tree_that_is_no_module_leaves_nothing_in_the_cache(gs_store: Store, cache: Path) -> None:
    gs_store.put({"m/notes.txt": b"hello"})
    with pytest.raises(HubplugError):
        hub_with(gs_store, cache).resolve(gs_store.url("m"))
    assert [path for path in cache.rglob("*") if ".hubplug-locks" not in path.parts] == []


def test_a_scheme_that_is_not_allowed_says_which_are(memory_store: Store, cache: Path) -> None:
    with pytest.raises(NobodyAnswered, match=r"sftp:// is not among its schemes gs, gcs, s3"):
        hub_with(memory_store, cache).resolve("sftp://host/model")


class Stored(ModuleSpec):
    """A module that is written as ``MODULE`` says."""


class Writes:
    @hookimpl
    def hubplug_export(self, request: ExportRequest) -> Plan[RunExport] | None:
        if not isinstance(request.spec, Stored):
            return None

        def run(dest: Path) -> None:
            for name, content in MODULE.items():
                (dest / name).write_bytes(content)

        return Plan("write it", run)


def test_what_is_exported_to_a_store_can_be_resolved_from_there(store: Store, cache: Path) -> None:
    hub = Hub(hub_with(store, cache).config, plugins=[Writes()])
    hub.export(ExportRequest(Stored(), store.url("team/model/1")))
    assert files_of(hub.resolve(store.url("team/model/1")).path) == MODULE
    with pytest.raises(OccupiedError):
        hub.export(ExportRequest(Stored(), store.url("team/model/1")))


def test_offline_nothing_is_exported_but_to_memory(s3_store: Store, memory_store: Store, cache: Path) -> None:
    def offline(store: Store) -> Hub:
        return Hub(hub_with(store, cache, offline=True).config, plugins=[Writes()])

    with pytest.raises(OfflineError, match="it would have to upload the module to s3://"):
        offline(s3_store).export(ExportRequest(Stored(), s3_store.url("m")))
    assert not s3_store.filesystem.exists(f"{s3_store.bucket}/m")
    offline(memory_store).export(ExportRequest(Stored(), memory_store.url("m")))
    assert memory_store.filesystem.exists(f"{memory_store.bucket}/m/tfhub_module.pb")
