"""A child that a program forks while other threads use hubplug: it has one thread, and never waits for those of its parent."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hubplug.files.locks import ForkLock
from hubplug.in_effect import current_hub
from hubplug.shown.progress import Progress
from hubplug_cache import CacheDirectory

Install = Callable[..., None]
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
SECONDS = 60


def fork(work: Callable[[], object]) -> int:
    """Does something in a forked child.

    Returns:
        Its exit status: 0, unless the work failed or did not end.
    """
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@contextmanager
def held(lock: ForkLock) -> Iterator[None]:
    """Another thread holds a lock."""
    holds, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            holds.set()
            done.wait(SECONDS)

    thread = threading.Thread(target=hold)
    thread.start()
    holds.wait(SECONDS)
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_lock_that_another_thread_held_is_free() -> None:
    lock = ForkLock()
    with held(lock):
        assert not lock.acquire(blocking=False)
        assert fork(lock.acquire) == 0
        assert not lock.acquire(blocking=False)
    assert lock.acquire(timeout=SECONDS)


def test_a_lock_that_the_forking_thread_holds_stays_held_and_can_be_given_back() -> None:
    lock = ForkLock()

    def work() -> None:
        taken: list[bool] = []
        thread = threading.Thread(target=lambda: taken.append(lock.acquire(blocking=False)))
        thread.start()
        thread.join()
        lock.release()
        assert taken == [False]

    with lock:
        assert fork(work) == 0


def test_the_default_hub_that_another_thread_builds_can_be_used(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(
        "corp-slow",
        {"slow": "corp_slow:Plugin"},
        """
        import os, time, hubplug
        with open(os.environ["CORP_BEGUN"], "w"):  # a pipe: the test goes on when it is opened
            pass
        time.sleep(1)

        class Plugin:
            @hubplug.hookimpl
            def hubplug_auth(self, request): return None
        """,
    )
    (tmp_path / "f.yaml").write_text("version: 1\nchain: [slow]\n")
    monkeypatch.setenv("HUBPLUG_CONFIG", str(tmp_path / "f.yaml"))
    monkeypatch.setenv("CORP_BEGUN", str(tmp_path / "begun"))
    os.mkfifo(tmp_path / "begun")
    thread = threading.Thread(target=current_hub)
    thread.start()
    (tmp_path / "begun").read_text()
    status = fork(current_hub)
    thread.join()
    assert status == 0
    assert fork(current_hub) == 0


def test_the_thread_that_builds_the_default_hub_may_fork(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
        import os, hubplug
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)

        class Plugin:
            @hubplug.hookimpl
            def hubplug_auth(self, request): return None
    """
    install("corp-forks", {"forks": "corp_forks:Plugin"}, code)
    (tmp_path / "f.yaml").write_text("version: 1\nchain: [forks]\n")
    monkeypatch.setenv("HUBPLUG_CONFIG", str(tmp_path / "f.yaml"))
    assert [member.name for member in current_hub().chain.members] == ["forks"]


def test_a_cache_whose_directory_another_thread_chooses_can_be_used(tmp_path: Path) -> None:
    cache = CacheDirectory(str(tmp_path))
    with held(cache._choosing):
        assert fork(cache.root) == 0


def test_a_bar_that_another_thread_draws_can_be_advanced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    bar = Progress("x", 10, force=True)
    bar.advance(1)
    with held(bar._lock):
        assert fork(lambda: bar.advance(1)) == 0
    bar.close()


def test_a_bar_can_be_drawn_where_another_thread_draws_one(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class SlowScreen(io.StringIO):
        def write(self, text: str) -> int:
            if threading.current_thread() is not threading.main_thread():
                begun.set()
                go_on.wait(SECONDS)
            return len(text)

    monkeypatch.setattr(sys, "stderr", SlowScreen())

    def draw() -> None:
        with Progress("x", 10, force=True) as bar:
            bar.advance(10)

    thread = threading.Thread(target=draw)
    thread.start()
    begun.wait(SECONDS)
    pid = os.fork()
    if pid == 0:
        signal.alarm(SECONDS)
        draw()
        os._exit(0)
    go_on.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    draw()
