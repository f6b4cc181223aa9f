"""A module goes to a store whole or not at all, over nothing that is there, and its marker goes last."""

from __future__ import annotations

import inspect
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from hubplug.errors import ExportError, HandleError, OccupiedError
from hubplug.types import Declined, Handle, Plan
from hubplug_fsspec import Fsspec

from .conftest import SECRET, Store

MODULE = {
    "tfhub_module.pb": b"\x08\x03",
    "saved_model.pb": b"graph" * 1000,
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": bytes(range(256)) * 3_000,
    "assets/vocabulary of \u00e4pfel & 100%.txt": "\u00e4pfel\nbirnen\n".encode(),
    "assets/empty.txt": b"",
}


def plan_for(plugin: Fsspec, url: str) -> Plan[None]:
    plan = plugin.hubplug_publish(Handle.parse(url))
    assert isinstance(plan, Plan), plan
    return plan


def publish(plugin: Fsspec, url: str, files: Mapping[str, bytes] = MODULE) -> None:
    plan_for(plugin, url).run(writes(files))


def writes(files: Mapping[str, bytes]) -> Callable[[Path], None]:
    def produce(dest: Path) -> None:
        for name, content in files.items():
            (dest / name).parent.mkdir(parents=True, exist_ok=True)
            (dest / name).write_bytes(content)

    return produce


def content_of(store: Store, name: str = "") -> dict[str, bytes]:
    """Every file below a name of the bucket."""
    root = f"{store.bucket}/{name}".rstrip("/")
    store.filesystem.invalidate_cache()
    if not store.filesystem.exists(root):
        return {}
    paths = {path.lstrip("/"): path for path in store.filesystem.find(root)}
    return {path.removeprefix(f"{root}/"): store.filesystem.cat_file(known) for path, known in paths.items()}


@pytest.mark.parametrize("name", ["m", "team/model/1", "m/"])
def test_every_file_arrives_and_can_be_fetched_again(store: Store, bring: Callable[..., Any], name: str) -> None:
    publish(store.plugin, store.url(name))
    assert content_of(store, name) == MODULE
    assert bring(store.plugin, store.url(name)) == MODULE


def test_a_whole_bucket_may_be_the_place(store: Store) -> None:
    publish(store.plugin, store.url(""))
    assert content_of(store) == MODULE


def test_a_large_file_arrives(s3_store: Store) -> None:
    files = {**MODULE, "variables/variables.data-00000-of-00001": bytes(range(256)) * (48 << 10)}
    publish(s3_store.plugin, s3_store.url("m"), files)
    assert content_of(s3_store, "m") == files


@pytest.mark.parametrize("there", ["m", "m/tfhub_module.pb", "m/deep/below/x"])
def test_what_is_there_stays_and_nothing_is_produced(store: Store, there: str) -> None:
    store.put({there: b"theirs"})
    with pytest.raises(OccupiedError) as raised:
        plan_for(store.plugin, store.url("m")).run(lambda dest: pytest.fail("it was produced"))
    assert raised.value.message == f"{store.url('m')} exists already; nothing was written"
    assert raised.value.hint
    assert content_of(store) == {there: b"theirs"}


def test_a_neighbour_whose_name_begins_alike_is_not_in_the_way(store: Store) -> None:
    store.put({"model/10/saved_model.pb": b"theirs"})
    publish(store.plugin, store.url("model/1"))
    assert content_of(store, "model/1") == MODULE
    assert content_of(store, "model/10") == {"saved_model.pb": b"theirs"}


def test_an_empty_directory_is_filled(memory_store: Store, s3_store: Store) -> None:
    memory_store.filesystem.makedirs(f"/{memory_store.bucket}/m/variables")
    s3_store.filesystem.call_s3("put_object", Bucket=s3_store.bucket, Key="m/", Body=b"")
    for store in (memory_store, s3_store):
        publish(store.plugin, store.url("m"))
        assert {name: store.filesystem.cat_file(f"{store.bucket}/m/{name}") for name in MODULE} == MODULE


