"""What is noticed when a file of an entry was written after it was published, and what is not."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hubplug.types import Declined, Plan
from hubplug_cache import CacheDirectory
from hubplug_cache._manifest import parse_manifest
from tests.plugins.cache import origin as origin_module
from tests.plugins.cache.conftest import OTHER
from tests.plugins.cache.origin import (
    ARCHIVE_SHA256,
    NAMES,
    Origin,
    as_user,
    entry_of,
    find_wrong,
    leftovers,
    source_of,
)

HANDLE = "https://example.com/module/1"
LONG_AGO = 1_000_000_000


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"x")


def _replace(path: Path) -> None:
    other = path.with_name(".other")
    other.write_bytes(b"x" * path.stat().st_size)
    other.rename(path)


def _overwrite_with_an_old_time(path: Path) -> None:
    _overwrite(path)
    os.utime(path, (LONG_AGO, LONG_AGO))


CHANGES: list[Callable[[Path], None]] = [_overwrite, _replace, _overwrite_with_an_old_time]


_RESOLVE = """
import json, sys
from hubplug_cache import CacheDirectory
from tests.plugins.cache.origin import Origin
read = []
sys.addaudithook(lambda event, about: read.append(str(about[0])) if event == "open" else None)
origin = Origin()
origin.resolve(CacheDirectory(sys.argv[1]), sys.argv[2])
assert origin.calls == 0
print(json.dumps(read))
"""
_opened: list[str] | None = None


def _watch(event: str, about: tuple[object, ...]) -> None:
    if event == "open" and _opened is not None:
        _opened.append(str(about[0]))


sys.addaudithook(_watch)  # for good: there is no way to take it back


@contextmanager
def _reading() -> Iterator[set[str]]:
    """Which files of an entry are opened in the block."""
    global _opened
    read: set[str] = set()
    _opened = []
    try:
        yield read
    finally:
        read |= _names_in_entry(_opened)
        _opened = None


def _names_in_entry(opened: list[str]) -> set[str]:
    return {name for path in opened for name in (*NAMES, ".hubplug.json") if path.endswith(f"/{name}")}


def _files_read_by_a_process(root: Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _RESOLVE, str(root), HANDLE], capture_output=True, text=True, env=_environment()
    )
    assert done.returncode == 0, done.stderr
    return _names_in_entry(json.loads(done.stdout))


def times(entry: Path) -> dict[str, int]:
    return dict(parse_manifest((entry / ".hubplug.json").read_bytes()).times)


def touch(entry: Path, moment: float = LONG_AGO) -> None:
    for name in NAMES:
        os.utime(entry / name, (moment, moment))


@pytest.mark.parametrize("text", [HANDLE, f"{HANDLE}#sha256={ARCHIVE_SHA256}"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_was_changed_and_kept_its_size_is_damage(
    change: Callable[[Path], None], name: str, text: str, cache: CacheDirectory, root: Path
) -> None:
    origin = Origin()
    module = origin.resolve(cache, text)
    change(module.path / name)
    answer = CacheDirectory(str(root), read_only=True).hubplug_cache(source_of(text))
    assert isinstance(answer, Declined)
    assert f"{name} was changed" in answer.reason
    assert origin.resolve(cache, text).path == module.path
    assert origin.calls == 2
    assert find_wrong(module.path, HANDLE) is None
    assert leftovers(root) == []


def test_the_files_of_an_entry_are_read_only_and_its_directories_are_not(cache: CacheDirectory) -> None:
    before = os.umask(0o027)
    try:
        module = Origin().resolve(cache, HANDLE)
    finally:
        os.umask(before)
    for path in [module.path, *module.path.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o750 if path.is_dir() else 0o440), path


def test_a_program_of_the_same_user_cannot_write_to_an_entry_and_can_remove_it(commons: Path) -> None:
    home = commons / "home"
    home.mkdir()
    os.chown(home, OTHER, OTHER)
    cache = CacheDirectory(str(home / "modules"))

    def write() -> object:
        module = Origin().resolve(cache, HANDLE)
        return (module.path / NAMES[-1]).open("r+b")

    def remove() -> object:
        return shutil.rmtree(entry_of(home / "modules", HANDLE))

    def mend() -> object:
        (entry_of(home / "modules", HANDLE) / NAMES[0]).unlink()
        return find_wrong(Origin().resolve(cache, HANDLE).path, HANDLE)

    assert as_user(OTHER, write).startswith("PermissionError")
    assert as_user(OTHER, mend) == "None"
    assert as_user(OTHER, remove) == "None"
    assert not entry_of(home / "modules", HANDLE).exists()


def test_every_time_is_one_that_a_later_write_cannot_have_and_that_archives_keep(
    cache: CacheDirectory, root: Path
) -> None:
    module = Origin().resolve(cache, HANDLE)
    assert set(times(module.path)) == set(NAMES)
    for name, moment in times(module.path).items():
        assert moment == (module.path / name).stat().st_mtime_ns
        assert moment % 2_000_000_000 == 0
        assert moment <= time.time_ns() - 2_000_000_000
    with tarfile.open(root.parent / "layer.tar", "w", format=tarfile.USTAR_FORMAT) as layer:
        layer.add(root, arcname="modules")
    with tarfile.open(root.parent / "layer.tar") as layer:
        layer.extractall(root.parent / "copy", filter="fully_trusted")
    copy = root.parent / "copy/modules"
    with _reading() as read:
        assert Origin().resolve(CacheDirectory(str(copy)), HANDLE).path == entry_of(copy, HANDLE)
    assert read == {".hubplug.json"}


def test_a_file_with_the_same_bytes_and_another_time_is_hashed_once(cache: CacheDirectory, root: Path) -> None:
    origin = Origin()
    module = origin.resolve(cache, HANDLE)
    published = (module.path / ".hubplug.json").stat()
    touch(module.path)
    for hashed in (True, False):
        # In processes of their own, where nothing is remembered.
        assert _files_read_by_a_process(root) == ({".hubplug.json", *NAMES} if hashed else {".hubplug.json"})
    assert set(times(module.path).values()) == {LONG_AGO * 10**9}
    written = (module.path / ".hubplug.json").stat()
    assert written.st_mode == published.st_mode
    assert origin.resolve(cache, HANDLE).provenance == module.provenance
    assert origin.calls == 1
    assert leftovers(root) == []
    _overwrite(module.path / NAMES[0])
    assert origin.resolve(cache, HANDLE).path == module.path
    assert origin.calls == 2


def test_looking_writes_nothing(cache: CacheDirectory, root: Path) -> None:
    module = Origin().resolve(cache, HANDLE)
    touch(module.path)
    before = (module.path / ".hubplug.json").read_bytes()
    plan = cache.hubplug_cache(source_of(HANDLE))
    assert isinstance(plan, Plan)
    assert plan.hit
    assert (module.path / ".hubplug.json").read_bytes() == before


def test_a_copy_without_times_is_a_hit_and_is_hashed_once(cache: CacheDirectory, root: Path) -> None:
    Origin().resolve(cache, HANDLE)
    copy = root.parent / "copy"
    shutil.copytree(root, copy, copy_function=shutil.copyfile)
    touch(entry_of(copy, HANDLE))
    origin = Origin()
    assert origin.resolve(CacheDirectory(str(copy)), HANDLE).path == entry_of(copy, HANDLE)
    assert origin.calls == 0
    assert _files_read_by_a_process(copy) == {".hubplug.json"}


def test_a_file_that_was_written_a_moment_ago_is_hashed_again(cache: CacheDirectory) -> None:
    """The next write may give it the same time: the clocks of file systems stand still for milliseconds, or seconds."""
    module = Origin().resolve(cache, HANDLE)
    before = times(module.path)
    (module.path / NAMES[0]).touch()
    Origin().resolve(cache, HANDLE)
    assert times(module.path) == before
    now = time.time()
    os.utime(module.path / NAMES[0], (now, now))
    Origin().resolve(cache, HANDLE)
    (module.path / NAMES[0]).chmod(0o644)
    (module.path / NAMES[0]).write_bytes(b"x" * 1000)
    os.utime(module.path / NAMES[0], (now, now))
    origin = Origin()
    origin.resolve(cache, HANDLE)
    assert origin.calls == 1


def test_a_read_only_cache_hashes_once_in_each_process_and_writes_nothing(cache: CacheDirectory, root: Path) -> None:
    module = Origin().resolve(cache, HANDLE)
    touch(module.path)
    time.sleep(2.1)  # what changed a moment ago is not remembered
    before = (module.path / ".hubplug.json").read_bytes()
    reader = CacheDirectory(str(root), read_only=True)
    with _reading() as first:
        Origin().resolve(reader, HANDLE)
    with _reading() as second:
        Origin().resolve(reader, HANDLE)
    assert (first, second) == ({".hubplug.json", *NAMES}, {".hubplug.json"})
    assert (module.path / ".hubplug.json").read_bytes() == before


def test_another_user_hashes_and_leaves_the_manifest_alone(commons: Path) -> None:
    cache = CacheDirectory(str(commons / "modules"))
    module = Origin().resolve(cache, HANDLE)
    touch(module.path)
    before = (module.path / ".hubplug.json").read_bytes()
    import hubplug_cache._changes  # noqa: F401  another user may not be able to

    assert as_user(OTHER, lambda: Origin().resolve(cache, HANDLE).path) == str(module.path)
    assert (module.path / ".hubplug.json").read_bytes() == before
    for path in [commons / "modules", module.path]:
        path.chmod(0o777)
    assert as_user(OTHER, lambda: Origin().resolve(cache, HANDLE).path) == str(module.path)
    assert (module.path / ".hubplug.json").stat().st_uid == 0
    assert leftovers(commons / "modules") == []


@pytest.mark.parametrize("kept", [[], NAMES[:1]])
def test_a_manifest_without_times_is_compared_by_sizes(kept: list[str], cache: CacheDirectory, root: Path) -> None:
    from dataclasses import replace

    origin = Origin()
    module = origin.resolve(cache, HANDLE)
    manifest = parse_manifest((module.path / ".hubplug.json").read_bytes())
    old = replace(manifest, times={name: manifest.times[name] for name in kept})
    (module.path / ".hubplug.json").chmod(0o644)
    (module.path / ".hubplug.json").write_bytes(old.to_bytes())
    assert ("mtime_ns" in (module.path / ".hubplug.json").read_text()) == bool(kept)
    _overwrite(module.path / NAMES[-1])
    origin.resolve(cache, HANDLE)
    assert origin.calls == 1
    (module.path / NAMES[-1]).write_bytes(b"")
    origin.resolve(cache, HANDLE)
    assert origin.calls == 2


@pytest.mark.parametrize("value", ["yesterday", None, 1.5, True, -1, 10**18 - 1])
def test_a_time_that_is_none_is_passed_over_or_leads_to_a_hash(value: Any, cache: CacheDirectory) -> None:
    origin = Origin()
    module = origin.resolve(cache, HANDLE)
    path = module.path / ".hubplug.json"
    data = json.loads(path.read_bytes())
    data["files"][0]["mtime_ns"] = value
    times_of = parse_manifest(json.dumps(data).encode()).times
    assert times_of.get(NAMES[0]) == (value if type(value) is int else None)


def test_many_processes_that_find_other_times_all_hit(cache: CacheDirectory, root: Path) -> None:
    for _ in range(5):
        module = Origin().resolve(cache, HANDLE)
        moment = times(module.path)[NAMES[0]] / 10**9 - 2
        touch(module.path, moment)
        command = [sys.executable, origin_module.__file__, str(root), HANDLE]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environment()) for _ in range(6)]
        for process in running:
            out, _ = process.communicate(timeout=60)
            result = json.loads(out.splitlines()[-1])
            assert (result["calls"], result["wrong"]) == (0, None), result
        assert set(times(module.path).values()) == {int(moment) * 10**9}
        assert leftovers(root) == []


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
