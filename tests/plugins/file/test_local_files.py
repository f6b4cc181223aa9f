"""Local directories, local archives, and the messages for what is neither."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from hubplug.errors import FetchError, FormatError, HandleError, MissingError, OccupiedError
from hubplug.hookspecs import RunExport, hookimpl
from hubplug.hub import Hub
from hubplug.spec import ExportRequest
from hubplug.types import Declined, Handle, Plan, Source
from hubplug_file import LocalFiles
from hubplug_format import ModuleBuilder, Type, write_module


@pytest.fixture
def module(tmp_path: Path) -> Path:
    builder = ModuleBuilder()
    x = builder.placeholder("x", "float32", [None])
    y = builder.node("Neg", [x], {"T": Type("float32")}, shape=[None])
    builder.signature(inputs={"x": x}, outputs={"default": y})
    write_module(tmp_path / "module", builder)
    return tmp_path / "module"


@pytest.fixture
def archive(module: Path, tmp_path: Path) -> Path:
    path = tmp_path / "archive.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(module, ".")
    return path


def resolve(text: str | Path) -> Source:
    source = LocalFiles().hubplug_resolve(Handle.parse(str(text)))
    assert isinstance(source, Source)
    return source


def test_a_directory_is_used_in_place(module):
    source = resolve(module)
    assert source.in_place
    assert source.location == str(module)


@pytest.mark.parametrize("text", ["module", "module/", "./module", "module//", "../{parent}/module"])
def test_a_relative_path_stays_relative_and_loses_its_last_slash(text, module, monkeypatch):
    monkeypatch.chdir(module.parent)
    text = text.format(parent=module.parent.name)
    assert resolve(text).location == text.rstrip("/")


def test_the_root_directory_keeps_its_slash():
    assert resolve("/").location == "/"


def test_a_file_url_that_the_user_typed_is_a_path(module):
    assert resolve(f"file://{module}").location == str(module)
    assert resolve(f"file://localhost{module}/").location == str(module)


def test_a_file_url_may_be_encoded_or_not(tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a%20c").mkdir()
    assert resolve(f"file://{tmp_path}/a%20b").location == f"{tmp_path}/a b"
    assert resolve(f"file://{tmp_path}/a b").location == f"{tmp_path}/a b"
    assert resolve(f"file://{tmp_path}/a%20c").location == f"{tmp_path}/a%20c"


@pytest.mark.parametrize("text", ["file://host/m", "file://relative", "file://../m", "file://user:secret@host/m"])
def test_a_file_url_of_another_machine_is_refused(text):
    with pytest.raises(HandleError) as caught:
        resolve(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["file://{}", "{}"])
def test_a_server_may_not_name_a_local_path(url, module):
    asked = Handle.parse("https://example.com/m/1")
    named = asked.instead(url.format(module), named_by_server=True)
    assert isinstance(LocalFiles().hubplug_resolve(named), Declined)
    assert isinstance(LocalFiles().hubplug_resolve(named.instead(str(module))), Declined)


def test_a_rewrite_rule_of_the_user_may_name_a_local_path(module):
    asked = Handle.parse("https://example.com/m/1").instead(f"file://{module}")
    assert LocalFiles().hubplug_resolve(asked).location == str(module)


@pytest.mark.parametrize("text", ["https://example.com/m", "s3://bucket/m", "corp://team/m", "FILE:///etc"])
def test_other_schemes_are_left_to_others(text):
    assert LocalFiles().hubplug_resolve(Handle.parse(text)) is None


def test_an_archive_goes_through_the_cache_under_a_key_that_changes_with_it(archive, tmp_path):
    source = resolve(archive)
    assert not source.in_place
    assert source.cacheable
    (tmp_path / "link").symlink_to(archive)
    assert resolve(tmp_path / "link").key == source.key
    os.utime(archive, ns=(1, 1))
    assert resolve(archive).key != source.key
    before = resolve(archive).key
    archive.write_bytes(archive.read_bytes() + b"x")
    os.utime(archive, ns=(1, 1))
    assert resolve(archive).key != before


def test_an_archive_is_fetched_as_a_stream(archive):
    source = resolve(archive)
    plan = LocalFiles().hubplug_fetch(source)
    assert isinstance(plan, Plan)
    assert not plan.network
    assert str(archive) in plan.what
    with plan.run(None, None) as stream:
        assert stream.size == archive.stat().st_size
        assert stream.name == str(archive)
        data = io.BytesIO()
        while piece := stream.read(100):
            data.write(piece)
    assert data.getvalue() == archive.read_bytes()


def test_an_archive_that_changes_in_between_is_refused(archive):
    plan = LocalFiles().hubplug_fetch(resolve(archive))
    archive.write_bytes(b"another")
    with pytest.raises(FetchError, match="changed"):
        plan.run(None, None)


def test_an_archive_that_goes_in_between_is_missing(archive):
    plan = LocalFiles().hubplug_fetch(resolve(archive))
    archive.unlink()
    with pytest.raises(MissingError, match="does not exist"):
        plan.run(None, None)


def test_an_archive_of_another_plugin_is_fetched_by_its_path(archive):
    source = Source(Handle.parse("corp://team/m"), str(archive))
    with LocalFiles().hubplug_fetch(source).run(None, None) as stream:
        assert stream.read(2) == b"\x1f\x8b"


def test_urls_are_fetched_by_others():
    assert LocalFiles().hubplug_fetch(Source(Handle.parse("https://h/m"), "https://h/m")) is None


@pytest.mark.parametrize("text", ["/x", "no/such/module", "~/module", "a" * 300, "x/" * 3000, "tfhub.dev/google/m/1"])
def test_a_path_that_is_not_there_is_named_as_typed_and_in_full(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="does not exist") as caught:
        resolve(text)
    assert isinstance(caught.value, MissingError)
    assert f"{text} does not exist." in caught.value.message
    assert f"no such directory or archive: {os.path.join(tmp_path, text)}" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("~/module", "~ is not expanded"),
        ("modul", "did you mean module?"),
        ("archive", "did you mean archive.tar.gz?"),
        ("archive.tgz", "did you mean archive.tar.gz?"),
        ("modulle/variables", "did you mean module/variables?"),
        ("dangling", "link to nowhere"),
        ("tfhub.dev/google/m/1", "write https://tfhub.dev/google/m/1"),
        ("https:/tfhub.dev/m", "two slashes"),
        ("quite/other", "working directory"),
    ],
)
def test_the_hint_says_what_was_meant(text, word, module, archive, tmp_path, monkeypatch):
    (module / "variables").mkdir(exist_ok=True)
    (tmp_path / "dangling").symlink_to("nowhere")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingError) as caught:
        resolve(text)
    assert word in caught.value.hint


@pytest.mark.parametrize(("text", "hint"), [("/no/such/module", "a module is a directory"), ("m", "which is gone")])
def test_a_missing_path_is_named_where_the_working_directory_is_gone_too(text, hint, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(MissingError, match=f"{text} does not exist") as caught:
        resolve(text)
    assert hint in caught.value.hint


def test_control_characters_of_a_path_do_not_reach_the_terminal(tmp_path):
    with pytest.raises(MissingError) as caught:
        resolve(f"{tmp_path}/a\nb\x1b[31m")
    assert "\n" not in caught.value.message
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("name", ["saved_model.pb", "tfhub_module.pb"])
def test_a_file_of_a_module_is_not_the_module(name, module):
    with pytest.raises(FormatError) as caught:
        resolve(module / name)
    assert str(module) in caught.value.hint


@pytest.mark.parametrize("name", ["m.tflite", "m.h5", "m.keras", "m.onnx", "frozen.pb"])
def test_another_kind_of_model_is_named(name, tmp_path):
    (tmp_path / name).touch()
    with pytest.raises(FormatError, match="not a module"):
        resolve(tmp_path / name)


def test_a_pipe_is_refused_without_being_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.tar.gz")
    with pytest.raises(FormatError, match="neither"):
        resolve(tmp_path / "pipe.tar.gz")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_a_path_that_may_not_be_looked_at_is_an_error_that_says_so(tmp_path):
    (tmp_path / "closed").mkdir(0o000)
    with pytest.raises(FetchError, match="Permission denied"):
        resolve(tmp_path / "closed" / "module")


CHAIN = {"chain": ["file", "archive", "tf1"]}


def test_a_local_archive_is_resolved_by_the_whole_chain(archive, module):
    resolved = Hub(CHAIN, plugins=[]).resolve(str(archive))
    assert (resolved.path / "saved_model.pb").read_bytes() == (module / "saved_model.pb").read_bytes()
    assert resolved.provenance.files


def test_an_export_to_a_file_url_goes_to_its_path_as_it_is_written(tmp_path: Path) -> None:
    def publish(text: str) -> Handle | None:
        return LocalFiles().hubplug_publish(Handle.parse(text))

    for name in ("m", "with%20percent", "m/"):
        named = publish(f"file://{tmp_path}/{name}")
        assert named is not None
        assert named.text == f"{tmp_path}/{name}"
    assert publish("gs://b/m") is None
    with pytest.raises(HandleError, match="names the machine 'elsewhere'"):
        publish("file://elsewhere/m")


def test_the_hub_exports_to_a_file_url(module: Path, tmp_path: Path) -> None:
    class Copies:
        @hookimpl
        def hubplug_export(self, request: ExportRequest) -> Plan[RunExport]:
            return Plan("copy it", lambda dest: shutil.copytree(module, dest, dirs_exist_ok=True) and None)

    hub = Hub({"chain": ["file", "tf1"]}, plugins=[Copies()])
    url = f"file://{tmp_path}/exported%20m"
    hub.export(ExportRequest(hub.load_spec(str(module)), url))
    assert (tmp_path / "exported%20m" / "tfhub_module.pb").is_file()
    assert Path(hub.resolve(url).path) == tmp_path / "exported%20m"
    with pytest.raises(OccupiedError):
        hub.export(ExportRequest(hub.load_spec(url), url))


@pytest.mark.parametrize(
    "text", ["https:/user:canary@h/m", "http:user:canary@h/m", "HTTPS:/canary@h/m", "s3:/key:can/ary@b/m"]
)
def test_a_url_without_its_slashes_does_not_show_its_password(text: str) -> None:
    with pytest.raises(MissingError) as raised:
        LocalFiles().hubplug_resolve(Handle.parse(text))
    assert "ary" not in str(raised.value).replace("directory", "")
