"""What `hubplug serve` takes for a tree of a thousand modules, and for many clients at once.

``python benchmarks/serving.py [--modules 1000] [--clients 64] [--mebibytes 64]`` needs ``hubplug[serve]`` and no TensorFlow.
It prints one line for each figure; the server is a process of its own on the loopback interface.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hubplug_format import ModuleBuilder, Type, write_module
from hubplug_hosting import pack_module

COMPRESSED = "?tf-hub-format=compressed"


def main() -> None:
    """Measures, and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modules", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--mebibytes", type=int, default=64, help="of the archive that all clients get at once")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = make_tree(Path(folder), asked.modules, asked.mebibytes)
        with served(root) as (address, pid):
            measure_pages(address, pid, asked.modules)
            measure_downloads(address, pid, root, asked.clients)


def make_tree(folder: Path, modules: int, mebibytes: int) -> Path:
    """A tree of small modules, half of them directories, and one large archive of no module at all."""
    root = folder / "tree"
    for number in range(modules):
        place = root / f"publisher{number % 10}/model{number // 20}/{number // 10 % 2 + 1}"
        place.parent.mkdir(parents=True, exist_ok=True)
        builder = ModuleBuilder()
        x = builder.placeholder("x", "float32", [None, 2])
        w = builder.variable("w", [[float(number), 0.0], [0.0, 1.0]])
        y = builder.node("MatMul", [x, w], {"T": Type("float32")}, shape=[None, 2])
        builder.signature(inputs={"x": x}, outputs={"default": y})
        if number % 2:
            write_module(place, builder)
        else:
            write_module(folder / str(number), builder)
            pack_module(folder / str(number), place.with_name(f"{place.name}.tar.gz"))
    (root / "large").mkdir()
    with (root / "large/1.tar.gz").open("wb") as file:
        for _ in range(mebibytes):
            file.write(os.urandom(1 << 20))
    return root


@contextlib.contextmanager
def served(root: Path) -> Iterator[tuple[str, int]]:
    """Runs the server; yields its address and its process."""
    command = [sys.executable, "-m", "hubplug", "serve", str(root), "--grace", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            match = re.search(r"http://([^/]*)/", process.stdout.readline())
            assert match, "the server did not start"
            yield match[1], process.pid
        finally:
            process.terminate()


def get(address: str, path: str) -> tuple[float, bytes]:
    """Seconds and body of one request."""
    connection = http.client.HTTPConnection(address, timeout=300)
    started = time.perf_counter()
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    seconds = time.perf_counter() - started
    connection.close()
    assert response.status in (200, 202), (path, response.status)
    return seconds, body


def measure_pages(address: str, pid: int, modules: int) -> None:
    """The list of all modules, and pages for the first time and later."""
    get(address, "/healthz")
    before = processor(pid)
    times = [get(address, "/")[0] for _ in range(11)]
    say(f"list of {modules:,} modules, processor time", (processor(pid) - before) / 11)
    say(f"list of {modules:,} modules, first", times[0])
    say(f"list of {modules:,} modules, median of 10", statistics.median(times[1:]))
    found = re.findall(r'href="(/publisher[^"]*/\d)"', get(address, "/")[1].decode())
    chosen = found[:: max(1, len(found) // 20)][:20]
    firsts = [get(address, path)[0] for path in chosen]
    say(f"page of a module, first, median of {len(chosen)}", statistics.median(firsts))
    for path in chosen:  # until nothing is looked at any more
        while b"being checked" in get(address, path)[1]:
            time.sleep(0.2)
    before = processor(pid)
    later = [get(address, path)[0] for path in chosen for _ in range(5)]
    say("page of a module, later, processor time", (processor(pid) - before) / len(later))
    say("page of a module, later, median", statistics.median(later))
    say("page of a module, later, longest", max(later))


def measure_downloads(address: str, pid: int, root: Path, clients: int) -> None:
    """Many clients that take one archive at once, alone and beside as many that take nothing."""
    archive = root / "large/1.tar.gz"
    expected, size = hashlib.sha256(archive.read_bytes()).hexdigest(), archive.stat().st_size
    get(address, "/large/1" + COMPRESSED)
    before, peak, stop = memory(pid), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.02):
            peak = max(peak, memory(pid))

    def take(_: int) -> bool:
        connection = http.client.HTTPConnection(address, timeout=600)
        connection.request("GET", "/large/1" + COMPRESSED)
        response, digest = connection.getresponse(), hashlib.sha256()
        while piece := response.read(1 << 18):
            digest.update(piece)
        connection.close()
        return digest.hexdigest() == expected

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        right = sum(pool.map(take, range(clients)))
    seconds = time.perf_counter() - started
    stop.set()
    watcher.join()
    print(f"{clients} clients at once: {right} of {clients} archives right")
    say(f"{clients} clients of {size >> 20} MiB each", seconds)
    print(f"{'bytes a second, all together':55} {clients * size / seconds / 1e6:8.0f} MB/s")
    print(f"{'memory of the server before, and at most':55} {before / 1e6:8.0f} MB {peak / 1e6:8.0f} MB")
    host, port = address.split(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(200)]
    for number, connection in enumerate(silent):
        request = f"GET /large/1{COMPRESSED} HTTP/1.1\r\nHost: x\r\n" + ("\r\n" if number % 2 else "")
        connection.sendall(request.encode())
    times = [get(address, "/publisher1/model0")[0] for _ in range(20)]
    say("page beside 100 who take nothing and 100 half requests", statistics.median(times))
    for connection in silent:
        connection.close()


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(match[1]) << 10 if match else 0


def processor(pid: int) -> float:
    """Seconds of processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def say(what: str, seconds: float) -> None:
    """Prints one figure."""
    print(f"{what:55} {seconds * 1000:8.1f} ms")


if __name__ == "__main__":
    main()
