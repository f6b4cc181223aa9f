"""Somebody removes an entry, or pins a module, while others read or pin."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hubplug import Hub
from hubplug.cli.main import hubplug
from hubplug.errors import ConfigError, HubplugError
from hubplug.files.staging import taking_turns
from hubplug.testing import archive_of, write_tiny_module
from hubplug_cache._pruning import remove

LIMIT = 120.0  # seconds: more than the busiest machine needs
_fork = multiprocessing.get_context("fork") if hasattr(os, "fork") else None
pytestmark = pytest.mark.skipif(_fork is None, reason="needs fork")
_before_opening: Callable[[str], None] | None = None


def _watch(event: str, about: tuple[object, ...]) -> None:
    if event == "open" and _before_opening is not None:
        _before_opening(str(about[0]))


sys.addaudithook(_watch)  # for good: there is no way to take it back


def hub_of(place: Path) -> Hub:
    chain = ["cache", "file", "archive", "tf1", "savedmodel", "signatures"]
    if not (place / "hubplug.yaml").exists():
        caches = {"cache": {"options": {"dir": str(place / "modules")}}}
        (place / "hubplug.yaml").write_text(json.dumps({"version": 1, "chain": chain, "plugins": caches}))
    return Hub(place / "hubplug.yaml")


@pytest.fixture
def archive(tmp_path: Path) -> str:
    return make_archive(tmp_path, "m")


def make_archive(place: Path, name: str) -> str:
    path = place / f"{name}.tar.gz"
    path.write_bytes(archive_of(write_tiny_module(place / name)))
    return str(path)


def removing(entry: Path, when: str, times: int) -> Callable[[str], None]:
    """What removes an entry when a file of that name in it is about to be opened, that many times."""
    left = [times]

    def act(path: str) -> None:
        if left[0] and path == str(entry / when):
            left[0] -= 1
            remove([entry], 0)

    return act


USES: dict[str, Callable[[Hub, str], object]] = {
    "load_spec": lambda hub, handle: hub.load_spec(handle).get_tags(),
    "validate": lambda hub, handle: hub.validate(handle, ["complete"]),
    "use_spec": lambda hub, handle: hub.use_spec(handle, lambda spec: spec.describe()),
}


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("use", USES)
def test_what_is_removed_while_it_is_read_is_brought_again(
    use: str, times: int, archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = hub_of(tmp_path)
    entry = hub.resolve(archive).path
    expected = USES[use](hub, archive)
    monkeypatch.setattr(sys.modules[__name__], "_before_opening", removing(entry, "saved_model.pb", times))
    assert USES[use](hub, archive) == expected
    assert entry.is_dir()


def test_what_cannot_be_read_is_not_read_again_while_it_is_there(archive: str, tmp_path: Path) -> None:
    hub = hub_of(tmp_path)
    calls = []

    def fail(_: object) -> None:
        calls.append(1)
        raise KeyError("mine")

    for handle in (archive, str(tmp_path / "m")):
        with pytest.raises(KeyError):
            hub.use_spec(handle, fail)
    assert len(calls) == 2


def test_it_is_given_up_when_it_is_removed_every_time(archive: str, tmp_path: Path) -> None:
    hub = hub_of(tmp_path)
    entry = hub.resolve(archive).path
    calls = []

    def read(_: object) -> None:
        calls.append(1)
        remove([entry], 0)
        raise HubplugError("it is gone")

    with pytest.raises(HubplugError, match="it is gone"):
        hub.use_spec(archive, read)
    assert 1 < len(calls) < 20


def _read(place: Path, archive: str, end: Event, count: Any, results: object) -> None:
    hub = hub_of(place)
    number = 0
    try:
        while not end.is_set():
            hub.load_spec(archive)
            errors = [finding for finding in hub.validate(archive, ["complete"]) if finding.level == "error"]
            assert not errors, str(errors)
            number += 1
            with count.get_lock():
                count.value += 1
    except BaseException as error:
        results.put(f"{type(error).__name__}: {error}")
    else:
        results.put(number)


def test_readers_live_through_prunings(archive: str, tmp_path: Path) -> None:
    hub = hub_of(tmp_path)
    entry = hub.resolve(archive).path
    results, end, count = _fork.SimpleQueue(), _fork.Event(), _fork.Value("i", 0)
    readers = [_fork.Process(target=_read, args=(tmp_path, archive, end, count, results)) for _ in range(4)]
    for reader in readers:
        reader.start()
    until = time.monotonic() + LIMIT
    for _ in range(6):
        while not entry.exists():
            assert time.monotonic() < until
            assert any(reader.is_alive() for reader in readers), [results.get() for _ in readers]
            time.sleep(0.002)
        read_before = count.value
        while count.value < read_before + 4 and any(reader.is_alive() for reader in readers):
            time.sleep(0.001)  # who is disturbed every time gives up
        remove([entry], 0.01)
    end.set()
    read = [results.get() for _ in readers]
    for reader in readers:
        reader.join(LIMIT)
    assert all(isinstance(number, int) and number for number in read), read


def _pin(place: Path, archive: str, start: Barrier, rounds: int) -> None:
    for number in range(rounds):
        pins = hub_of(place).pin([f"{archive}{number}.tar.gz"])
        start.wait(LIMIT)
        pins.write()
        start.wait(LIMIT)


def test_pins_of_processes_that_lock_at_once_are_all_kept(tmp_path: Path) -> None:
    count, rounds = 4, 5
    for member in range(count):
        for number in range(rounds):
            make_archive(tmp_path, f"m{member}-{number}")
    hub_of(tmp_path)
    start = _fork.Barrier(count)
    members = [
        _fork.Process(target=_pin, args=(tmp_path, str(tmp_path / f"m{member}-"), start, rounds))
        for member in range(count)
    ]
    for member in members:
        member.start()
    for member in members:
        member.join(LIMIT)
        assert member.exitcode == 0
    pinned = json.loads((tmp_path / "hubplug.lock").read_text())["modules"]
    assert len(pinned) == count * rounds
    assert [path.name for path in tmp_path.iterdir() if "lock" in path.name] == ["hubplug.lock"]


def test_what_was_unpinned_meanwhile_stays_so_and_a_damaged_file_stays_as_it_is(archive: str, tmp_path: Path) -> None:
    other = make_archive(tmp_path, "other")
    hub_of(tmp_path).pin([other]).write()
    pins = hub_of(tmp_path).pin([archive])
    (tmp_path / "hubplug.lock").unlink()
    assert list(pins.write().modules) == [archive]
    (tmp_path / "hubplug.lock").write_text("<<<<<<< mine")
    with pytest.raises(ConfigError, match=r"hubplug.lock is not a lock file|hubplug.lock is not a lock file"):
        pins.write()
    assert (tmp_path / "hubplug.lock").read_text() == "<<<<<<< mine"


def test_turns_are_taken_in_threads_and_waited_for_only_so_long(tmp_path: Path) -> None:
    held, end = threading.Event(), threading.Event()

    def hold() -> None:
        with taking_turns(tmp_path):
            held.set()
            end.wait(LIMIT)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(LIMIT)
    with pytest.raises(TimeoutError, match="another process"), taking_turns(tmp_path, seconds=0.05):
        pass
    end.set()
    holder.join(LIMIT)
    with taking_turns(tmp_path, seconds=0):
        pass


@pytest.mark.parametrize("when", ["tfhub_module.pb", "variables/variables.index", "saved_model.pb"])
def test_an_export_of_everything_leaves_out_what_is_removed_meanwhile(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = hub_of(tmp_path)
    entries = {name: hub.resolve(make_archive(tmp_path, name)).path for name in ("a", "b", "c")}
    gone = sorted(entries.values())[1]
    with hub.activate():
        listing = CliRunner().invoke(hubplug, ["cache", "list"])
        assert listing.output.count("complete") == 3
        # The listing of the export reads what the entries are; nothing else does before it.
        seen = [0]
        act = removing(gone, when, 1)

        def after_the_listing(path: str) -> None:
            seen[0] += path == str(tmp_path / "all.tar") or ".all.tar." in path
            if seen[0]:
                act(path)

        monkeypatch.setattr(sys.modules[__name__], "_before_opening", after_the_listing)
        done = CliRunner().invoke(hubplug, ["cache", "export", str(tmp_path / "all.tar")])
    assert done.exit_code == 0, done.output
    assert "2 entries" in done.output
    assert f"{gone} was removed meanwhile" in done.output
    with tarfile.open(tmp_path / "all.tar") as tar:
        assert {name.partition("/")[0] for name in tar.getnames()} - {"hubplug-cache.json"} == {
            path.name for path in entries.values() if path != gone
        }
    away = tmp_path / "away"
    away.mkdir()
    with hub_of(away).activate():
        assert CliRunner().invoke(hubplug, ["cache", "import", str(tmp_path / "all.tar")]).exit_code == 0


def test_an_export_of_named_entries_does_not_leave_one_out(
    archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = hub_of(tmp_path)
    entry = hub.resolve(archive).path
    with hub.activate():
        monkeypatch.setattr(sys.modules[__name__], "_before_opening", removing(entry, "saved_model.pb", 1))
        done = CliRunner().invoke(hubplug, ["cache", "export", str(tmp_path / "all.tar"), entry.name])
    assert done.exit_code == 2
    assert not (tmp_path / "all.tar").exists()
