"""An export goes to a directory or to whoever publishes there; what goes wrong on the way is said by whom it went wrong."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hubplug
from hubplug.errors import ExportError, HandleError, NobodyAnswered, OccupiedError, OfflineError, PluginError
from hubplug.hookspecs import RunExport, RunPublish
from hubplug.spec import ExportRequest
from hubplug.types import Declined, Handle, Plan
from tests.core.small_plugins import TextSpec, Writer

MakeHub = Callable[..., hubplug.Hub]


class Harbour:
    """Publishes ``harbour://`` into a dict; ``corp://x`` is to be published at ``harbour://x``."""

    def __init__(self, log: list[str] | None = None, network: bool = False) -> None:
        self.log: list[str] = [] if log is None else log
        self.network = network
        self.modules: dict[str, dict[str, str]] = {}
        self.scratch: list[Path] = []

    @hubplug.hookimpl
    def hubplug_publish(self, handle: Handle) -> Plan[RunPublish] | Handle | Declined | None:
        self.log.append(f"publish {handle}")
        if handle.scheme == "corp":
            return handle.instead("harbour" + handle.text.removeprefix("corp"))
        if handle.scheme != "harbour":
            return Declined("only harbour:// and corp://")

        def run(produce: Any) -> None:
            import tempfile

            if handle.text in self.modules:
                raise OccupiedError(f"{handle} exists already")
            with tempfile.TemporaryDirectory() as folder:
                self.scratch.append(Path(folder))
                produce(Path(folder))
                self.modules[handle.text] = {path.name: path.read_text() for path in Path(folder).iterdir()}

        return Plan(f"ship it to {handle}", run, network=self.network)


