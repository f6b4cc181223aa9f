"""Handles that mean the latest of something: asked about by a plan, kept with the time, locked, and known offline."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hubplug
from hubplug.asking import Asker
from hubplug.errors import ConfigError, NobodyAnswered, OfflineError, PluginError
from hubplug.settings.config import load_config
from hubplug.types import Handle, Plan
from hubplug.web import WebAnswer, WebRequest
from tests.core.small_plugins import toy_plugins

MakeHub = Callable[..., hubplug.Hub]


class Latest:
    """``new://x`` means ``toy://`` and what ``newest`` says of x."""

    def __init__(self, newest: str = "a", network: bool = True) -> None:
        self.newest = newest
        self.network = network
        self.asked = 0

    @hubplug.hookimpl
    def hubplug_resolve(self, handle: Handle) -> Plan[Any] | None:
        return (
            Plan("ask what is newest", lambda auth: self.run(handle), self.network) if handle.scheme == "new" else None
        )

    def run(self, handle: Handle) -> Handle:
        self.asked += 1
        return handle.instead(f"toy://{self.newest}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@functools.cache
def toys_in(folder: Path) -> list[object]:
    """Plugins with one cache, as several processes have it."""
    return toy_plugins(folder / "shelf", {"a": "good a", "b": "good b"})


def hub_in(folder: Path, latest: Latest, **settings: Any) -> hubplug.Hub:
    lines = ["version: 1", "chain: []", *(f"{key}: {json.dumps(value)}" for key, value in settings.items())]
    (folder / "hubplug.yaml").write_text("\n".join(lines))
    return hubplug.Hub(folder / "hubplug.yaml", plugins=[latest, *toys_in(folder)])


def text_of(module: hubplug.LocalModule) -> str:
    return next(path.read_text() for path in module.path.rglob("*") if path.is_file() and "good" in path.read_text())


def test_it_is_asked_each_time_and_a_new_version_does_not_hide_behind_the_old_one(folder: Path) -> None:
    latest = Latest()
    hub = hub_in(folder, latest)
    first = hub.resolve("new://x")
    assert hub.resolve("new://x").path == first.path == hub.resolve("toy://a").path
    latest.newest = "b"
    second = hub.resolve("new://x")
    assert (text_of(first), text_of(second), latest.asked) == ("good a", "good b", 3)
    assert second.provenance is not None
    assert second.provenance.handle == "toy://b"


def test_what_the_plan_names_is_the_cache_key_wherever_the_handle_came_from(folder: Path) -> None:
    class Alias:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Handle) -> Handle | None:
            return handle.instead("new://x") if handle.scheme == "alias" else None

    hub = hubplug.Hub({"chain": []}, plugins=[Alias(), Latest(), *toy_plugins(folder / "shelf", {"a": "good a"})])
    module = hub.resolve("alias://x")
    assert module.path == hub.resolve("toy://a").path
    assert module.handle.original.text == "alias://x"


def test_offline_it_is_what_it_meant_last_and_that_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    latest = Latest(network=False)
    path = hub_in(folder, latest).resolve("new://x").path
    latest.newest, latest.network = "b", True
    with caplog.at_level(logging.WARNING):
        assert hub_in(folder, latest, offline=True).resolve("new://x").path == path
    assert latest.asked == 1
    assert "new://x: hubplug is offline, so this is what it meant last, as of 20" in caplog.text
    assert ": toy://a" in caplog.text


def test_offline_what_was_never_asked_about_is_refused_with_what_would_have_to_be_done(folder: Path) -> None:
    with pytest.raises(
        OfflineError, match="new://y is not here, and hubplug is offline: it would have to ask what is newest"
    ):
        hub_in(folder, Latest(), offline=True).resolve("new://y")


def test_a_plan_that_needs_no_network_is_run_offline(folder: Path) -> None:
    latest = Latest(network=False)
    hub_in(folder, latest).resolve("new://x")
    latest.newest = "b"
    hub = hub_in(folder, latest)
    assert text_of(hub.resolve("new://x")) == "good b"
    assert hub_in(folder, latest, offline=True).resolve("new://x").handle.text == "toy://b"


