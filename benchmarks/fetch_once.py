"""One measurement of the workload "fetching" with one library, in a process of its own; ``fetching.py`` starts these.

Prints a JSON object of figures: times in seconds, memory in bytes. The handles are the arguments; where the cache is,
``TFHUB_CACHE_DIR`` says.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_AGAIN = 200
_CHUNK = 1 << 20
_FEED = 1 << 18


def measure_again(hub: Any, handle: str) -> dict[str, Any]:
    """Resolves a handle that this process has resolved before."""
    hub.resolve(handle)
    return {"again": statistics.median(timed(lambda: hub.resolve(handle)) for _ in range(_AGAIN)), "n": _AGAIN}


def measure_download(hub: Any, small: str, large: str) -> dict[str, Any]:
    """Resolves a small module, so that all is imported and allocated, then a large one."""
    hub.resolve(small)
    idle = memory("VmRSS")
    # Forget the peak so far: importing may have needed more than what is idle now.
    Path("/proc/self/clear_refs").write_text("5")
    began = time.process_time()
    seconds = timed(lambda: hub.resolve(large))
    return {"download": seconds, "processor": time.process_time() - began, "above_idle": memory("VmHWM") - idle}


def measure_member(hub: Any, small: str, handle: str) -> dict[str, Any]:
    """Waits for a line on standard input, then resolves as one of several processes."""
    hub.resolve(small)
    print("ready", flush=True)
    sys.stdin.readline()
    path = hub.resolve(handle)
    returned = time.time()
    # The rename that published the entry was the last change of its directory.
    return {"returned": returned, "published": os.stat(path).st_ctime}


def measure_inflate(hub: None, archive: str) -> dict[str, Any]:
    """Decompresses an archive with the fastest library at hand, to nowhere."""
    from isal import igzip_lib

    def inflate() -> None:
        stream = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)
        with open(archive, "rb") as file:
            while data := file.read(_FEED):
                while True:
                    stream.decompress(data, _CHUNK)
                    data = b""
                    if stream.needs_input or stream.eof:
                        break
        assert stream.eof

    return {"inflate": timed(inflate)}


def measure_hash(hub: None, megabytes: str) -> dict[str, Any]:
    """Hashes as many bytes as the files have."""
    chunk = os.urandom(_CHUNK)

    def digest() -> None:
        sha256 = hashlib.sha256()
        for _ in range(int(megabytes) * 10**6 // _CHUNK):
            sha256.update(chunk)

    return {"hash": timed(digest)}


def measure_write(hub: None, megabytes: str, path: str) -> dict[str, Any]:
    """Writes as many bytes as the files have, and waits until they are on the disk."""
    chunk = os.urandom(_CHUNK)

    def write() -> None:
        with open(path, "wb", buffering=0) as file:
            for _ in range(int(megabytes) * 10**6 // _CHUNK):
                file.write(chunk)
            os.fsync(file.fileno())

    seconds = timed(write)
    os.unlink(path)
    return {"write": seconds}


def timed(function: Callable[[], Any]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def memory(field: str) -> int:
    """``VmRSS`` or ``VmHWM`` of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{field}:"))) * 1024


def main() -> None:
    measurement, library, *arguments = sys.argv[1:]
    hub = importlib.import_module(library) if library != "none" else None
    json.dump(globals()[f"measure_{measurement}"](hub, *arguments), sys.stdout)
    print()


if __name__ == "__main__":
    main()
