"""Child processes: what they get, that each end of one is said, and that nothing of them stays."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hubplug.processes.children import run_child

ECHO = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])"
# Starts a process, says the numbers of both in the file it is given, and listens to nobody, nor does what it started.
DEAF = """
import os, pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
part = pathlib.Path(sys.stdin.read())
part.with_suffix(".part").write_text(f"{os.getpid()} {inner.pid}")
part.with_suffix(".part").rename(part)
time.sleep(600)
"""


def test_a_job_goes_in_and_an_answer_comes_out() -> None:
    job = bytes(range(256)) * 10_000
    assert run_child(ECHO, job, 60) == (None, job[::-1])


def test_a_child_gets_no_secrets_of_its_parents_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "secret")
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "1")
    problem, said = run_child("import os; print(*os.environ)", b"", 60, ("TF_",))
    assert problem is None
    assert b"TF_NUM_INTEROP_THREADS" in said
    assert b"SOME_TOKEN" not in said


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os; os.abort()", "the process was ended by SIGABRT (no message)"),
        ("import os; os.kill(os.getpid(), 63)", "the process was ended by signal 63 (no message)"),
        ("raise SystemExit('the last line')", "the process ended with status 1 (the last line)"),
        ("import sys; sys.stderr.write('x' * 10_000_000 + 'last'); sys.exit(3)", "ended with status 3 (xxx"),
    ],
)
def test_whatever_happens_to_a_child_is_said(program: str, said: str) -> None:
    problem, answer = run_child(program, b"x" * 1_000_000, 60)
    assert answer == b""
    assert said in (problem or "")


def test_no_process_at_all_is_said_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    assert run_child(ECHO, b"", 60) == ("no process could be started: No such file or directory", b"")


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the processes of Linux")
@pytest.mark.parametrize("is_given_up", [False, True])
def test_a_child_that_takes_too_long_or_is_given_up_ends_with_what_it_started(
    tmp_path: Path, is_given_up: bool
) -> None:
    ready = tmp_path / "ready"
    given_up = threading.Event()
    ends: list[tuple[str | None, bytes]] = []
    arguments = (600, (), given_up) if is_given_up else (5,)
    running = threading.Thread(target=lambda: ends.append(run_child(DEAF, bytes(ready), *arguments)))
    running.start()
    wait_for(ready.exists)
    if is_given_up:
        given_up.set()
    running.join(60)
    assert ends == [("it was given up" if is_given_up else "it took more than 5 s", b"")]
    wait_for_the_end_of(ready)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the processes of Linux")
def test_ctrl_c_ends_the_child_and_what_it_started_at_once(tmp_path: Path) -> None:
    """Also where they do not listen to it: TensorFlow does not while a graph runs."""
    ready = tmp_path / "ready"
    program = f"from hubplug.processes.children import run_child; run_child({DEAF!r}, {bytes(ready)!r}, 600)"
    parent = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
    wait_for(ready.exists)
    parent.send_signal(signal.SIGINT)
    _, said = parent.communicate(timeout=60)
    assert b"KeyboardInterrupt" in said
    wait_for_the_end_of(ready)


def test_limits_only_get_lower() -> None:
    program = """
import resource
from hubplug.processes.limits import limit
limit({"RLIMIT_NOFILE": 100, "RLIMIT_NONE": 1})
limit({"RLIMIT_NOFILE": 200})
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], resource.getrlimit(resource.RLIMIT_CORE)[0])
"""
    assert run_child(program, b"", 60) == (None, b"100 0\n")


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within a minute")


def wait_for_the_end_of(ready: Path) -> None:
    for pid in map(int, ready.read_text().split()):
        wait_for(lambda pid=pid: not is_running(pid))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
