"""A job on a runner of Beam, seen from the command: who watches, who ends it, and what it says when it failed.

The pipeline runs in a child process that leads a group of its own, so that Ctrl-C, a worker that was killed and the end of this
process, however it comes, each end all of it; what was unfinished is deleted.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hubplug.errors import ConfigError, HubplugError, needs
from hubplug.files.unfinished import delete_abandoned
from hubplug.shown.progress import Progress
from hubplug.urls import scheme_of
from hubplug_beam import _watched
from hubplug_beam._jobs import Job

_SECONDS_BETWEEN_LOOKS = 0.25
_SECONDS_TO_END = 10.0
_GROUPS = os.name == "posix"


@dataclass(frozen=True)
class Assignment:
    """What the child process is told.

    Attributes:
        job: What is to be done.
        arguments: Options of Beam.
        workers: Processes on this machine, where the options name no runner.
        threads: How many threads TensorFlow may use in each.
        watched: A local file in which workers on this machine say how far they are; None: they are elsewhere.
        answer: A local file for the result.
    """

    job: Job
    arguments: Sequence[str]
    workers: int
    threads: int
    watched: str | None
    answer: str


@dataclass(frozen=True)
class Answer:
    """What the child process says at its end.

    Attributes:
        rows: Rows that were written.
        failed: Rows that were not.
        error: What stopped the job, or None.
        hint: What to do then.
    """

    rows: int = 0
    failed: int = 0
    error: str | None = None
    hint: str | None = None

    def write(self, path: str) -> None:
        Path(path).write_text(json.dumps(asdict(self)), encoding="utf-8")


@dataclass(frozen=True)
class Done:
    """What a run did.

    Attributes:
        rows: Rows that were written.
        failed: Rows that were not.
        seconds: How long it took.
        waited: How much of that was over when the first worker was ready.
    """

    rows: int
    failed: int
    seconds: float
    waited: float


def names_runner(arguments: Sequence[str]) -> bool:
    """Whether options of Beam say where to run."""
    return any(argument.partition("=")[0] == "--runner" for argument in arguments)


def check_options(arguments: Sequence[str], workers: int) -> None:
    """
    Raises:
        MissingDependencyError: Beam is not installed.
        ConfigError: The options cannot be.
    """
    with needs("apache_beam", "beam"):
        if find_spec("apache_beam") is None:  # importing it takes seconds, and the child does
            raise ModuleNotFoundError(name="apache_beam")
    if names_runner(arguments) and workers != 1:
        raise ConfigError(
            "--workers is for this machine, and --runner names a runner", hint="give the runner its own option"
        )
    if arguments and not arguments[0].startswith("--"):
        raise ConfigError(
            f"{arguments[0]!r} is not an option of Beam", hint="quote patterns; write --name=value after --"
        )


def run(
    job: Job, arguments: Sequence[str], workers: int, threads: int, tell: Callable[[str], None], show_log: bool = False
) -> Done:
    """Runs a job to its end.

    Args:
        job: What is to be done.
        arguments: Options of Beam.
        workers: Processes on this machine, where the options name no runner.
        threads: How many threads TensorFlow may use in each.
        tell: Who gets lines about the progress where there is no terminal.
        show_log: Whether what Beam and TensorFlow log is to be seen.

    Raises:
        HubplugError: It failed; shards that are finished stay.
        KeyboardInterrupt: As it was asked; nothing unfinished stays.
    """
    local = not names_runner(arguments)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hubplug-", ignore_cleanup_errors=True) as folder:
        watched = os.path.join(folder, "watched") if local else None
        answer = os.path.join(folder, "answer")
        watch = _Watch(watched, job, tell)
        # A runner elsewhere says where its job can be seen.
        log = None if show_log or not local else os.path.join(folder, "log")
        try:
            with _child(Assignment(job, tuple(arguments), workers, threads, watched, answer), log) as child:
                while child.poll() is None:
                    watch.look()
                    time.sleep(_SECONDS_BETWEEN_LOOKS)
            watch.look()
        finally:
            watch.close()
            _tidy(job.output)
        said = _read(answer, child.returncode)
        if said.error is not None:
            raise HubplugError(said.error, hint=said.hint)
        rows, failed = (watch.rows, watch.failed) if local else (said.rows, said.failed)
        waited = watch.ready - started if watch.ready else 0.0
        return Done(rows, failed, time.monotonic() - started, waited)


class _Watch:
    """Reads what workers write about their batches, and shows it; how many rows there are is guessed from the bytes."""

    def __init__(self, path: str | None, job: Job, tell: Callable[[str], None]) -> None:
        self._path = path
        self._total_bytes = sum(part.size for part in job.missing)
        self._tell = tell
        self._progress: Progress | None = None
        self._offset = self._bytes = self.rows = self.failed = 0
        self.ready: float | None = None

    def look(self) -> None:
        """Reads what is new."""
        if self._path is None:
            return
        batches, self._offset = _watched.read(self._path, self._offset)
        new = 0
        for rows, failed, size in batches:
            new += rows + failed
            self.rows += rows
            self.failed += failed
            self._bytes += size
        if batches and self._progress is None:
            self._progress = Progress("apply", unit="rows", tell=self._tell)
            self.ready = time.monotonic()
        if new and self._progress is not None:
            done = self.rows + self.failed
            self._progress.expect(max(done, round(done * self._total_bytes / max(self._bytes, 1))))
            self._progress.advance(new)

    def close(self) -> None:
        """Ends the bar."""
        if self._progress is not None:
            self._progress.close()


@contextmanager
def _child(assignment: Assignment, log: str | None) -> Iterator[subprocess.Popen[bytes]]:
    """Starts the child process; at the end of the block, nothing of its group runs any more."""
    with open(log or os.devnull, "wb") as file:
        stderr = file.fileno() if log else sys.stderr.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "hubplug_beam._child"],
            stdin=subprocess.PIPE,
            stdout=stderr,
            stderr=stderr,
            start_new_session=_GROUPS,
        )
    try:
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            # It stays open: when it is closed, the child knows that this process has ended.
            process.stdin.write(pickle.dumps(assignment))
            process.stdin.flush()
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[Any]) -> None:
    if _GROUPS:
        until = time.monotonic() + _SECONDS_TO_END
        with suppress(ProcessLookupError, PermissionError):
            while time.monotonic() < until:
                os.killpg(process.pid, signal.SIGKILL)
                process.poll()
                time.sleep(0.02)
    else:
        process.kill()
    process.wait()


def _tidy(output: str) -> None:
    """Deletes what workers that were ended left unfinished."""
    if not scheme_of(output):
        with suppress(OSError):
            delete_abandoned(Path(output).parent, "partial")


def _read(answer: str, status: int | None) -> Answer:
    try:
        return Answer(**json.loads(Path(answer).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        ended = f"was ended by signal {-status}" if status is not None and status < 0 else f"ended with status {status}"
        return Answer(
            error=f"The process of the pipeline {ended}", hint="go on with --resume; --traceback shows its log"
        )
