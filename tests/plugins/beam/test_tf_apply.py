"""``hubplug apply``, as people type it: checked before it starts, killed in the middle, resumed, the same with any number of workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubplug.testing import archive_of
from tests.left_over import left_over
from tests.servers import Reply, ScriptedServer

SECONDS = 120
FILES = 24
ROWS = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("apply")
    (folder / "in").mkdir()
    for number in range(FILES):
        lines = [f"a sentence about strings and lists, number {number} {row}" for row in range(ROWS)]
        (folder / "in" / f"{number:02}.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def server(text_module: Path) -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        server.on("/text/1", Reply(body=archive_of(text_module)))
        yield server


def command(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hubplug", "apply", *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=SECONDS)
    return process.returncode, said


def run(*arguments: object, cwd: Path) -> tuple[int, str]:
    return end_of(command(*arguments, cwd=cwd))


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.jsonl")}


def wait_for_shards(process: subprocess.Popen[str], folder: Path, count: int) -> None:
    until = time.monotonic() + SECONDS
    while len(list(folder.glob("*.jsonl"))) < count and time.monotonic() < until and process.poll() is None:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()


def child_of(process: subprocess.Popen[str], program: str) -> int:
    """A descendant of a process that runs a program."""
    found: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        found.setdefault(parent, []).append(int(path.parent.name))
    waiting, last = [process.pid], 0
    while waiting:
        for child in found.get(waiting.pop(), []):
            waiting.append(child)
            if program.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                last = child
    return last


@pytest.fixture(scope="module")
def undisturbed(folder: Path, server: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process writes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFHUB_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        arguments = (server.url("/text/1"), "--input", "in/*.txt", "--output", "one/*.jsonl", "--batch-size", 4)
        status, said = run(*arguments, cwd=folder)
    assert status == 0, said
    assert f"{FILES * ROWS:,} rows in {FILES} shards" in said
    assert "rows/s" in said
    written = shards(folder / "one")
    assert len(written) == FILES
    return written


def test_two_workers_write_the_same_and_download_the_module_once(
    folder: Path, server: ScriptedServer, undisturbed: dict[str, bytes]
) -> None:
    before = len(server.requests)
    arguments = (server.url("/text/1"), "--input", "in/*.txt", "--output", "two/*.jsonl", "--batch-size", 4)
    status, said = run(*arguments, "--workers", 2, cwd=folder)
    assert status == 0, said
    assert shards(folder / "two") == undisturbed
    assert len(server.requests) == before + 1


def test_a_job_that_was_killed_in_every_way_and_resumed_is_the_same(
    folder: Path, server: ScriptedServer, undisturbed: dict[str, bytes]
) -> None:
    arguments = (server.url("/text/1"), "--input", "in/*.txt", "--output", "killed/*.jsonl", "--batch-size", 4)
    place = folder / "killed"

    process = command(*arguments, "--workers", 2, cwd=folder)
    wait_for_shards(process, place, 1)
    os.kill(child_of(process, "sdk_worker_main"), signal.SIGKILL)
    status, said = end_of(process)
    assert status == 2
    assert "error: A worker process ended" in said
    assert "--resume" in said

    status, said = run(*arguments, cwd=folder)
    assert status == 2
    assert "There is output already" in said

    process = command(*arguments, "--resume", cwd=folder)
    wait_for_shards(process, place, len(shards(place)) + 1)
    process.send_signal(signal.SIGKILL)
    end_of(process)
    left_over(place / "half.jsonl")  # as that run may leave one

    process = command(*arguments, "--resume", cwd=folder)
    wait_for_shards(process, place, len(shards(place)) + 1)
    process.send_signal(signal.SIGINT)
    assert end_of(process)[0] == 130
    assert [path.name for path in place.iterdir() if path.name.startswith(".")] == []

    there = {path.name: path.stat().st_mtime_ns for path in place.glob("*.jsonl")}
    assert 0 < len(there) < FILES
    assert {name: data for name, data in undisturbed.items() if name in there} == shards(place)
    status, said = run(*arguments, "--resume", "--workers", 2, cwd=folder)
    assert status == 0, said
    assert f"{len(there)} of {FILES} shards are there already" in said
    assert shards(place) == undisturbed
    assert {name: (place / name).stat().st_mtime_ns for name in there} == there
    assert sorted(path.name for path in place.iterdir()) == sorted([*undisturbed, "job.json"])

    status, said = run(*arguments, "--resume", "--padding", "full", cwd=folder)
    assert status == 2
    assert "is of another job: padding was 'none' and is 'full'" in said

    for damaged in ('{"version": 1, "han', "[]", "[" * 100_000, "\udcff"):
        (place / "job.json").write_text(damaged, errors="surrogateescape")
        status, said = run(*arguments, "--resume", cwd=folder)
        assert status == 2
        assert "job.json is damaged" in said
        assert "Traceback" not in said
        assert shards(place) == undisturbed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--column", "default=body"], "the column 'body', which the files do not have"),
        (["--signature", "sentences"], "There is no signature 'sentences'"),
        (["--output", "out/x.jsonl"], "has no '*'"),
        (["--output", "out/*.csv"], "more than one value in a row"),
        (["--input", "no/*.txt"], "No file matches"),
        (["--workers", "2", "--", "--runner=DataflowRunner"], "--workers is for this machine"),
        (["in/01.txt"], "'in/01.txt' is not an option of Beam"),
    ],
)
def test_what_cannot_be_is_said_before_anything_starts(
    arguments: list[str], said: str, folder: Path, text_module: Path
) -> None:
    usual = [text_module, "--input", "in/*.txt", "--output", "out/*.jsonl"]
    status, printed = run(*usual, *arguments, cwd=folder)
    assert status == 2
    assert said in printed
    assert "hint: " in printed
    assert not (folder / "out").exists()