def test_what_another_plugin_said_does_not_count(folder: Path) -> None:
    class Other(Latest):
        pass

    hub_in(folder, Latest()).resolve("new://x")
    with pytest.raises(OfflineError):
        hub_in(folder, Other(), offline=True).resolve("new://x")


def test_a_locked_handle_is_not_asked_about_and_lock_asks_anew(folder: Path) -> None:
    latest = Latest()
    hub_in(folder, latest).pin(["new://x"]).write()
    locked = json.loads((folder / "hubplug.lock").read_text())["modules"]["new://x"]
    assert locked["answer"] == "toy://a"
    latest.newest = "b"
    assert text_of(hub_in(folder, latest, locked=True).resolve("new://x")) == "good a"
    assert latest.asked == 1
    hub_in(folder, latest).pin(["new://x"]).write()
    assert text_of(hub_in(folder, latest, locked=True).resolve("new://x")) == "good b"
    assert latest.asked == 2


def test_lock_does_not_take_what_was_said_last_for_an_answer(folder: Path) -> None:
    hub_in(folder, Latest()).resolve("new://x")
    with pytest.raises(OfflineError):
        hub_in(folder, Latest(), offline=True).pin(["new://x"])


def test_a_lock_file_without_answers_is_as_older_versions_write_it(folder: Path) -> None:
    hub_in(folder, Latest()).pin(["toy://a"]).write()
    pin = json.loads((folder / "hubplug.lock").read_text())["modules"]["toy://a"]
    assert set(pin) == {"handle_sha256", "location", "archive_sha256", "tree_sha256"}


def test_explain_runs_no_plan_and_says_what_is_known(folder: Path) -> None:
    latest = Latest()
    (answer,) = hub_in(folder, latest).explain("new://x")
    assert (answer.hook, answer.value.what, latest.asked) == ("hubplug_resolve", "ask what is newest", 0)
    hub_in(folder, latest).resolve("new://x")
    answers = hub_in(folder, latest).explain("new://x")
    assert answers[0].value.what.startswith("ask what is newest (as of 20")
    assert answers[0].value.what.endswith(": toy://a)")
    assert answers[-1].value.hit
    hub_in(folder, latest).pin(["new://x"]).write()
    assert "locked in" in hub_in(folder, latest).explain("new://x")[0].value.what
    assert latest.asked == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1, "time": 1e999, "answer": "toy://a"}', b"\xff"])
def test_a_damaged_note_is_none(folder: Path, content: bytes) -> None:
    hub_in(folder, Latest()).resolve("new://x")
    (note,) = load_config().answers_path.iterdir()
    said = json.loads(note.read_text())
    note.write_bytes(content.replace(b'"version"', f'"handle_sha256": "{said["handle_sha256"]}", "version"'.encode()))
    with pytest.raises(OfflineError):
        hub_in(folder, Latest(), offline=True).resolve("new://x")


def test_nothing_that_may_be_a_secret_is_kept(folder: Path) -> None:
    class Signed(Latest):
        def run(self, handle: Handle) -> Handle:
            return handle.instead("toy://a?token=canary")

    hub_in(folder, Signed()).resolve("new://x")
    assert not load_config().answers_path.exists()
    hub_in(folder, Latest()).resolve("new://x?token=canary")
    (note,) = load_config().answers_path.iterdir()
    assert "canary" not in note.read_text()
    hub_in(folder, Signed()).pin(["new://x"]).write()
    assert "canary" not in (folder / "hubplug.lock").read_text()


def test_where_answers_cannot_be_kept_the_module_comes_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("HUBPLUG_ANSWERS", str(folder / "file" / "answers"))
    assert text_of(hub_in(folder, Latest()).resolve("new://x")) == "good a"


