"""Many at once: one fetch, quick waiters, and readers who never meet half an entry."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import pytest

from hubplug.errors import HubplugError
from hubplug_cache import CacheDirectory
from hubplug_cache._entry import identity
from hubplug_cache._pruning import remove
from tests.plugins.cache.origin import Origin, entry_of, find_wrong, leftovers

HANDLE = "https://example.com/module"
GRACE = 3600.0
LIMIT = 200.0  # seconds: more than the busiest machine needs, and far less than the lock_timeout of 1800
ROUNDS = int(os.environ.get("HUBPLUG_TEST_ROUNDS", "1000"))

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
_fork = multiprocessing.get_context("fork") if hasattr(os, "fork") else None


def _member(root: Path, counter: Path, start: Barrier, rounds: int, waits: object) -> None:
    origin = Origin(counter, during=lambda step: time.sleep(0.002))
    for number in range(rounds):
        handle = f"{HANDLE}/{number}"
        start.wait(LIMIT)
        module = origin.resolve(CacheDirectory(str(root)), handle)
        waits.put((number, time.time(), module.path.stat().st_ctime))
        assert find_wrong(module.path, handle) is None


def _herd(count: int, rounds: int, tmp_path: Path) -> tuple[int, float]:
    """Fetches and the longest wait after the publishing, over all rounds."""
    root, counter = tmp_path / "modules", tmp_path / "counter"
    start, waits = _fork.Barrier(count), _fork.SimpleQueue()
    members = [_fork.Process(target=_member, args=(root, counter, start, rounds, waits)) for _ in range(count)]
    for member in members:
        member.start()
    seen = [waits.get() for _ in range(count * rounds)]
    for member in members:
        member.join()
        assert member.exitcode == 0
    assert leftovers(root) == []
    return len(counter.read_bytes()), max(ended - published for _, ended, published in seen)


@pytest.mark.parametrize(("count", "rounds"), [(2, 20), (8, 8), (32, 2)])
def test_processes_at_a_barrier_fetch_each_handle_once(count: int, rounds: int, tmp_path: Path) -> None:
    fetches, longest = _herd(count, rounds, tmp_path)
    assert fetches == rounds
    assert longest < LIMIT


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("count", "share"), [(2, 0.5), (8, 0.3), (32, 0.2)])
def test_they_do_so_in_a_thousand_rounds(count: int, share: float, tmp_path: Path) -> None:
    rounds = max(int(ROUNDS * share), 1)
    fetches, longest = _herd(count, rounds, tmp_path)
    print(f"{count} processes: n={rounds} rounds, {fetches} fetches, longest wait after publishing {longest:.3f} s")
    assert fetches == rounds


def _read(root: Path, end: Event, results: object) -> None:
    origin = Origin()
    wrong = 0
    while not end.is_set():
        try:
            path = origin.resolve(CacheDirectory(str(root)), HANDLE).path
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # removed between the answer and the opening
        except HubplugError as error:
            results.put(f"error: {error}")
            return
        time.sleep(0.01)
        try:
            for name in ("saved_model.pb", "variables/variables.index"):
                handle = os.open(name, os.O_RDONLY, dir_fd=descriptor)
                wrong += len(os.read(handle, 5000)) != 1000
                os.close(handle)
        except FileNotFoundError:
            wrong += 1  # deleted under a reader within the grace period
        finally:
            os.close(descriptor)
    results.put(f"wrong: {wrong}")


def _expect_readers_to_live_through(removals: int, tmp_path: Path) -> None:
    root = tmp_path / "modules"
    path = Origin().resolve(CacheDirectory(str(root)), HANDLE).path
    results, end = _fork.SimpleQueue(), _fork.Event()
    readers = [_fork.Process(target=_read, args=(root, end, results)) for _ in range(8)]
    for reader in readers:
        reader.start()
    for _ in range(removals):
        while (entry := identity(path)) is None:
            assert all(reader.is_alive() for reader in readers)
            time.sleep(0.01)
        remover = _fork.Process(target=remove, args=([path], GRACE))
        remover.start()
        while identity(path) == entry:
            assert remover.is_alive()
            time.sleep(0.001)
        time.sleep(0.05)
        remover.kill()  # one that dies leaves the deleting to others, who keep to their grace period
        remover.join()
    end.set()
    assert [results.get() for _ in readers] == ["wrong: 0"] * 8
    for reader in readers:
        reader.join()


def test_readers_are_not_disturbed_by_removals(tmp_path: Path) -> None:
    _expect_readers_to_live_through(8, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_readers_are_not_disturbed_by_hundreds_of_removals(tmp_path: Path) -> None:
    _expect_readers_to_live_through(400, tmp_path)
    print("8 readers, n=400 removals, readers disturbed 0")


def test_removals_and_repairs_by_many_threads_end_well(tmp_path: Path) -> None:
    root = tmp_path / "modules"
    until, errors = time.monotonic() + 2, []

    def resolve() -> None:
        origin = Origin()
        while time.monotonic() < until:
            try:
                origin.resolve(CacheDirectory(str(root)), HANDLE)
            except HubplugError as error:
                errors.append(error)

    def spoil() -> None:
        while time.monotonic() < until:
            (entry_of(root, HANDLE) / "saved_model.pb").unlink(missing_ok=True)
            time.sleep(0.01)

    threads = [*(threading.Thread(target=resolve) for _ in range(6)), threading.Thread(target=spoil)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    Origin().resolve(CacheDirectory(str(root)), HANDLE)
    assert find_wrong(entry_of(root, HANDLE), HANDLE) is None
    assert leftovers(root) == []
