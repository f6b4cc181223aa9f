"""The content-addressed cache keeps the contract of every cache, and the commands work for it as for hubplug's own."""

from __future__ import annotations

import json

import pytest
from blob_cache import BlobCache
from click.testing import CliRunner

from hubplug.cli.main import hubplug as command
from hubplug.testing import CacheContract, Reply


class TestBlobCache(CacheContract):
    @pytest.fixture
    def place(self, tmp_path):
        return tmp_path / "blobs"

    @pytest.fixture
    def make_plugin(self, place):
        return lambda: BlobCache(str(place))


@pytest.fixture
def serving(server, tiny_archive):
    """A server with the same module under two handles."""
    server.always(Reply(body=tiny_archive))
    return server


@pytest.fixture
def hub(make_hub, tmp_path):
    return make_hub(BlobCache(str(tmp_path / "blobs")), chain=["http", "archive", "tf1"])


def run(hub, *arguments):
    with hub.activate():
        return CliRunner().invoke(command, ["cache", *map(str, arguments)])


def test_equal_files_of_two_handles_are_there_once(hub, serving, tmp_path):
    first, second = hub.resolve(serving.url("/a/1")), hub.resolve(serving.url("/b/1"))
    assert first.path == second.path
    assert first.provenance.location != second.provenance.location
    assert len(list((tmp_path / "blobs" / "blobs").iterdir())) == len({file.sha256 for file in first.provenance.files})


def test_the_commands_list_verify_and_remove_what_it_has(hub, serving):
    handles = [serving.url("/a/1"), serving.url("/b/1")]
    paths = [hub.resolve(handle).path for handle in handles]
    rows = json.loads(run(hub, "list", "--json").output)
    assert [row["handle"] for row in sorted(rows, key=lambda row: row["handle"])] == handles
    assert {row["state"] for row in rows} == {"complete"}
    assert run(hub, "path", handles[0]).output.strip() == str(paths[0])
    file = paths[0] / "saved_model.pb"
    file.chmod(0o644)
    file.write_bytes(b"x" * file.stat().st_size)
    verified = run(hub, "verify", handles[0])
    assert verified.exit_code == 1
    assert "saved_model.pb has sha256" in verified.output
    hub.resolve(handles[0])
    assert run(hub, "verify").exit_code == 0
    assert "removed 1 of its entries" in run(hub, "remove", "--grace", "0", handles[0]).output
    assert [row["handle"] for row in json.loads(run(hub, "list", "--json").output)] == [handles[1]]
    assert run(hub, "verify").exit_code == 0
    assert run(hub, "prune", "--max-size", "0", "--grace", "0").exit_code == 0
    assert not list((paths[0].parent.parent / "blobs").iterdir())


def test_what_it_exports_another_cache_imports_and_the_other_way_round(
    hub, make_hub, serving, tmp_path, isolated_environment
):
    handle = serving.url("/a/1")
    hub.resolve(handle)
    assert run(hub, "export", tmp_path / "out.tar").exit_code == 0
    own = make_hub(offline=True)
    assert run(own, "import", tmp_path / "out.tar").exit_code == 0
    assert own.resolve(handle).provenance == hub.resolve(handle).provenance
    assert run(own, "export", tmp_path / "back.tar").exit_code == 0
    third = make_hub(BlobCache(str(tmp_path / "third")), offline=True)
    assert run(third, "import", "--cache", "BlobCache[0]", tmp_path / "back.tar").exit_code == 0
    assert third.resolve(handle).path.parent.parent == tmp_path / "third"
    assert third.resolve(handle).provenance == hub.resolve(handle).provenance
