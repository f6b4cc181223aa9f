"""What is deleted in a cache directory without being asked for, and what is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hubplug.entries import CacheEntries, CacheEntry
from hubplug.files.owners import machine_id, process_start, start_in
from hubplug.settings.members import Member
from hubplug_cache import CacheDirectory
from hubplug_cache._catalogue import Cache, Listed
from hubplug_cache._pruning import choose_victims
from hubplug_cache._quantities import parse_size, parse_span, size_in_words
from hubplug_cache._sweeping import sweep
from tests.plugins.cache.origin import Origin, entry_of, find_wrong

HANDLE = "https://example.com/module/1"
KEY = "0123456789abcdef0123456789abcdef01234567"
HERE = machine_id()


def _staging(root: Path, pid: int, start: int | None, machine: str, quiet: float = 0.0) -> Path:
    path = root / f"{KEY}.host.{pid}.{start or 0}.{machine}.17.0badcafe.filling"
    path.mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"half")
    for member in (path / "saved_model.pb", path):
        os.utime(member, (time.time() - quiet,) * 2)
    return path


def test_the_work_of_a_dead_process_is_deleted_at_once(root: Path) -> None:
    path = _staging(root, 999_999_999, 1, HERE)
    note = root / f"{path.name}.note"
    note.write_bytes(b"half")
    sweep(root)
    assert not path.exists()
    assert not note.exists()


def test_the_work_of_a_living_process_is_left_alone(root: Path) -> None:
    path = _staging(root, os.getpid(), process_start(os.getpid()), HERE, quiet=1e6)
    sweep(root)
    assert path.is_dir()


@pytest.mark.parametrize(
    ("state", "flags", "start"),
    [(b"S", 0x400000, 4711), (b"R", 0x400000, 4711), (b"Z", 0x40000C, None), (b"R", 0x400004, None), (b"D", 4, None)],
)
def test_a_process_that_has_begun_to_end_is_gone(state: bytes, flags: int, start: int | None) -> None:
    # What it held a lock on is free a moment before the kernel calls it dead.
    line = b"17 (a) b c) %s 1 17 17 0 -1 %d 84 0 0 0 1 0 0 0 20 0 1 0 4711 9 9 9\n" % (state, flags)
    assert start_in(line) == start


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_process_that_the_kernel_is_ending_is_gone() -> None:
    # Giving its memory back takes the kernel a while, in which the process is no zombie yet.
    program = "import time; memory = bytearray(range(256)) * 400_000; print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        assert process_start(process.pid)
        process.kill()
        state = b"S"
        while state != b"Z":
            fields = Path(f"/proc/{process.pid}/stat").read_bytes().rpartition(b")")[2].split()
            state, is_ending = fields[0], int(fields[6]) & 4
            assert process_start(process.pid) is None or not is_ending


@pytest.mark.skipif(not process_start(os.getpid()), reason="nobody says when a process started")
def test_a_process_that_has_the_number_of_a_dead_one_does_not_protect_its_work(root: Path) -> None:
    path = _staging(root, os.getpid(), 1, HERE)
    sweep(root)
    assert not path.exists()


def test_the_work_of_another_machine_is_left_alone_until_it_is_quiet_for_long(root: Path) -> None:
    busy = _staging(root, 1, 1, "00000000", quiet=200)
    sweep(root)
    assert busy.is_dir()
    quiet = _staging(root, 2, 1, "00000000", quiet=601)
    sweep(root)
    assert busy.is_dir()
    assert not quiet.exists()


def test_the_work_of_another_machine_that_holds_its_lock_is_left_alone(root: Path) -> None:
    import fcntl

    path = _staging(root, 1, 1, "00000000", quiet=1e6)
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    sweep(root)
    assert path.is_dir()
    os.close(descriptor)
    sweep(root)
    assert not path.exists()


def test_what_was_removed_is_deleted_after_the_grace_period(root: Path) -> None:
    root.mkdir()
    now = int(time.time())
    for since in (0, now - 61, now):
        (root / f"{KEY}.{since}.0badcafe.removed").mkdir()
    sweep(root)
    assert [path.name for path in root.iterdir()] == [f"{KEY}.{now}.0badcafe.removed"]


FOREIGN = [
    KEY,
    f"{KEY}.lock",
    f"{KEY}.0123456789abcdef0123456789abcdef.tmp",
    f"{KEY}.descriptor.txt",
    f"{KEY}.removed",
    f"{KEY}.filling",
    "notes.filling",
    "my.model.removed",
    ".hidden",
]


@pytest.mark.parametrize("name", FOREIGN)
def test_nothing_else_is_touched(name: str, root: Path, cache: CacheDirectory) -> None:
    (root / name).mkdir(parents=True)
    (root / name / "precious").write_bytes(b"x")
    Origin().resolve(cache, HANDLE)
    assert (root / name / "precious").read_bytes() == b"x"


def test_a_link_with_the_name_of_leftovers_is_deleted_and_its_target_is_not(root: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(b"x")
    root.mkdir()
    (root / f"{KEY}.0.0badcafe.removed").symlink_to(precious)
    (root / f"{KEY}.host.999999999.1.{HERE}.17.0badcafe.filling").symlink_to(precious)
    inside = root / f"{KEY}.1.0badcafe.removed"
    inside.mkdir()
    (inside / "link").symlink_to(precious)
    sweep(root)
    assert list(root.iterdir()) == []
    assert (precious / "file").read_bytes() == b"x"


def test_a_fill_sweeps_before_it_fetches(root: Path, cache: CacheDirectory) -> None:
    path = _staging(root, 999_999_999, 1, HERE)
    seen = []
    Origin(during=lambda step: seen.append(path.exists())).resolve(cache, HANDLE)
    assert not any(seen)
    assert find_wrong(entry_of(root, HANDLE), HANDLE) is None


def _listed(name: str, size: int, last_used: float, state: str = "complete") -> Listed:
    entry = CacheEntry(name, Path(name), handle=name, fault="bad" if state == "damaged" else None)
    return Listed(Cache(Member("cache", object()), CacheEntries(Path(), list)), entry, size, last_used)


ENTRIES = [_listed("a", 10, 100), _listed("b", 20, 300), _listed("c", 30, 200), _listed("d", 5, 400, "damaged")]


@pytest.mark.parametrize(
    ("max_size", "older_than", "expected"),
    [
        (None, None, ""),
        (65, None, ""),
        (64, None, "d"),
        (59, None, "da"),
        (49, None, "dac"),
        (0, None, "dacb"),
        (None, 250, "ac"),
        (None, 1000, ""),
        (20, 250, "acd"),
        (0, 0, "abcd"),
    ],
)
def test_who_goes(max_size: int | None, older_than: float | None, expected: str) -> None:
    victims = choose_victims(ENTRIES, 500, max_size, older_than)
    assert "".join(victim.entry.key for victim in victims) == expected


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), ("1500", 1500), ("10B", 10), ("1kB", 1000), ("1K", 1024), ("1KiB", 1024), ("1.5 GB", 1_500_000_000),
        ("2GiB", 2 << 30), ("1t", 1 << 40),
    ],
)  # fmt: skip
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "1 potato", "1e9", "iB", "5iB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43200), ("30d", 2592000), ("1w", 604800)]
)
def test_spans_are_read(text: str, seconds: float) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1 month"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a span"):
        parse_span(text)


def test_sizes_are_written_for_people() -> None:
    assert [size_in_words(size) for size in (0, 999, 1500, 2_500_000, 3 * 10**9, 4 * 10**12)] == [
        "0 B", "999 B", "1.5 kB", "2.5 MB", "3.0 GB", "4.0 TB",
    ]  # fmt: skip
