"""``hubplug publish``: checked, packed, and put where nothing was."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

import hubplug
from hubplug.cli.main import hubplug as command
from hubplug.errors import ExportError, FormatError, HubplugError, OccupiedError, ValidationError
from hubplug_format import ModuleBuilder, write_module
from hubplug_hosting import ModuleServer, pack_module, publish_module
from tests.plugins.hosting.trees import make_module


def publish(source: Path, place: object, *profiles: str):
    return publish_module(hubplug.Hub(), str(source), str(place), profiles)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("suffix", ["", ".tar.gz"])
def test_what_is_published_is_served_under_its_pin(suffix, module, tmp_path):
    root = tmp_path / "models"
    published = publish(module, root / f"publisher/model/1{suffix}")
    assert published.place == str(root / "publisher/model/1.tar.gz")
    assert names(root / "publisher/model") == {"1.tar.gz"}
    assert Path(published.place).read_bytes() == pack_module(module, tmp_path / "same.tar.gz").path.read_bytes()
    with ModuleServer(root) as server:
        handle = f"{server.url}publisher/model/1#sha256={published.sha256}"
        assert (Path(hubplug.resolve(handle)) / "saved_model.pb").is_file()
    assert hubplug.resolve(f"{published.place}#sha256={published.sha256}")


@pytest.mark.parametrize("there", ["1.tar.gz", "1.tgz", "1.tar", "1"])
def test_a_version_that_is_there_is_never_touched(there, module, tmp_path):
    folder = tmp_path / "models/publisher/model"
    folder.mkdir(parents=True)
    (folder / there).write_bytes(b"before")
    with pytest.raises(OccupiedError, match=there) as caught:
        publish(module, folder / "1")
    assert caught.value.hint == f"publish the next version: {folder / '2'}"
    assert names(folder) == {there}
    assert (folder / there).read_bytes() == b"before"


def test_a_model_with_versions_is_not_written_over_by_one_without(module, tmp_path):
    folder = tmp_path / "models/publisher/model"
    for version in (9, 10):
        publish(module, folder / str(version))
    with pytest.raises(OccupiedError, match="newest of which is 10") as caught:
        publish(module, folder)
    assert caught.value.hint == f"publish {folder / '11'}"


def test_of_many_who_publish_one_version_one_does(tmp_path):
    modules = [make_module(tmp_path / f"m{number}", float(number)) for number in range(4)]
    place = tmp_path / "models/publisher/model/1"
    barrier = threading.Barrier(4)

    def one(source: Path) -> str | None:
        barrier.wait()
        try:
            return publish(source, place).sha256
        except OccupiedError:
            return None

    with ThreadPoolExecutor(4) as pool:
        done = [sha256 for sha256 in pool.map(one, modules) if sha256]
    assert len(done) == 1
    assert names(place.parent) == {"1.tar.gz"}
    assert hubplug.resolve(f"{place}.tar.gz#sha256={done[0]}")


def test_what_is_not_safe_is_not_published(tmp_path):
    builder = ModuleBuilder()
    name = builder.placeholder("name", "string", [])
    builder.signature(inputs={"name": name}, outputs={"default": builder.node("ReadFile", [name], {}, shape=[])})
    write_module(tmp_path / "reader", builder)
    with pytest.raises(ValidationError, match="safe/reads-files") as caught:
        publish(tmp_path / "reader", tmp_path / "models/publisher/reader/1")
    assert "allow_ops" in caught.value.hint
    assert not (tmp_path / "models").exists()
    hub = hubplug.Hub({"plugins": {"signatures": {"options": {"allow_ops": ["ReadFile"]}}}})
    assert publish_module(hub, str(tmp_path / "reader"), str(tmp_path / "models/publisher/reader/1")).is_archive


def test_a_module_keeps_the_common_signature_that_it_declares_or_is_not_published(module, tmp_path):
    with pytest.raises(ValidationError, match="text-feature-vector"):
        publish(module, tmp_path / "models/m/1", "text-feature-vector")
    with pytest.raises(HubplugError, match="text-feature-vektor"):
        publish(module, tmp_path / "models/m/1", "text-feature-vektor")
    assert not (tmp_path / "models").exists()


def test_what_is_incomplete_or_no_module_is_not_published(module, tmp_path):
    (module / "variables/variables.index").unlink()
    with pytest.raises(FormatError, match="not a complete module"):
        publish(module, tmp_path / "models/m/1")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError):
        publish(tmp_path / "empty", tmp_path / "models/m/1")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("place", ["m/1.zip.tar", "m/1.tgz"])
def test_an_archive_is_what_it_is_called(place, module, tmp_path):
    with pytest.raises(ExportError):
        publish(module, tmp_path / place)


class Depot:
    """Takes modules whose URLs begin with ``depot:``."""

    def __init__(self) -> None:
        self.modules: dict[str, dict[str, bytes]] = {}

    @hubplug.hookimpl
    def hubplug_publish(self, handle):
        def run(produce):
            if handle.text in self.modules:
                raise OccupiedError(f"{handle} exists already")
            import tempfile

            with tempfile.TemporaryDirectory() as folder:
                produce(Path(folder))
                self.modules[handle.text] = {
                    path.relative_to(folder).as_posix(): path.read_bytes()
                    for path in Path(folder).rglob("*")
                    if path.is_file()
                }

        return hubplug.Plan(f"keep {handle}", run) if handle.scheme == "depot" else None


def test_a_url_is_for_the_plugin_that_publishes_there(module):
    depot = Depot()
    hub = hubplug.Hub(plugins=[depot])
    published = publish_module(hub, str(module), "depot://m/1")
    assert not published.is_archive
    assert depot.modules["depot://m/1"] == {
        path.relative_to(module).as_posix(): path.read_bytes() for path in module.rglob("*") if path.is_file()
    }
    with pytest.raises(OccupiedError):
        publish_module(hub, str(module), "depot://m/1")
    with pytest.raises(hubplug.errors.NobodyAnswered):
        publish_module(hub, str(module), "nobody://m/1")


def test_the_command_prints_the_pinned_handle(module, tmp_path):
    place = tmp_path / "models/publisher/model/1"
    done = CliRunner().invoke(command, ["publish", str(module), str(place)])
    assert done.exit_code == 0, done.output
    assert hubplug.resolve(done.output.splitlines()[1])
    again = CliRunner().invoke(
        command,
        [
            "publish",
            str(module),
            str(place.parent / "2"),
            "--served-as",
            "https://h.example/publisher/model/2",
            "--json",
        ],
    )
    said = json.loads(again.output)
    assert said["handle"] == f"https://h.example/publisher/model/2#sha256={said['sha256']}"
    refused = CliRunner().invoke(command, ["publish", str(module), str(place)])
    assert refused.exit_code == 2
