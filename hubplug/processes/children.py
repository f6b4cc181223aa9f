"""A job goes into a child process, and an answer comes out; or a problem in words, whatever happened to the child."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import IO

# What a process needs to run Python at all; a child gets nothing else of its parent's environment, and no secrets.
_NAMES = ("PATH", "LANG", "SYSTEMROOT", "LD_LIBRARY_PATH")
# Beginnings of names of variables: settings of numeric libraries, of what they are built on, and of accelerators.
NUMERIC_SETTINGS = (
    "HOME",
    "TMPDIR",
    "TEMP",
    "TF_",
    "XLA_",
    "CUDA_",
    "NVIDIA_",
    "OMP_",
    "KMP_",
    "MKL_",
    "LC_",
    "HUBPLUG_IMPORT",
)
_SHOWN = 300
_KEPT = 64 << 10
_PATIENCE = 5
_SLICE = 0.1


def run_child(
    program: str,
    job: bytes,
    timeout: float,
    environment: tuple[str, ...] = (),
    cancelled: threading.Event | None = None,
) -> tuple[str | None, bytes]:
    """Runs a Python program in a process group of its own, and ends all of that group when it is over.

    Args:
        program: Reads the job from standard input, and writes its answer to standard output.
        job: Its input.
        timeout: Seconds after which it is killed.
        environment: Beginnings of the names of further variables that it gets.
        cancelled: Kills it when set.

    Returns:
        A problem in words, or None; and the answer.

    Raises:
        KeyboardInterrupt: The user does not want to wait; the child has been killed.
    """
    try:
        process = subprocess.Popen(
            [sys.executable, "-s", "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(environment),
            cwd=os.path.abspath(os.sep),
            start_new_session=True,
        )
    except OSError as error:
        return f"no process could be started: {error.strerror or error}", b""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    answer, complaints = _Kept(process.stdout, None), _Kept(process.stderr, _KEPT)
    giving = threading.Thread(target=_give, args=(process.stdin, job), daemon=True)
    try:
        giving.start()
        # Nothing is waited for but the process, so that Ctrl-C ends it at once.
        if cancelled is None:
            process.wait(timeout)
        elif not _ends(process, timeout, cancelled):
            return "it was given up", b""
    except subprocess.TimeoutExpired:
        return f"it took more than {timeout:g} s", b""
    finally:
        _kill(process)
    said = answer.text()
    if process.returncode:
        last = (complaints.text().decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        return f"the process {_end_in_words(process.returncode)} ({last[:_SHOWN]})", b""
    return None, said


def _ends(process: subprocess.Popen[bytes], timeout: float, cancelled: threading.Event) -> bool:
    """Waits for a process; False when it is not wanted any more."""
    until = time.monotonic() + timeout
    while not cancelled.is_set():
        with suppress(subprocess.TimeoutExpired):
            process.wait(min(_SLICE, max(until - time.monotonic(), 0)))
            return True
        if time.monotonic() >= until:
            raise subprocess.TimeoutExpired(process.args, timeout)
    return False


class _Kept:
    """What a process writes, read all the time, so that it never waits; of the last bytes only, if there is a limit."""

    def __init__(self, stream: IO[bytes], limit: int | None) -> None:
        self._stream = stream
        self._limit = limit
        self._data = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while chunk := self._stream.read1(_KEPT):  # type: ignore[attr-defined]
            self._data += chunk
            if self._limit is not None:
                del self._data[: -self._limit]
        self._stream.close()

    def text(self) -> bytes:
        # What the process started may hold the other end still, and is not waited for.
        self._thread.join(_PATIENCE)
        return bytes(self._data)


def _give(stream: IO[bytes], job: bytes) -> None:
    for step in (lambda: stream.write(job), stream.close):
        try:
            step()
        except OSError:
            continue  # it has ended; its status says why


def _kill(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # no process of the group is left
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait()


def _environment(beginnings: tuple[str, ...]) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name in _NAMES or name.startswith(beginnings)}
    environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    return environment


def _end_in_words(status: int) -> str:
    if status > 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