def test_a_bucket_that_does_not_exist_is_an_error_and_is_not_made(gs_store: Store, s3_store: Store) -> None:
    for store in (gs_store, s3_store):
        url = f"{store.scheme}://no-such-bucket-here/m"
        with pytest.raises(
            ExportError, match=f"{url} cannot be written: its bucket or parent .* does not exist; nothing"
        ):
            publish(store.plugin, url)
        assert not store.filesystem.exists("no-such-bucket-here")


def test_a_scheme_without_a_place_and_a_chain_of_file_systems_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HandleError, match="names nothing but a scheme"):
        Fsspec().hubplug_publish(Handle.parse("gs://"))
    with pytest.raises(ExportError, match="chains file systems with '::'"):
        publish(Fsspec(), f"memory://x::file://{tmp_path}/m")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["/m", "https://h/m", "file:///m", "ftp://h/m", "zip://m"])
def test_places_of_others_are_declined(text: str) -> None:
    assert isinstance(Fsspec().hubplug_publish(Handle.parse(text)), Declined)


def test_only_memory_needs_no_network() -> None:
    assert plan_for(Fsspec(), "gs://b/m").network
    assert not plan_for(Fsspec(), "memory://b/m").network
    assert plan_for(Fsspec(), "gs://u:canary@b/m?t=canary").what == "upload the module to gs://b/m?t=*** with fsspec"


