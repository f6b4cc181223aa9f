"""Whenever a process dies, an entry is whole or not there, and the next one mends the rest."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import hubplug_cache._filling
import hubplug_cache._locking  # noqa: F401
from hubplug_cache import CacheDirectory
from tests.plugins.cache import origin as origin_module
from tests.plugins.cache.origin import Origin, entry_of, find_wrong, leftovers
from tests.reliability.disk import Recording, read_tree, write_tree
from tests.reliability.strace import Call, changes, injected, need_strace, record

HANDLE = "https://example.com/module/1"
KILLS = int(os.environ.get("HUBPLUG_TEST_KILLS", "10000"))


def _command(root: Path, *options: str) -> list[str]:
    return [sys.executable, str(Path(origin_module.__file__)), str(root), HANDLE, *options]


def _damaged_root(root: Path) -> Path:
    """A cache with an entry that must be repaired: so removing and replacing are on the way as well."""
    module = Origin().resolve(CacheDirectory(str(root)), HANDLE)
    (module.path / "saved_model.pb").unlink()
    return root


def _touched_root(root: Path) -> Path:
    """A cache with an entry whose files are right and have other times than its manifest says, as in a copy."""
    module = Origin().resolve(CacheDirectory(str(root)), HANDLE)
    os.utime(module.path / "saved_model.pb", (0, 0))
    return root


_ROOTS = {"repair": _damaged_root, "touched": _touched_root}


def _expect_whole_and_clean(root: Path) -> None:
    """What is visible is right; the next resolve waits for nobody, is right, and leaves nothing behind."""
    path = entry_of(root, HANDLE)
    plan = CacheDirectory(str(root)).hubplug_cache(origin_module.source_of(HANDLE))
    if plan.what == f"use {path}":
        assert find_wrong(path, HANDLE) is None
    Origin().resolve(CacheDirectory(str(root), lock_timeout=0), HANDLE)
    assert find_wrong(path, HANDLE) is None
    assert leftovers(root) == []


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Call]]:
    """The changing calls of a first fill and of a repair."""
    need_strace()
    place = tmp_path_factory.mktemp("recorded")
    subprocess.run(_command(place / "warm"), check=True, capture_output=True, env=_environment())
    fresh = changes(record(_command(place / "fresh"), place / "log"), place / "fresh")
    repair = changes(record(_command(_damaged_root(place / "repair")), place / "log"), place / "repair")
    assert len(fresh) > 25
    touched = changes(record(_command(_touched_root(place / "touched")), place / "log"), place / "touched")
    assert len(repair) > 30
    assert {"openat", "write", "fsync"} < {call.name for call in touched}
    return {"fresh": fresh, "repair": repair, "touched": touched}


@pytest.mark.parametrize("way", ["fresh", "repair", "touched"])
def test_a_kill_at_every_changing_system_call_leaves_nothing_wrong(
    way: str, recorded: dict[str, list[Call]], tmp_path: Path
) -> None:
    killed = 0
    for index, call in enumerate(recorded[way]):
        root = tmp_path / str(index)
        if way in _ROOTS:
            _ROOTS[way](root)
        done = injected(_command(root), tmp_path / "log", call, "signal=SIGKILL")
        killed += done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
        if root.exists():
            _expect_whole_and_clean(root)
    assert killed == len(recorded[way])


def _kill_at_random(root: Path, chance: random.Random, span: float) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            Origin(size=200_000).resolve(CacheDirectory(str(root)), HANDLE)
        finally:
            os._exit(0)
    time.sleep(chance.uniform(0, span))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _one_fill(root: Path) -> float:
    """Seconds; waiting for whoever was there before would be an error."""
    began = time.monotonic()
    Origin(size=200_000).resolve(CacheDirectory(str(root), lock_timeout=0), HANDLE)
    return time.monotonic() - began


def _kills(trials: int, tmp_path: Path, least_unfinished: int = 0) -> tuple[int, int, int, float]:
    """How many kills there were, found the fill begun, and left it unfinished; and the longest time of a successor.

    Asserts that none did harm. Goes on after that many trials until as many as asked for were left unfinished.
    """
    chance = random.Random(20260101)
    took = _one_fill(tmp_path / "span")
    root = tmp_path / "modules"
    begun = unfinished = trial = 0
    longest = 0.0
    while trial < trials or unfinished < least_unfinished:
        trial += 1
        if trial % 3 == 0 and entry_of(root, HANDLE).exists():
            (entry_of(root, HANDLE) / "saved_model.pb").unlink()
        elif entry_of(root, HANDLE).exists():
            shutil.rmtree(entry_of(root, HANDLE))
        _kill_at_random(root, chance, 1.5 * took)
        if not root.exists():
            continue
        left = leftovers(root)
        begun += bool(left) or entry_of(root, HANDLE).exists()
        unfinished += bool(left)
        path = entry_of(root, HANDLE)
        plan = CacheDirectory(str(root)).hubplug_cache(origin_module.source_of(HANDLE))
        if plan.what == f"use {path}":
            assert find_wrong(path, HANDLE, 200_000) is None
        took = _one_fill(root)
        longest = max(longest, took)
        assert find_wrong(path, HANDLE, 200_000) is None
        assert leftovers(root) == []
    return trial, begun, unfinished, longest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_random_kills_leave_nothing_wrong(tmp_path: Path) -> None:
    _, begun, unfinished, _ = _kills(60, tmp_path, least_unfinished=6)
    assert begun >= unfinished > 5


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_thousands_of_random_kills_leave_nothing_wrong(tmp_path: Path) -> None:
    trials, begun, unfinished, longest = _kills(KILLS, tmp_path)
    print(f"random SIGKILL during resolve: n={trials}, begun {begun}, unfinished {unfinished}, corrupted 0, leaked 0,")
    print(f"the successor's whole fill took {longest:.3f} s at most")


@pytest.mark.parametrize("way", ["fresh", "repair"])
def test_everything_is_on_the_disk_before_it_is_published(way: str, recorded: dict[str, list[Call]]) -> None:
    calls = recorded[way]
    staging = next(
        call.text.split('"')[1]
        for call in calls
        if call.name == "mkdir" and call.text.split('"')[1].endswith(".filling")
    )
    root = str(Path(staging).parent)
    entry = str(Path(root) / Path(staging).name[:40])
    published = next(
        i
        for i, call in enumerate(calls)
        if call.name.startswith("rename") and call.text.split('"')[1::2] == [staging, entry]
    )
    synced = {_path_of(call): i for i, call in enumerate(calls) if call.name == "fsync"}
    made = {call.text.split('"')[1]: i for i, call in enumerate(calls) if call.name in ("openat", "mkdir")}
    changed = {path: i for path, i in made.items() if path.startswith(staging) and not path.endswith(".note")}
    for i, call in enumerate(calls):
        if call.name == "write" and _path_of(call) in changed:
            changed[_path_of(call)] = i
    for path in list(changed):
        parent = str(Path(path).parent)
        if parent in changed:
            changed[parent] = max(changed[parent], made[path])
    assert len(changed) >= 9
    for path, last in changed.items():
        assert last < synced[path] < published, path
    assert published < synced[root]


@pytest.fixture(scope="module")
def ram(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where thousands of small trees cost little."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path_factory.mktemp("states")
        return
    with tempfile.TemporaryDirectory(dir=memory) as path:
        yield Path(path)


def _record_on_a_disk(way: str, place: Path, with_fsync: bool = True) -> Recording:
    """What a first fill or a repair changes, and what was there before."""
    root = place / "modules"
    root.mkdir()
    if way == "repair":
        _damaged_root(root)
    before = read_tree(root)
    calls = changes(record(_command(root), place / "log"), root)
    return Recording(root, before, calls, with_fsync)


def _lose_power(recording: Recording, ram: Path, samples: int) -> tuple[int, int, int]:
    """How many states there were, in how many the entry was visible, and in how many of these it was not right."""
    chance = random.Random(20260102)
    states = visible = wrong = 0
    for prefix in range(len(recording.calls) + 1):
        for tree in recording.states(prefix, chance, samples):
            states += 1
            root = ram / "modules"
            write_tree(root, tree)
            recording.date(root)
            plan = CacheDirectory(str(root)).hubplug_cache(origin_module.source_of(HANDLE))
            if plan.what == f"use {entry_of(root, HANDLE)}":
                visible += 1
                wrong += find_wrong(entry_of(root, HANDLE), HANDLE) is not None
            else:
                _expect_whole_and_clean(root)
            shutil.rmtree(root)
    return states, visible, wrong


@pytest.mark.parametrize("way", ["fresh", "repair"])
def test_a_power_failure_after_any_call_leaves_the_right_entry_or_a_clean_refetch(
    way: str, ram: Path, tmp_path: Path
) -> None:
    need_strace()
    states, visible, wrong = _lose_power(_record_on_a_disk(way, tmp_path), ram, samples=6)
    assert states > 250
    assert visible > 5
    assert wrong == 0


def test_without_fsync_the_same_failures_would_leave_wrong_entries(ram: Path, tmp_path: Path) -> None:
    """That the model can tell."""
    need_strace()
    _, _, wrong = _lose_power(_record_on_a_disk("fresh", tmp_path, with_fsync=False), ram, samples=10)
    assert wrong > 0


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", ["fresh", "repair"])
def test_thousands_of_power_failures_leave_the_right_entry_or_a_clean_refetch(
    way: str, ram: Path, tmp_path: Path
) -> None:
    need_strace()
    recording = _record_on_a_disk(way, tmp_path)
    states, visible, wrong = _lose_power(recording, ram, samples=200)
    print(f"power failure, {way}: {len(recording.calls) + 1} prefixes, n={states} states, ", end="")
    print(f"entry visible in {visible}, wrong in {wrong}")
    assert wrong == 0


def test_an_offline_hit_makes_no_connection(tmp_path: Path) -> None:
    need_strace()
    Origin().resolve(CacheDirectory(str(tmp_path / "modules")), HANDLE)
    root = tmp_path / "modules"
    calls = record(_command(root), tmp_path / "log", ["socket", "connect", *("mkdir", "rename", "flock")])
    assert [call for call in calls if call.name in ("socket", "connect") or str(root) in call.text] == []


def _path_of(call: Call) -> str:
    return call.text.partition("<")[2].partition(">")[0]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