class Sink:
    """Writes half a module and raises."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    @hubplug.hookimpl
    def hubplug_export(self, request: ExportRequest) -> Plan[RunExport]:
        def run(dest: Path) -> None:
            (dest / "half").write_text("x")
            raise self.error

        return Plan("fail", run)


def request(path: str, text: str = "good x") -> ExportRequest:
    return ExportRequest(TextSpec(text), path)


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def harbour(log: list[str]) -> Harbour:
    return Harbour(log)


@pytest.fixture
def hub(harbour: Harbour, log: list[str]) -> hubplug.Hub:
    return hubplug.Hub({"chain": []}, plugins=[harbour, Writer(log)])


def test_the_hooks_of_an_export_to_a_url_are_called_in_this_order(
    hub: hubplug.Hub, harbour: Harbour, log: list[str]
) -> None:
    hub.export(request("corp://m"))
    assert log == ["export", "publish corp://m", "publish harbour://m"]
    assert harbour.modules == {"harbour://m": {"model.txt": "good x"}}
    assert not harbour.scratch[0].exists()


def test_a_local_path_is_nobodys_but_the_cores(hub: hubplug.Hub, log: list[str], tmp_path: Path) -> None:
    hub.export(request(str(tmp_path / "out")))
    assert log == ["export"]
    assert (tmp_path / "out" / "model.txt").read_text() == "good x"
    with pytest.raises(OccupiedError, match="exists already; nothing was written"):
        hub.export(request(str(tmp_path / "out")))


@pytest.mark.parametrize("path", [None, 5])
def test_what_is_no_path_is_the_callers_mistake_and_no_plugins(hub: hubplug.Hub, log: list[str], path: Any) -> None:
    with pytest.raises(TypeError, match=f"exported to a path or a URL, got {type(path).__name__}: {path}"):
        hub.export(request(path))
    assert log == []


def test_a_plugin_may_name_a_local_path_instead(tmp_path: Path) -> None:
    class Shares:
        @hubplug.hookimpl
        def hubplug_publish(self, handle: Handle) -> Handle | None:
            return handle.instead(str(tmp_path / handle.text.partition("://")[2]))

    hub = hubplug.Hub({"chain": []}, plugins=[Shares(), Writer()])
    hub.export(request("share://team/m"))
    assert (tmp_path / "team" / "m" / "model.txt").read_text() == "good x"
    with pytest.raises(OccupiedError):
        hub.export(request("share://team/m"))


def test_what_is_there_already_stays_and_nothing_is_written(hub: hubplug.Hub, harbour: Harbour) -> None:
    hub.export(request("harbour://m", "first"))
    with pytest.raises(OccupiedError, match="harbour://m exists already"):
        hub.export(request("harbour://m", "second"))
    assert harbour.modules == {"harbour://m": {"model.txt": "first"}}
    assert len(harbour.scratch) == 1


def test_a_place_that_nobody_knows_is_an_error_before_anything_is_written(hub: hubplug.Hub, log: list[str]) -> None:
    with pytest.raises(
        NobodyAnswered,
        match=r"No plugin takes 'nope://b/m\?t=\*\*\*' as a place to export to "
        r"\(asked hubplug_publish of: Harbour\[0\]; Harbour\[0\]: only harbour:// and corp://\)",
    ) as raised:
        hub.export(request("nope://user:canary@b/m?t=canary"))
    assert "canary" not in str(raised.value)
    assert log == ["export", "publish nope://b/m?t=***"]


@pytest.mark.parametrize("fragment", ["#1", f"#sha256={'0' * 64}", "#"])
def test_a_fragment_is_refused_and_not_dropped(hub: hubplug.Hub, harbour: Harbour, fragment: str) -> None:
    with pytest.raises(ExportError, match="harbour://m is not a place for a module: it was given with a fragment"):
        hub.export(request(f"harbour://m{fragment}"))
    assert harbour.modules == {}


def test_a_url_that_can_be_none_is_refused(hub: hubplug.Hub) -> None:
    with pytest.raises(HandleError, match="control character"):
        hub.export(request("harbour://m\n"))


def test_handles_that_name_each_other_are_a_loop(hub: hubplug.Hub) -> None:
    class Turns:
        @hubplug.hookimpl
        def hubplug_publish(self, handle: Handle) -> Handle:
            return handle.instead("b://x" if handle.scheme == "a" else "a://x")

    with pytest.raises(PluginError, match="in a loop: a://x -> b://x -> a://x"):
        hubplug.Hub({"chain": []}, plugins=[Turns(), Writer()]).export(request("a://x"))


def test_offline_nothing_is_written(log: list[str]) -> None:
    harbour = Harbour(log, network=True)
    hub = hubplug.Hub({"chain": [], "offline": True}, plugins=[harbour, Writer(log)])
    with pytest.raises(
        OfflineError, match=r"Nothing can be exported to harbour://m, .* ship it to harbour://m"
    ) as raised:
        hub.export(request("harbour://m"))
    assert raised.value.hint
    assert harbour.scratch == []


class Uninitialized(Exception):
    pass


@pytest.mark.parametrize("error", [Uninitialized("variable w"), KeyboardInterrupt(), ExportError("said so")])
def test_what_the_writer_raises_is_the_callers_to_see(error: BaseException) -> None:
    harbour = Harbour()
    hub = hubplug.Hub({"chain": []}, plugins=[harbour, Sink(error)])
    with pytest.raises(type(error)) as raised:
        hub.export(request("harbour://m"))
    assert raised.value is error
    assert harbour.modules == {}
    assert not harbour.scratch[0].exists()


def test_a_full_temporary_directory_is_an_error_of_the_export() -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    hub = hubplug.Hub({"chain": []}, plugins=[Harbour(), Sink(full)])
    with pytest.raises(ExportError, match=r"harbour://m .*No space left on device") as raised:
        hub.export(request("harbour://m"))
    assert "TMPDIR" in (raised.value.hint or "")
    assert raised.value.__cause__ is full


def test_a_mistake_of_the_publisher_is_called_one() -> None:
    class Broken:
        @hubplug.hookimpl
        def hubplug_publish(self, handle: Handle) -> Plan[RunPublish]:
            return Plan("break", lambda produce: {}["missing"])

    with pytest.raises(PluginError, match=r"'Broken\[0\]' .*plan of hubplug_publish: break\): KeyError"):
        hubplug.Hub({"chain": []}, plugins=[Broken(), Writer()]).export(request("harbour://m"))


def test_explaining_an_export_writes_nothing(hub: hubplug.Hub, harbour: Harbour, log: list[str]) -> None:
    first, second = hub.explain_export("corp://m")
    assert (first.hook, str(first.value)) == ("hubplug_publish", "harbour://m")
    assert (second.hook, second.value.what) == ("hubplug_publish", "ship it to harbour://m")
    assert hub.explain_export("/a/path") == []
    assert harbour.modules == {}
    assert log == ["publish corp://m", "publish harbour://m"]
