"""The example of every hook does what its documentation says: each is run, and put into a chain that uses it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hubplug
from hubplug.asking import Asker
from hubplug.errors import ArchiveError, UnknownTagsError, UnsafeArchiveError
from hubplug.hookspecs import RunFetch
from hubplug.spec import ExportRequest
from hubplug.testing import archive_of
from hubplug.types import ArchiveStream, Handle, LocalModule, Plan, Source
from tests.core.small_plugins import TextSpec, toy_plugins
from tools.documentation.hooks import parts


def example(hook: str) -> dict[str, Any]:
    """The names that the example of a hook defines."""
    scope: dict[str, Any] = {"__name__": "example"}
    exec(compile(parts(hook)["example"], hook, "exec"), scope)
    return scope


@pytest.fixture
def toys(tmp_path: Path) -> list[Any]:
    return toy_plugins(tmp_path / "shelf", {"a": "good a"})


def hub_of(*plugins: object) -> hubplug.Hub:
    return hubplug.Hub({"chain": []}, plugins=plugins)


def test_resolve() -> None:
    hub = hub_of(example("hubplug_resolve")["TeamModels"]())
    answer = hub.chain.ask("hubplug_resolve", Handle.parse("corp://team/model/3"))
    assert answer.value.text == "https://models.corp.example/team/model/3"
    assert hub.chain.ask("hubplug_resolve", Handle.parse("https://h/m")).member is None


def test_resolve_what_is_latest_and_send() -> None:
    said = {"https://models.corp.example/team/model/versions": b'{"newest": 7}'}
    hub = hub_of(example("hubplug_resolve")["TeamModels"](), example("hubplug_send")["Recorded"](said))
    asked = Handle.parse("corp://team/model/latest")
    plan = hub.chain.ask("hubplug_resolve", asked).value
    asker = Asker(hub.chain, hub.config, asked, asked.text)
    assert plan.run(asker).text == "corp://team/model/7"
    assert "newest version of team/model" in hub.explain("corp://team/model/latest")[0].value.what
    with pytest.raises(hubplug.errors.NobodyAnswered, match="nothing is recorded of it"):
        asker.send("https://models.corp.example/other/versions")


def test_auth() -> None:
    import requests

    hub = hub_of(example("hubplug_auth")["CorpSignOn"]())

    def ask(url: str) -> Any:
        return hub.chain.ask("hubplug_auth", hubplug.AuthRequest(url, Handle.parse("corp://m"))).value

    request = requests.Request("GET", "https://models.corp.example/m").prepare()
    assert ask("https://models.corp.example/m")(request).headers["Authorization"].startswith("Basic ")
    assert ask("https://elsewhere.example/m") is None


def test_cache(tmp_path: Path, toys: list[Any]) -> None:
    (tmp_path / "models").mkdir()
    cache = example("hubplug_cache")["OneDirectory"](directory=str(tmp_path / "models"))
    hub = hub_of(cache, *toys)
    first = hub.resolve("toy://a")
    toys[2].texts = {}
    assert hub.resolve("toy://a").path == first.path
    assert [path.name for path in (tmp_path / "models").iterdir()] == [first.path.name]
    with pytest.raises(hubplug.HubplugError):
        hub.resolve("toy://b")
    assert len(list((tmp_path / "models").iterdir())) == 1


def test_entries(tmp_path: Path, toys: list[Any]) -> None:
    (tmp_path / "models").mkdir()
    hub = hub_of(example("hubplug_entries")["Shelves"](directory=str(tmp_path / "models")), *toys)
    module = hub.resolve("toy://a")
    (entry,) = hub.chain.ask("hubplug_entries").value.list()
    assert (entry.path, entry.provenance) == (module.path, module.provenance)
    toys[2].texts = {}
    assert hub.resolve("toy://a").provenance == module.provenance


def test_fetch(make_hub: Callable[..., hubplug.Hub], tiny_archive: bytes) -> None:
    hub = make_hub(example("hubplug_fetch")["Shelf"]({"m": tiny_archive}))
    assert list(hub.load_spec("shelf://m").signatures()) == ["default"]
    with pytest.raises(hubplug.errors.NobodyAnswered, match="the shelf does not have it"):
        hub.resolve("shelf://other")


def test_unpack(toys: list[Any]) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("model.txt", "good zip")

    class Post:
        def __init__(self) -> None:
            self.data = data.getvalue()

        @hubplug.hookimpl
        def hubplug_fetch(self, source: Source) -> Plan[RunFetch]:
            return Plan("bring", lambda tree, auth_for: ArchiveStream(io.BytesIO(self.data), name="a zip"))

    post = Post()
    hub = hub_of(post, example("hubplug_unpack")["Zip"](), *toys)
    assert (hub.resolve("toy://a").path / "model.txt").read_text() == "good zip"
    post.data = post.data[:-30]
    with pytest.raises(ArchiveError, match="a zip is damaged"):
        hub.resolve("toy://cut")
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("../escaped", "x")
    post.data = data.getvalue()
    with pytest.raises(UnsafeArchiveError):
        hub.resolve("toy://escape")


def test_load_format(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text('{"a": "b"}')
    hub = hub_of(example("hubplug_load_format")["Tables"]())
    spec = hub.chain.ask("hubplug_load_format", LocalModule(tmp_path, Handle.parse("/m"))).value
    assert spec.table == {"a": "b"}
    assert list(spec.describe()["variants"][0]["signatures"]) == ["default"]
    with pytest.raises(UnknownTagsError):
        spec.signatures({"train"})


def test_validate() -> None:
    hub = hub_of(example("hubplug_validate")["HouseRules"]())
    assert hub.validate(TextSpec("x"), ["house"]) == []

    class Nothing(TextSpec):
        def signatures(self, tags: object = None) -> dict[str, Any]:
            return {}

    assert [finding.rule for finding in hub.validate(Nothing("x"), ["house"])] == ["house/default"]
    with pytest.raises(hubplug.errors.ConfigError):
        hub.validate(TextSpec("x"), ["another"])


def test_export(tmp_path: Path) -> None:
    scope = example("hubplug_export")
    hub = hub_of(scope["Notes"]())
    hub.export(ExportRequest(scope["NoteSpec"]("remember"), str(tmp_path / "out")))
    assert (tmp_path / "out" / "note.txt").read_text() == "remember"
    with pytest.raises(hubplug.errors.NobodyAnswered):
        hub.export(ExportRequest(TextSpec("x"), str(tmp_path / "other")))


def test_publish() -> None:
    depot, notes = example("hubplug_publish")["Depot"](), example("hubplug_export")
    hub = hub_of(depot, notes["Notes"]())
    hub.export(ExportRequest(notes["NoteSpec"]("remember"), "depot://notes/1"))
    assert depot.modules == {"depot://notes/1": {"note.txt": b"remember"}}
    with pytest.raises(hubplug.errors.OccupiedError, match="depot://notes/1 exists already"):
        hub.export(ExportRequest(notes["NoteSpec"]("forget"), "depot://notes/1"))
    assert depot.modules["depot://notes/1"] == {"note.txt": b"remember"}
    with pytest.raises(hubplug.errors.NobodyAnswered):
        hub.export(ExportRequest(notes["NoteSpec"]("remember"), "elsewhere://notes/1"))


def test_the_tiny_module_of_the_kit_is_packed_the_same_every_time(tiny_module: Path) -> None:
    assert archive_of(tiny_module, "") == archive_of(tiny_module, "")