def test_a_module_that_cannot_be_produced_leaves_nothing_here_and_there(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def produce(dest: Path) -> None:
        (dest / "saved_model.pb").write_bytes(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        plan_for(store.plugin, store.url("m")).run(produce)
    assert list(tmp_path.iterdir()) == []
    assert content_of(store) == {}


def test_a_module_without_a_file_is_none(memory_store: Store) -> None:
    with pytest.raises(ExportError, match="the module has no files"):
        publish(memory_store.plugin, memory_store.url("m"), {})


# Somebody else at the same place


@pytest.fixture
def exclusive_store(s3_store: Store) -> Store:
    """A store that can write on condition that nothing is there: the emulator of Google's and memory cannot."""
    if "mode" not in inspect.signature(s3_store.filesystem.put_file).parameters:
        pytest.skip("this release of fsspec knows no conditions")
    return s3_store


@pytest.mark.parametrize("name", ["saved_model.pb", "tfhub_module.pb", "assets/empty.txt"])
def test_what_appears_meanwhile_stays_and_what_was_brought_is_deleted(store: Store, name: str) -> None:
    def produce(dest: Path) -> None:
        writes(MODULE)(dest)
        store.put({f"m/{name}": b"theirs"})

    with pytest.raises(OccupiedError, match=f"is being written by someone else: {name} .*; nothing .* is left there"):
        plan_for(store.plugin, store.url("m")).run(produce)
    assert content_of(store, "m") == {name: b"theirs"}


def test_what_appears_after_the_look_stays_where_the_store_knows_conditions(
    exclusive_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def produce(dest: Path) -> None:
        writes(MODULE)(dest)
        exclusive_store.put({"m/saved_model.pb": b"theirs"})
        # As if they had come between the look and the upload.
        monkeypatch.setattr(type(exclusive_store.filesystem), "exists", lambda *arguments, **options: False)

    with pytest.raises(OccupiedError, match=r"someone else: saved_model\.pb came to be there meanwhile"):
        plan_for(exclusive_store.plugin, exclusive_store.url("m")).run(produce)
    monkeypatch.undo()
    assert content_of(exclusive_store, "m") == {"saved_model.pb": b"theirs"}


def test_a_stranger_among_the_files_is_noticed_before_the_marker_is_written(store: Store) -> None:
    def produce(dest: Path) -> None:
        writes(MODULE)(dest)
        store.put({"m/assets/theirs.txt": b"theirs"})

    with pytest.raises(OccupiedError, match=r"someone else: assets/theirs\.txt came to be there meanwhile"):
        plan_for(store.plugin, store.url("m")).run(produce)
    assert content_of(store, "m") == {"assets/theirs.txt": b"theirs"}


def test_of_many_at_once_one_at_most_is_there_and_whole(exclusive_store: Store) -> None:
    store = exclusive_store
    start = threading.Barrier(4, timeout=200)
    # Sizes differ, so that files of two would be noticed.
    modules = [{name: content + b"x" * number for name, content in MODULE.items()} for number in range(4)]

    def export(files: Mapping[str, bytes]) -> bool:
        def produce(dest: Path) -> None:
            writes(files)(dest)
            start.wait()

        with suppress(OccupiedError):
            plan_for(store.plugin, store.url("m")).run(produce)
            return True
        return False

    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(export, modules))
    assert sum(done) <= 1
    assert content_of(store, "m") == (modules[done.index(True)] if any(done) else {})


# What a store may do


class Obstinate(MemoryFileSystem):
    """A store in memory that fails where it is told to, and writes down what was put."""

    protocol = "obstinate"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    cachable = False
    put: ClassVar[list[str]] = []
    removed: ClassVar[list[str]] = []
    fails: ClassVar[dict[str, BaseException]] = {}
    keeps: ClassVar[set[str]] = set()
    watch: ClassVar[Callable[[str], object] | None] = None

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return super()._strip_protocol(path.removeprefix("obstinate://") if isinstance(path, str) else path)

    def put_file(self, lpath: str, rpath: str, callback: Any = None, mode: str = "overwrite", **kwargs: Any) -> None:
        name = rpath.partition("/m/")[2]
        if watch := type(self).watch:
            watch(name)
        if mode == "create" and self.exists(rpath):
            raise FileExistsError(rpath)
        super().put_file(lpath, rpath, callback=callback, **kwargs)
        self.put.append(name)
        if name in self.fails:
            raise self.fails[name]

    def rm_file(self, path: str) -> None:
        self.removed.append(path.partition("/m/")[2])
        if path.partition("/m/")[2] in self.keeps:
            raise PermissionError("may not delete")
        super().rm_file(path)


@pytest.fixture
def obstinate(monkeypatch: pytest.MonkeyPatch) -> type[Obstinate]:
    fsspec.register_implementation("obstinate", Obstinate, clobber=True)
    for name, value in {
        "store": {},
        "pseudo_dirs": [""],
        "put": [],
        "removed": [],
        "fails": {},
        "keeps": set(),
    }.items():
        monkeypatch.setattr(Obstinate, name, value)
    monkeypatch.setattr(Obstinate, "watch", None)
    return Obstinate


PLUGIN = Fsspec(schemes=["obstinate"])
URL = "obstinate://b/m"


def test_the_files_that_make_it_a_module_come_last(obstinate: type[Obstinate]) -> None:
    publish(PLUGIN, URL)
    assert sorted(obstinate.put) == sorted(MODULE)
    assert obstinate.put[-2:] == ["saved_model.pb", "tfhub_module.pb"]


def test_the_files_are_uploaded_in_parallel(obstinate: type[Obstinate], monkeypatch: pytest.MonkeyPatch) -> None:
    # Passes only when four files are on their way at the same time.
    barrier = threading.Barrier(4, timeout=200)
    monkeypatch.setattr(
        Obstinate, "watch", staticmethod(lambda name: name.endswith(".pb") or barrier.wait()), raising=True
    )
    publish(PLUGIN, URL)
    assert len(obstinate.put) == len(MODULE)


@pytest.mark.parametrize("name", ["variables/variables.index", "saved_model.pb", "tfhub_module.pb"])
def test_a_failure_on_the_way_leaves_nothing_and_the_next_export_succeeds(
    obstinate: type[Obstinate], name: str
) -> None:
    obstinate.fails[name] = OSError(5, "the disk of the store broke")
    with pytest.raises(ExportError) as raised:
        publish(PLUGIN, URL)
    assert raised.value.message == (
        f"{URL} cannot be written: OSError: the disk of the store broke; nothing that was uploaded is left there"
    )
    assert obstinate.store == {}
    assert "tfhub_module.pb" not in obstinate.put or obstinate.removed[0] == "tfhub_module.pb"
    obstinate.fails.clear()
    publish(PLUGIN, URL)
    assert len(obstinate.store) == len(MODULE)


def test_what_cannot_be_deleted_is_named(obstinate: type[Obstinate]) -> None:
    obstinate.fails["saved_model.pb"] = TimeoutError("no answer")
    obstinate.keeps.update({"assets/empty.txt", "variables/variables.index"})
    with pytest.raises(ExportError) as raised:
        publish(PLUGIN, URL)
    assert raised.value.message == (
        f"{URL}: the server cannot be reached: TimeoutError: no answer; "
        "what could not be deleted there: assets/empty.txt, variables/variables.index"
    )
    assert raised.value.hint == "check the network and the endpoint"
    assert sorted(path.partition("/m/")[2] for path in obstinate.store) == [
        "assets/empty.txt",
        "variables/variables.index",
    ]


def test_an_interruption_takes_everything_back(obstinate: type[Obstinate], caplog: pytest.LogCaptureFixture) -> None:
    obstinate.fails["saved_model.pb"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        publish(PLUGIN, URL)
    assert obstinate.store == {}
    assert f"The export to {URL} was interrupted; nothing that was uploaded is left there" in caplog.text


def test_a_store_that_keeps_less_than_was_sent_gets_no_marker(
    obstinate: type[Obstinate], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(name: str) -> None:
        if name == "saved_model.pb":
            obstinate.store["/b/m/variables/variables.index"].truncate(2)

    monkeypatch.setattr(Obstinate, "watch", staticmethod(cut))
    with pytest.raises(ExportError, match=r"5 bytes of variables/variables\.index were sent, and 2 bytes are there"):
        publish(PLUGIN, URL)
    assert obstinate.store == {}
    assert "tfhub_module.pb" not in obstinate.put


def test_a_store_that_knows_no_conditions_is_written_without(
    obstinate: type[Obstinate], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Obstinate.put_file

    def put_file(self: Obstinate, lpath: str, rpath: str, callback: Any = None, mode: str = "overwrite") -> None:
        if mode == "create":
            raise NotImplementedError("a header you provided implies functionality that is not implemented")
        real(self, lpath, rpath, callback=callback)

    monkeypatch.setattr(Obstinate, "put_file", put_file)
    publish(PLUGIN, URL)
    assert len(obstinate.store) == len(MODULE)


def test_a_release_of_fsspec_that_knows_no_conditions_is_used_without(
    obstinate: type[Obstinate], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Obstinate.put_file

    def put_file(self: Obstinate, lpath: str, rpath: str, callback: Any = None) -> None:
        real(self, lpath, rpath, callback=callback)

    monkeypatch.setattr(Obstinate, "put_file", put_file)
    publish(PLUGIN, URL)
    assert len(obstinate.store) == len(MODULE)


def test_one_bar_shows_the_whole_module(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    options = {store.scheme: store.storage_options} if store.storage_options else {}
    url = store.url(uuid.uuid4().hex)
    publish(Fsspec(storage_options=options, progress=True), url)
    shown = capsys.readouterr().err
    assert url in shown
    assert "100%" in shown


@pytest.mark.parametrize(("status", "words"), [(400, "cannot be written"), (401, "access was"), (403, "access was")])
@pytest.mark.parametrize("readable", [True, False], ids=["writing", "looking"])
def test_a_refusal_is_one_line_without_a_secret(
    status: int, words: str, readable: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("gcsfs", reason="gcsfs is not installed")
    said = f"see https://h/o?sig={SECRET} token={SECRET} and {SECRET}"
    with _server_that_refuses(status, said, readable) as endpoint:
        plugin = Fsspec(
            storage_options={
                "gs": {"token": "anon", "endpoint_url": endpoint, "session_kwargs": {"headers": {"X": SECRET}}}
            }
        )
        with pytest.raises(ExportError, match=words) as caught:
            publish(plugin, "gs://b/m")
    assert "\n" not in caught.value.message
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert capfd.readouterr().err == ""


@contextmanager
def _server_that_refuses(status: int, text: str, readable: bool) -> Iterator[str]:
    """Answers every request with a status; with ``readable`` only those that write, and to others that nothing is there."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, "{}") if readable and "?" in self.path else self._answer(404 if readable else status)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._answer(status)

        do_DELETE = do_PUT = do_POST

        def _answer(self, code: int, body: str = text) -> None:
            with suppress(ConnectionError):  # the client may have seen enough
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
