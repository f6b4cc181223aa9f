"""A source of modules for tests of the cache, in this process or (``python origin.py``) in one of its own.

What it makes depends on the handle alone, so that everybody can tell whether an entry is right.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hubplug.errors import HubplugError
from hubplug.files.tree import TreeWriter
from hubplug.types import Handle, LocalModule, Plan, Provenance, Source
from hubplug_cache import CacheDirectory

ARCHIVE_SHA256 = "a" * 64
NAMES = (
    "assets/vocab.txt",
    "saved_model.pb",
    "tfhub_module.pb",
    "variables/variables.data-00000-of-00001",
    "variables/variables.index",
)


def source_of(text: str) -> Source:
    handle = Handle.parse(text)
    return Source(handle, handle.text)


def entry_of(root: Path, text: str) -> Path:
    return root / hashlib.sha1(source_of(text).key.encode()).hexdigest()


def content(text: str, name: str, size: int) -> bytes:
    seed = hashlib.sha256(f"{text}\0{name}".encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


class Origin:
    """Fills directories, and writes down in a file that it did."""

    def __init__(
        self,
        counter: Path | None = None,
        size: int = 1000,
        during: Callable[[int], None] = lambda step: None,
        archive_sha256: str = ARCHIVE_SHA256,
    ) -> None:
        self.counter = counter
        self.size = size
        self.during = during
        self.archive_sha256 = archive_sha256
        self.calls = 0

    def producer(self, source: Source) -> Callable[[Path], Provenance]:
        def produce(dest: Path) -> Provenance:
            self.calls += 1
            if self.counter is not None:
                descriptor = os.open(self.counter, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.write(descriptor, b".")
                os.close(descriptor)
            tree = TreeWriter(dest)
            for step, name in enumerate(NAMES):
                self.during(step)
                with tree.open(name) as file:
                    file.write(content(source.key, name, self.size))
            self.during(len(NAMES))
            handle = str(source.handle.original)
            return Provenance(handle, source.key_sha256, handle, self.archive_sha256, '"v1"', tree.finish())

        return produce

    def resolve(self, cache: CacheDirectory, text: str) -> LocalModule:
        source = source_of(text)
        plan = cache.hubplug_cache(source)
        assert isinstance(plan, Plan), plan
        return plan.run(self.producer(source))


def find_wrong(path: Path, text: str, size: int = 1000) -> str | None:
    """What is wrong with an entry, byte by byte; None for a right one."""
    key = source_of(text).key
    for name in NAMES:
        try:
            data = (path / name).read_bytes()
        except OSError as error:
            return f"{name}: {error}"
        if data != content(key, name, size):
            return f"{name}: {len(data)} bytes that are not those of the origin"
    return None


def leftovers(root: Path) -> list[str]:
    """What is in a cache directory besides entries, their notes and empty lock files."""
    entries = {path.name for path in root.iterdir() if len(path.name) == 40 and path.is_dir()}
    expected = {*entries, *(f"{name}.descriptor.txt" for name in entries)}
    found = [path.name for path in root.iterdir() if path.name not in expected and path.name != ".hubplug-locks"]
    locks = root / ".hubplug-locks"
    return sorted(found) + [str(lock) for lock in (locks.iterdir() if locks.is_dir() else ()) if lock.stat().st_size]


def as_user(uid: int, act: Callable[[], object]) -> str:
    """What a function returns, or the error that it raises, in a child process of another user; as text."""
    # That user may not be able to import from where Python is.
    import pwd  # noqa: F401

    from filelock import FileLock  # noqa: F401

    import hubplug_cache._filling  # noqa: F401

    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            result = str(act())
        except BaseException as error:
            result = f"{type(error).__name__}: {error}"
        os.write(write_end, result.encode()[:60_000])
        os._exit(0)
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        result = pipe.read().decode()
    os.waitpid(pid, 0)
    return result


def main() -> int:
    # Whatever started the tests may ignore it, as a shell does for what runs in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("handle")
    parser.add_argument("--counter", type=Path)
    parser.add_argument("--size", type=int, default=1000)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds before each file")
    parser.add_argument("--hold-at", type=int, help="wait for the end of standard input before this file; -1: at once")
    arguments = parser.parse_args()

    def hold(step: int) -> None:
        if step == arguments.hold_at:
            sys.stdin.read()
        time.sleep(arguments.pause)

    cache = CacheDirectory(str(arguments.root))
    origin = Origin(arguments.counter, arguments.size, hold)
    import filelock  # noqa: F401  the imports are not what is to be compared

    print("ready", flush=True)
    hold(-1)
    try:
        module = origin.resolve(cache, arguments.handle)
    except HubplugError as error:
        print(json.dumps({"error": type(error).__name__, "message": str(error)}))
        return 2
    wrong = find_wrong(module.path, arguments.handle, arguments.size)
    print(json.dumps({"path": str(module.path), "wrong": wrong, "calls": origin.calls}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
