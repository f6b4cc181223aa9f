"""Several threads or processes want one entry: one fills it, the others wait, and nothing depends on the lock.

A process that is to be met in the middle of its work stays there until it is told to go on, however slow the machine is.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hubplug.errors import CacheError, FetchError
from hubplug_cache import CacheDirectory
from hubplug_cache._entry import Entry, find_entry
from hubplug_cache._filling import publish
from tests.plugins.cache import origin as origin_module
from tests.plugins.cache.origin import NAMES, Origin, as_user, entry_of, find_wrong, leftovers, source_of

HANDLE = "https://example.com/module/1"
LIMIT = 200.0  # seconds: more than the busiest machine needs, and far less than the lock_timeout of 1800


def _start(root: Path, *options: str, stdin: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """Another process that resolves the handle; returns when it is about to begin."""
    process = subprocess.Popen(
        [sys.executable, str(Path(origin_module.__file__)), str(root), HANDLE, *options],
        stdin=stdin,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _start_filling(root: Path) -> subprocess.Popen[str]:
    """Another process, which has begun to fill the entry and goes on when its standard input ends."""
    process = _start(root, "--hold-at", "2")
    _wait_until(lambda: root.is_dir() and any(root.glob("*.filling/saved_model.pb")))
    return process


def _result(process: subprocess.Popen[str]) -> dict[str, object]:
    """What a process says at its end, to which it may go."""
    output, _ = process.communicate()
    return json.loads(output.splitlines()[-1])


def _wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _join(thread: threading.Thread) -> None:
    thread.join(LIMIT)
    assert not thread.is_alive()


def test_threads_that_want_one_entry_fetch_it_once(cache: CacheDirectory, root: Path) -> None:
    origin = Origin(during=lambda step: time.sleep(0.02))
    start = threading.Barrier(16)
    results = []

    def resolve() -> None:
        start.wait()
        results.append(origin.resolve(cache, HANDLE).path)

    threads = [threading.Thread(target=resolve) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert origin.calls == 1
    assert results == [entry_of(root, HANDLE)] * 16
    assert leftovers(root) == []


def test_threads_that_want_different_entries_do_not_wait_for_each_other(cache: CacheDirectory) -> None:
    both_at_it = threading.Barrier(2, timeout=LIMIT)
    origin = Origin(during=lambda step: both_at_it.wait() if step == 0 else None)
    threads = [threading.Thread(target=origin.resolve, args=(cache, f"{HANDLE}{i}")) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert origin.calls == 2


def test_processes_that_want_one_entry_fetch_it_once(root: Path, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    options = ("--counter", str(counter), "--pause", "0.05", "--hold-at", "-1")
    held, go = os.pipe()
    processes = [_start(root, *options, stdin=held) for _ in range(4)]
    os.close(held)
    os.close(go)
    results = [_result(process) for process in processes]
    assert [result["wrong"] for result in results] == [None] * 4
    assert counter.read_bytes() == b"."
    assert leftovers(root) == []


def test_a_waiter_says_once_who_holds_the_lock_and_goes_on_when_it_is_done(
    cache: CacheDirectory, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    holder = _start_filling(root)
    origin, modules = Origin(), []
    waiter = threading.Thread(target=lambda: modules.append(origin.resolve(cache, HANDLE)))
    waiter.start()
    _wait_until(lambda: caplog.records)
    time.sleep(0.3)
    assert not modules
    assert _result(holder)["wrong"] is None
    _join(waiter)
    (module,) = modules
    assert origin.calls == 0
    assert find_wrong(module.path, HANDLE) is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    message = record.getMessage()
    assert f"process {holder.pid} on {os.uname().nodename}" in message
    assert re.search(r"MB so far; gives up in 17\d\d s$", message)
    assert str(module.path) in message


def test_a_waiter_uses_an_entry_as_soon_as_it_is_there(cache: CacheDirectory, root: Path, tmp_path: Path) -> None:
    import fcntl

    locks = root / ".hubplug-locks"
    locks.mkdir(parents=True)
    ready = Origin().resolve(CacheDirectory(str(tmp_path / "elsewhere")), HANDLE).path
    with (locks / entry_of(root, HANDLE).name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        origin, results = Origin(), []
        waiter = threading.Thread(target=lambda: results.append(origin.resolve(cache, HANDLE)))
        waiter.start()
        time.sleep(0.2)
        assert not results
        ready.rename(entry_of(root, HANDLE))
        _join(waiter)
        assert len(results) == 1
    assert origin.calls == 0


def test_what_somebody_else_repaired_meanwhile_is_kept(cache: CacheDirectory, root: Path, tmp_path: Path) -> None:
    path = Origin().resolve(cache, HANDLE).path
    (path / "saved_model.pb").unlink()
    source = source_of(HANDLE)
    theirs = Origin().resolve(CacheDirectory(str(tmp_path / "elsewhere")), HANDLE).path
    inode = theirs.stat().st_ino
    looks = []

    def look() -> Entry:
        entry = find_entry(path, source)
        if not looks:
            path.rename(tmp_path / "old")
            theirs.rename(path)
        looks.append(entry.state)
        return entry

    entry = publish(path, HANDLE, source.key_sha256, Origin().producer(source), look)
    assert looks[0] == "damaged"
    assert entry.state == "hit"
    assert path.stat().st_ino == inode
    assert leftovers(root) == []


def test_a_waiter_gives_up_after_the_configured_time(root: Path) -> None:
    holder = _start_filling(root)
    began = time.monotonic()
    with pytest.raises(CacheError, match=f"Gave up after [0-9]+ s .* process {holder.pid} on .*lock {root}") as caught:
        Origin().resolve(CacheDirectory(str(root), lock_timeout=0.6), HANDLE)
    assert time.monotonic() - began >= 0.6
    assert "lock_timeout" in str(caught.value.hint)
    holder.kill()
    holder.communicate()
    Origin().resolve(CacheDirectory(str(root), lock_timeout=0.6), HANDLE)
    assert leftovers(root) == []


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_lock_dies_with_its_holder(end: signal.Signals, cache: CacheDirectory, root: Path) -> None:
    holder = _start_filling(root)
    origin = Origin()
    waiter = threading.Thread(target=origin.resolve, args=(cache, HANDLE))
    waiter.start()
    time.sleep(0.3)
    assert origin.calls == 0
    holder.send_signal(end)
    _join(waiter)
    holder.communicate()
    assert origin.calls == 1
    assert find_wrong(entry_of(root, HANDLE), HANDLE) is None
    assert leftovers(root) == []


def test_a_child_that_outlives_a_killed_holder_does_not_keep_what_it_left(cache: CacheDirectory, root: Path) -> None:
    def fork_a_sleeper_and_die(step: int) -> None:
        if step == 2:
            if os.fork() == 0:
                time.sleep(20)
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)

    pid = os.fork()
    if pid == 0:
        try:
            Origin(during=fork_a_sleeper_and_die).resolve(cache, HANDLE)
        finally:
            os._exit(1)
    os.waitpid(pid, 0)
    assert any(root.glob("*.filling"))
    origin = Origin()
    origin.resolve(cache, HANDLE)
    assert leftovers(root) == []


def test_the_next_waiter_tries_when_the_holder_fails(cache: CacheDirectory, root: Path) -> None:
    go = threading.Event()

    def fail(step: int) -> None:
        go.wait(LIMIT)
        raise FetchError("500")

    failing, working = Origin(during=fail), Origin()
    errors = []

    def first() -> None:
        try:
            failing.resolve(cache, HANDLE)
        except FetchError as error:
            errors.append(error)

    threads = [threading.Thread(target=first)]
    threads[0].start()
    _wait_until(lambda: failing.calls == 1)
    threads.append(threading.Thread(target=working.resolve, args=(cache, HANDLE)))
    threads[1].start()
    time.sleep(0.2)
    assert working.calls == 0
    go.set()
    for thread in threads:
        thread.join()
    assert len(errors) == 1
    assert working.calls == 1
    assert find_wrong(entry_of(root, HANDLE), HANDLE) is None


def _link(path: Path) -> None:
    path.symlink_to(path.parent.parent.parent / "victim")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.mkdir()


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [_link, _pipe, _directory, _dangling])
def test_an_odd_lock_file_is_left_alone_and_not_needed(
    make: Callable[[Path], None], cache: CacheDirectory, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    locks = root / ".hubplug-locks"
    locks.mkdir(parents=True)
    make(locks / entry_of(root, HANDLE).name)
    assert find_wrong(Origin().resolve(cache, HANDLE).path, HANDLE) is None
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert not (locks / "nowhere").exists()


def test_an_odd_directory_of_locks_is_left_alone_and_not_needed(
    cache: CacheDirectory, root: Path, tmp_path: Path
) -> None:
    root.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (root / ".hubplug-locks").symlink_to(tmp_path / "elsewhere")
    assert find_wrong(Origin().resolve(cache, HANDLE).path, HANDLE) is None
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_lock_of_somebody_else_is_not_needed(commons: Path) -> None:
    root = commons / "modules"
    locks = root / ".hubplug-locks"
    locks.mkdir(parents=True)
    (locks / entry_of(root, HANDLE).name).touch(0o600)
    root.chmod(0o777)
    cache = CacheDirectory(str(root))
    assert "Local" in as_user(12345, lambda: Origin().resolve(cache, HANDLE))
    assert find_wrong(entry_of(root, HANDLE), HANDLE) is None


def _without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system whose flock says yes to everybody."""
    import fcntl

    monkeypatch.setattr(fcntl, "flock", lambda descriptor, operation: None)


def test_without_working_locks_the_first_to_publish_wins_and_all_are_right(
    cache: CacheDirectory, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_locks(monkeypatch)
    all_at_it = threading.Barrier(8, timeout=LIMIT)
    origin = Origin(during=lambda step: all_at_it.wait() and None if step in (1, len(NAMES)) else None)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(origin.resolve(CacheDirectory(str(root)), HANDLE)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert origin.calls == 8
    assert find_wrong(entry_of(root, HANDLE), HANDLE) is None
    assert leftovers(root) == []


def test_without_working_locks_nobody_sweeps_what_a_living_process_fills(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = _start_filling(root)
    _without_locks(monkeypatch)
    origin = Origin()
    origin.resolve(CacheDirectory(str(root)), HANDLE)
    assert origin.calls == 1
    result = _result(holder)
    assert result["wrong"] is None
    assert leftovers(root) == []