def test_a_plan_that_names_no_handle_is_a_mistake_of_its_plugin(folder: Path) -> None:
    class Wrong(Latest):
        def run(self, handle: Handle) -> Any:
            return "toy://a"

    with pytest.raises(PluginError, match="a plan of hubplug_resolve that gave str, expected Handle"):
        hub_in(folder, Wrong()).resolve("new://x")


def test_a_handle_that_names_itself_is_a_loop(folder: Path) -> None:
    class Same(Latest):
        def run(self, handle: Handle) -> Handle:
            return handle.instead(handle.text)

    with pytest.raises(PluginError, match="loop"):
        hub_in(folder, Same()).resolve("new://x")


# What a fetch names for ever


class Moved:
    """Knows where ``old://x`` is now, once it has been asked."""

    def __init__(self) -> None:
        self.asked = 0

    @hubplug.hookimpl
    def hubplug_resolve(self, handle: Handle) -> hubplug.Source | None:
        return hubplug.Source(handle, handle.text) if handle.scheme == "old" else None

    @hubplug.hookimpl
    def hubplug_fetch(self, source: hubplug.Source) -> Plan[Any] | None:
        return (
            Plan("ask where it is", lambda tree, auth: self.run(source), lasting=True)
            if source.location == "old://x"
            else None
        )

    def run(self, source: hubplug.Source) -> Handle:
        self.asked += 1
        return source.handle.instead("toy://a")


def test_where_a_module_has_moved_to_is_asked_once_and_the_old_handle_stays_the_key(folder: Path) -> None:
    moved = Moved()

    def hub(shelf: str) -> hubplug.Hub:
        return hubplug.Hub({"chain": []}, plugins=[moved, *toy_plugins(folder / shelf, {"a": "good a"})])

    first, second = hub("one").resolve("old://x"), hub("two").resolve("old://x")
    assert (text_of(first), text_of(second), moved.asked) == ("good a", "good a", 1)
    assert first.provenance is not None
    assert first.provenance.handle == "old://x"


# Sending


class Sends:
    def __init__(self) -> None:
        self.requests: list[WebRequest] = []

    @hubplug.hookimpl
    def hubplug_send(self, request: WebRequest) -> Plan[Any]:
        return Plan("send it", lambda auth: self.run(request), network=True)

    def run(self, request: WebRequest) -> WebAnswer:
        self.requests.append(request)
        return WebAnswer(request.url, 200, body=b"{}")


def asker(hub: hubplug.Hub, handle: str = "new://x") -> Asker:
    return Asker(hub.chain, hub.config, Handle.parse(handle), handle)


def test_whoever_takes_the_url_sends_the_request(folder: Path) -> None:
    sends = Sends()
    answer = asker(hubplug.Hub({"chain": []}, plugins=[sends])).send("http://h/v", follow=False)
    assert answer.json() == {}
    assert [(request.url, request.follow) for request in sends.requests] == [("http://h/v", False)]
    with pytest.raises(NobodyAnswered, match="No plugin takes a request to http://h/v"):
        asker(hubplug.Hub({"chain": []}, plugins=[Latest()])).send("http://h/v")


def test_offline_nothing_is_sent(folder: Path) -> None:
    sends = Sends()
    with pytest.raises(OfflineError, match="it would have to send it"):
        asker(hubplug.Hub({"chain": [], "offline": True}, plugins=[sends])).send("http://h/v")
    assert sends.requests == []


def test_a_file_that_was_merely_found_lets_no_secret_of_a_handle_be_sent_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "hubplug.yaml").write_text("version: 1\nchain: []\n")
    monkeypatch.chdir(folder)
    sends = Sends()
    with pytest.raises(ConfigError, match="merely found"):
        asker(hubplug.Hub(plugins=[sends]), "https://h/m?token=secret").send("https://elsewhere.example/v")
    assert sends.requests == []


def test_an_answer_that_is_not_json_names_the_address(folder: Path) -> None:
    with pytest.raises(hubplug.errors.FetchError, match=r"What http://h/v\S* answered is not JSON"):
        WebAnswer("http://h/v?token=x", 200, body=b"<html>").json()
