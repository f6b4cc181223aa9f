"""What arrives from a store: archives as streams, directories file by file, or one error that says what is wrong."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hubplug.errors import (
    AccessError,
    FetchError,
    HandleError,
    IncompleteDownload,
    MissingError,
    UnsafeArchiveError,
)
from hubplug.files.tree import Limits, TreeWriter
from hubplug.types import ArchiveStream, Handle, Source
from hubplug_fsspec import Fsspec
from tests.servers import Reply, ScriptedServer

from .conftest import SECRET, Store

Bring = Callable[..., Any]

MODULE = {
    "saved_model.pb": b"graph" * 1000,
    "tfhub_module.pb": b"\x08\x03",
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": bytes(range(256)) * 3_000,
    "assets/vocabulary.txt": "\u00e4pfel\nbirnen\n".encode(),
    "assets/empty.txt": b"",
}


def test_a_directory_tree_arrives_file_by_file(store: Store, bring: Bring) -> None:
    store.put({f"team/model/1/{name}": content for name, content in MODULE.items()})
    store.put({"team/model/10/saved_model.pb": b"a neighbour whose name begins alike"})
    assert bring(store.plugin, store.url("team/model/1")) == MODULE
    assert bring(store.plugin, store.url("team/model/1/")) == MODULE


def test_a_whole_bucket_may_be_a_module(store: Store, bring: Bring) -> None:
    store.put(MODULE)
    assert bring(store.plugin, store.url("")) == MODULE


def test_an_object_arrives_as_an_archive_stream(store: Store, bring: Bring) -> None:
    content = bytes(range(251)) * 4_000
    store.put({"model.tar.gz": content})
    assert bring(store.plugin, store.url("model.tar.gz")) == content


def test_an_archive_stream_knows_its_name_size_and_entity_tag(s3_store: Store, tmp_path: Path) -> None:
    s3_store.put({"m.tgz": b"x" * 5000})
    with _open(s3_store.plugin, s3_store.url("m.tgz"), tmp_path) as archive:
        assert archive.name == archive.location == s3_store.url("m.tgz")
        assert archive.size == 5000
        assert archive.etag
        assert archive.peek(2) == b"xx"


def test_names_with_odd_characters_arrive_under_those_names(store: Store, bring: Bring) -> None:
    files = {"saved_model.pb": b"1", "assets/with space & 100%.txt": b"2", "assets/\u00fcber.txt": b"3"}
    store.put({f"m/{name}": content for name, content in files.items()})
    assert bring(store.plugin, store.url("m")) == files


def test_the_manifest_of_a_cache_entry_that_was_copied_to_a_store_stays_behind(store: Store, bring: Bring) -> None:
    store.put({"m/saved_model.pb": b"1", "m/.hubplug.json": b"{}"})
    assert bring(store.plugin, store.url("m")) == {"saved_model.pb": b"1"}


def test_objects_that_stand_for_directories_are_no_files(s3_store: Store, bring: Bring) -> None:
    s3_store.put({"m/saved_model.pb": b"1", "m/variables/variables.index": b"2"})
    for name in ("m/", "m/variables/", "m/assets/"):
        s3_store.filesystem.call_s3("put_object", Bucket=s3_store.bucket, Key=name, Body=b"")
    assert bring(s3_store.plugin, s3_store.url("m")) == {"saved_model.pb": b"1", "variables/variables.index": b"2"}


@pytest.mark.parametrize("name", ["nothing", "nothing/here/1", "nothing.tar.gz"])
def test_a_place_where_nothing_is_is_called_missing(store: Store, bring: Bring, name: str) -> None:
    store.put({"something": b"1"})
    with pytest.raises(MissingError) as caught:
        bring(store.plugin, store.url(name))
    assert caught.value.message == f"{store.url(name)} does not exist"
    assert caught.value.hint


def test_a_bucket_that_does_not_exist_is_called_missing(s3_store: Store, gs_store: Store, bring: Bring) -> None:
    for store in (s3_store, gs_store):
        with pytest.raises(MissingError, match="does not exist"):
            bring(store.plugin, f"{store.scheme}://no-such-bucket-here/model")


def test_an_empty_directory_is_called_empty(memory_store: Store, bring: Bring) -> None:
    memory_store.filesystem.makedirs(f"{memory_store.bucket}/m")
    with pytest.raises(MissingError, match="is an empty directory"):
        bring(memory_store.plugin, memory_store.url("m"))


@pytest.mark.parametrize("name", ["m/a/../../../evil", "m/a\\b", "m/C:evil"])
def test_a_name_that_would_leave_the_module_is_refused(s3_store: Store, tmp_path: Path, name: str) -> None:
    s3_store.put({"m/saved_model.pb": b"1"})
    s3_store.filesystem.call_s3("put_object", Bucket=s3_store.bucket, Key=name, Body=b"evil")
    with pytest.raises(UnsafeArchiveError):
        _open(s3_store.plugin, s3_store.url("m"), tmp_path / "inside")
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"evil"] == []


def test_a_directory_with_too_many_files_is_refused_before_any_is_copied(memory_store: Store, tmp_path: Path) -> None:
    memory_store.put({f"m/{number}": b"x" for number in range(12)})
    with pytest.raises(UnsafeArchiveError, match="has more than 10 files and directories"):
        _open(memory_store.plugin, memory_store.url("m"), tmp_path, Limits(max_members=10))
    assert list(tmp_path.iterdir()) == []


def test_a_location_that_chains_file_systems_is_refused(bring: Bring, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("private")
    for url in (f"memory://x::file://{tmp_path}/private", "gs://b/x::https://h/y"):
        with pytest.raises(HandleError, match="chains file systems with '::'"):
            bring(Fsspec(), url)


def test_a_protocol_whose_package_is_missing_names_the_package(bring: Bring) -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(FetchError) as caught:
        bring(Fsspec(), "oss://bucket/model")
    assert caught.value.message == "oss://bucket/model needs a package that is not installed"
    assert caught.value.hint == "pip install ossfs"


def test_a_protocol_that_fsspec_does_not_know_is_said_to_be_unknown(bring: Bring) -> None:
    with pytest.raises(FetchError, match=r"does not know the protocol 'corpfs', which corpfs://h/m needs"):
        bring(Fsspec(schemes=["corpfs"]), "corpfs://h/m")


def test_missing_credentials_are_called_that(s3_store: Store, bring: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    plugin = Fsspec(storage_options={"s3": {"endpoint_url": s3_store.storage_options["endpoint_url"]}})
    with pytest.raises(AccessError, match=f"{s3_store.url('m')}: access was refused: NoCredentialsError") as caught:
        bring(plugin, s3_store.url("m"))
    assert "storage_options" in str(caught.value.hint)


def test_a_server_that_is_not_there_is_called_unreachable_without_a_secret(bring: Bring) -> None:
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    options = {
        "key": "k", "secret": SECRET, "endpoint_url": "http://127.0.0.1:1",
        "config_kwargs": {"retries": {"max_attempts": 0}},
    }  # fmt: skip
    with pytest.raises(FetchError, match="s3://b/m: the server cannot be reached") as caught:
        bring(Fsspec(storage_options={"s3": options}), "s3://b/m")
    assert SECRET not in repr(caught.value) + str(caught.value)


def test_an_object_that_is_shorter_than_its_listing_said_is_incomplete(memory_store: Store, tmp_path: Path) -> None:
    memory_store.put({"m.tar": b"x" * 100})
    with _open(memory_store.plugin, memory_store.url("m.tar"), tmp_path) as archive:
        stored = memory_store.filesystem.store[f"/{memory_store.bucket}/m.tar"]
        stored.truncate(60)
        with pytest.raises(IncompleteDownload, match="60 bytes arrived, but the listing announced 100"):
            while archive.read(64):
                pass


def test_an_archive_that_is_replaced_while_it_is_read_is_noticed(s3_store: Store, tmp_path: Path) -> None:
    s3_store.put({"m.tar": b"old" * 1000})
    with _open(s3_store.plugin, s3_store.url("m.tar"), tmp_path) as archive:
        archive.read(3000)
        s3_store.put({"m.tar": b"new" * 1000})
        with pytest.raises(FetchError, match="was replaced while it was read"):
            archive.read(1)


def test_a_tree_that_is_changed_while_it_is_copied_is_noticed(memory_store: Store, tmp_path: Path) -> None:
    memory_store.put({f"m/{number}": b"x" * 10 for number in range(5)})
    tree = _TreeThatCallsBack(tmp_path, lambda: memory_store.put({"m/late": b"y"}))
    with pytest.raises(FetchError, match="was changed while it was copied"):
        _fetch(memory_store.plugin, memory_store.url("m"), tree)


def test_the_files_of_a_tree_are_copied_in_parallel(memory_store: Store, tmp_path: Path) -> None:
    memory_store.put({f"m/{number}": b"x" for number in range(4)})
    # Passes only when four files are open at the same time.
    tree = _TreeThatCallsBack(tmp_path, threading.Barrier(4, timeout=200).wait)
    _fetch(memory_store.plugin, memory_store.url("m"), tree)
    assert len(tree.finish()) == 4


def test_one_file_that_fails_ends_the_copying_of_all_and_leaves_none_half_written(
    gs_store: Store, tmp_path: Path
) -> None:
    gs_store.put({f"m/{number}": b"x" * 1000 for number in range(4)})
    gs_store.put({"m/large": b"y" * 5000})
    tree = TreeWriter(tmp_path, Limits(max_file_bytes=4000))
    with pytest.raises(UnsafeArchiveError, match="'large' has 5,000 bytes: beyond the cap max_file_bytes of 4,000"):
        _fetch(gs_store.plugin, gs_store.url("m"), tree)
    assert {path.stat().st_size for path in tmp_path.iterdir()} <= {1000}
    assert len(tree.finish()) == len(list(tmp_path.iterdir()))


def test_one_bar_shows_the_whole_tree(memory_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    memory_store.put({f"m/{name}": content for name, content in MODULE.items()})
    _fetch(Fsspec(progress=True), memory_store.url("m"), TreeWriter(tmp_path))
    shown = capsys.readouterr().err
    assert memory_store.url("m") in shown
    assert "100%" in shown


class _TreeThatCallsBack(TreeWriter):
    """Calls a function whenever a file is opened."""

    def __init__(self, root: Path, function: Callable[[], object]) -> None:
        super().__init__(root)
        self._function = function

    def open(self, name: str, size: int | None = None) -> Any:
        self._function()
        return super().open(name, size)


def _open(plugin: Fsspec, url: str, dest: Path, limits: Limits = Limits()) -> ArchiveStream:
    dest.mkdir(exist_ok=True)
    got = _fetch(plugin, url, TreeWriter(dest, limits))
    assert isinstance(got, ArchiveStream)
    return got


def _fetch(plugin: Fsspec, url: str, tree: TreeWriter) -> ArchiveStream | None:
    source = plugin.hubplug_resolve(Handle.parse(url))
    assert isinstance(source, Source)
    got: ArchiveStream | None = plugin.hubplug_fetch(source).run(tree, lambda *args: None)
    return got


@pytest.mark.parametrize(
    ("status", "expected", "words"),
    [
        (400, FetchError, "cannot be read"),
        (401, AccessError, "access was refused"),
        (403, AccessError, "access was refused"),
        (404, MissingError, "does not exist"),
    ],
)
def test_an_answer_of_the_server_becomes_one_line_without_a_secret(
    status: int, expected: type[FetchError], words: str, bring: Bring, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("gcsfs", reason="gcsfs is not installed")
    text = f"see https://h/o?sig={SECRET} token={SECRET} and {SECRET}"
    with ScriptedServer() as server:
        server.always(Reply(status, text.encode()))
        endpoint = server.url("")
        plugin = Fsspec(
            storage_options={
                "gs": {"token": "anon", "endpoint_url": endpoint, "session_kwargs": {"headers": {"X": SECRET}}}
            }
        )
        with pytest.raises(expected, match=words) as caught:
            bring(plugin, "gs://b/m")
    assert type(caught.value) is expected
    assert "\n" not in caught.value.message
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert capfd.readouterr().err == ""
