"""Workload "fetching": what it costs to resolve a handle, cached and not, in one process and in eight.

Everything is measured through processes of its own, taking turns: what is compared runs within seconds of each other.
``run.py`` runs this beside the graph side; alone::

    python benchmarks/fetching.py --megabytes 500
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from loopback import write_archive

OURS, THEIRS = "hubplug", "tensorflow_hub"
PROCESSES = 8
_SMALL_FILES = 6  # with a module's own four, an entry of ten
_HERE = Path(__file__).parent

Figures = dict[str, dict[str, Any]]


def run_all(megabytes: int, repeats: int, libraries: Sequence[str]) -> dict[str, Figures]:
    """Figures by measurement, then by library (or by what they are compared with)."""
    with tempfile.TemporaryDirectory(prefix="fetching-") as directory:
        work = Path(directory)
        write_archive(work / "small.tar.gz", 0, _SMALL_FILES)
        write_archive(work / "large.tar.gz", megabytes)
        with serve(work) as base:
            return {
                "start": measure_start(work, base, repeats, libraries),
                "again": measure_again(work, base, libraries),
                "download": measure_download(work, base, megabytes, repeats, libraries),
                "herd": measure_herd(work, base, libraries),
            }


@contextmanager
def serve(directory: Path) -> Iterator[str]:
    """The URL of a server for a directory, in a process of its own."""
    command = [sys.executable, str(_HERE / "loopback.py"), str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.communicate()


def measure_start(work: Path, base: str, repeats: int, libraries: Sequence[str]) -> Figures:
    """Processes that resolve a cached handle, or print their help, from their start to their end."""
    handle = f"{base}/small.tar.gz"
    cache = work / "cache"
    programs: dict[str, list[str]] = {"import requests": [sys.executable, "-c", "import requests"]}
    for library in libraries:
        programs[library] = [sys.executable, "-c", f"import {library}; {library}.resolve({handle!r})"]
        finish(programs[library], cache)  # fills the cache, and writes the bytecode
    script = Path(sysconfig.get_path("scripts")) / OURS
    programs["hubplug --help"] = [str(script), "--help"]
    programs["hubplug resolve"] = [str(script), "resolve", handle]
    figures: Figures = {name: {"n": 0} for name in programs}
    for _ in range(max(5 * repeats, 5)):
        for name, command in programs.items():
            seconds, processor = spent(command, cache)
            found = figures[name]
            found["n"] += 1
            found["start"] = min(seconds, found.get("start", seconds))
            found["processor"] = min(processor, found.get("processor", processor))
    return figures


def measure_again(work: Path, base: str, libraries: Sequence[str]) -> Figures:
    """A handle that the process has resolved before: an entry of ten files."""
    handle = f"{base}/small.tar.gz"
    return {library: once("again", library, work / "cache", handle) for library in libraries}


def measure_download(work: Path, base: str, megabytes: int, repeats: int, libraries: Sequence[str]) -> Figures:
    """Download and unpacking of large weights, and each stage of it alone."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for repeat in range(repeats):
        for library in libraries:
            cache = work / f"download-{library}-{repeat}"
            small, large = f"{base}/small.tar.gz", f"{base}/large.tar.gz"
            runs.setdefault(library, []).append(once("download", library, cache, small, large))
            remove(cache)
        stages = [
            once("inflate", "none", work, str(work / "large.tar.gz")),
            once("hash", "none", work, str(megabytes)),
            once("write", "none", work, str(megabytes), str(work / "written")),
        ]
        runs.setdefault("stages", []).append({name: value for stage in stages for name, value in stage.items()})
    figures = {name: {figure: min(run[figure] for run in found) for figure in found[0]} for name, found in runs.items()}
    figures["stages"]["slowest"] = max(figures["stages"].values())
    for found in figures.values():
        found["n"] = repeats
    return figures


def measure_herd(work: Path, base: str, libraries: Sequence[str]) -> Figures:
    """Eight processes that want one handle at once, from a server that takes a second to answer."""
    figures: Figures = {}
    for library in libraries:
        name = f"{library}.tar.gz"
        (work / name).write_bytes((work / "small.tar.gz").read_bytes())
        cache = work / f"herd-{library}"
        once("again", library, cache, f"{base}/small.tar.gz")
        command = child("member", library, f"{base}/small.tar.gz", f"{base}/late/{name}")
        members = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(cache))
            for _ in range(PROCESSES)
        ]
        for member in members:
            assert member.stdout is not None
            assert member.stdout.readline() == "ready\n"
        for member in members:
            assert member.stdin is not None
            member.stdin.write("go\n")
            member.stdin.flush()
        found = [json.loads(member.communicate()[0]) for member in members]
        with urlopen(f"{base}/asked/{name}") as answer:
            downloads = int(answer.read())
        longest = max(member["returned"] - member["published"] for member in found)
        figures[library] = {"downloads": downloads, "longest_wait": longest, "processes": PROCESSES, "n": 1}
        remove(cache)
    return figures


def once(measurement: str, library: str, cache: Path, *arguments: str) -> dict[str, Any]:
    """What ``fetch_once.py`` prints."""
    figures: dict[str, Any] = json.loads(finish(child(measurement, library, *arguments), cache).splitlines()[-1])
    return figures


def child(measurement: str, library: str, *arguments: str) -> list[str]:
    return [sys.executable, str(_HERE / "fetch_once.py"), measurement, library, *arguments]


def finish(command: Sequence[str], cache: Path) -> str:
    """Standard output of a program that has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(cache))
    if done.returncode:
        sys.exit(f"error: {' '.join(command)} failed\n{done.stderr}")
    return done.stdout


def spent(command: Sequence[str], cache: Path) -> tuple[float, float]:
    """Seconds from the start of a process to its end, and of processor time."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(cache))
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"error: {' '.join(command)} ended with {process.returncode}")
    return seconds, usage.ru_utime + usage.ru_stime


def environment(cache: Path) -> Mapping[str, str]:
    # An installed program has its bytecode, whatever this shell says.
    unwanted = ("TFHUB_", "HUBPLUG_", "PYTHONDONTWRITEBYTECODE")
    settings = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**settings, "TFHUB_CACHE_DIR": str(cache), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def remove(directory: Path) -> None:
    import shutil

    shutil.rmtree(directory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=500, help="size of the weights that are downloaded")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--libraries", nargs="+", default=[OURS], choices=[OURS, THEIRS])
    options = parser.parse_args()
    json.dump(run_all(options.megabytes, options.repeats, options.libraries), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
