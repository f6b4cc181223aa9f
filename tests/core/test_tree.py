"""The tree writer: names, caps, hashes, modes, syncs, and a system that cannot write."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hubplug.errors import ArchiveError, CacheError, IncompleteDownload, PluginError, UnsafeArchiveError
from hubplug.files.names import find_name_error
from hubplug.files.tree import Limits, TreeWriter
from hubplug.types import FileRecord


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "module"
    path.mkdir()
    return path


def path_of(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def put(tree: TreeWriter, name: str, data: bytes = b"data", size: int | None = None) -> None:
    with tree.open(name, size) as file:
        file.write(data)


def test_records_are_sorted_by_path_and_carry_size_and_digest(root):
    tree = TreeWriter(root)
    put(tree, "variables/b", b"bb")
    put(tree, "saved_model.pb", b"")
    put(tree, "a", b"abc", 3)
    assert tree.finish() == tuple(
        FileRecord(name, len(data), hashlib.sha256(data).hexdigest())
        for name, data in [("a", b"abc"), ("saved_model.pb", b""), ("variables/b", b"bb")]
    )
    assert (root / "variables/b").read_bytes() == b"bb"


def test_any_buffer_of_bytes_can_be_written_in_pieces(root):
    tree = TreeWriter(root)
    with tree.open("x") as file:
        for data in (b"ab", bytearray(b"cd"), memoryview(b"--ef--")[2:4], b""):
            file.write(data)
        assert file.written == 6
    assert tree.finish()[0].sha256 == hashlib.sha256(b"abcdef").hexdigest()


@pytest.mark.parametrize(
    "name",
    [
        "", "/", "/etc/x", "//x", "..", "../x", "a/..", "a/../b", "a/../../b", ".", "./a", "a/.", "a//b", "a/", "a\\b", "..\\x",
        "C:x", "c:/x", "a\0b", "a\nb", "a\x7f", "a\x85b", "\ud800", "n" * 256, "\u00e9" * 128, "d/" * 600 + "x",
        ".hubplug.json", ".HubPlug.JSON", ".hubplug.json/x", ".hubplug.damaged", ".hubplug", ".HUBPLUG-x", ".hubplug_x/a", ".\uff48ubplug.x", ".hub\u200bplug.json",
        ".hub\ufe0fplug", "\u2060.hubplug", "\uff0ehubplug",
    ],
)  # fmt: skip
def test_a_bad_name_is_refused_for_files_and_directories(name, root):
    assert find_name_error(name)
    tree = TreeWriter(root)
    with pytest.raises(UnsafeArchiveError, match="refused"):
        put(tree, name)
    with pytest.raises(UnsafeArchiveError, match="refused"):
        tree.directory(name)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["a", "a/b/c", "...", "..a", "a..", "a b", "\u00e9", "n" * 255, "variables/variables.data-00000-of-00001", "step:1",
             ".hidden", "a/.hubplug.json", ".hubplu", "hubplug", "\u200d", "$(id)", "-rf", "\u6f22\u5b57"],
)  # fmt: skip
def test_a_good_name_is_taken(name, root):
    assert find_name_error(name) is None
    tree = TreeWriter(root)
    put(tree, name)
    assert [record.path for record in tree.finish()] == [name]
    assert (root / name).read_bytes() == b"data"


@pytest.mark.parametrize("name", [b"a", Path("a"), None, 1])
def test_a_name_that_is_no_text_breaks_the_contract(name, root):
    with pytest.raises(PluginError, match="str"):
        put(TreeWriter(root), name)


@pytest.mark.parametrize(
    ("first", "second", "word"),
    [
        ("a", "a", "twice"),
        ("a", "A", "one name"),
        ("d/a", "D/b", "one name"),
        ("\u00e9", "e\u0301", "one name"),
        ("a", "a\u200b", "one name"),
        ("stra\u00dfe", "STRASSE", "one name"),
        ("a", "a/b", "file and a directory"),
        ("a/b", "a", "file and a directory"),
        ("a/b/c", "a/b", "file and a directory"),
    ],
)
def test_two_names_that_some_system_cannot_keep_apart_are_refused(first, second, word, root):
    tree = TreeWriter(root)
    put(tree, first, b"first")
    with pytest.raises(UnsafeArchiveError, match=word):
        put(tree, second, b"second")
    assert (root / first).read_bytes() == b"first"


@pytest.mark.parametrize("size", [4, None])
def test_a_file_may_come_again_with_the_same_bytes(size, root):
    tree = TreeWriter(root)
    put(tree, "d/a", b"data", size)
    put(tree, "d/a", b"data", size)
    assert [record.path for record in tree.finish()] == ["d/a"]
    assert (root / "d/a").read_bytes() == b"data"


@pytest.mark.parametrize("size", [True, False])
@pytest.mark.parametrize("other", [b"", b"dat", b"datA", b"data "])
def test_a_file_that_comes_again_with_other_bytes_is_refused_and_the_first_one_stays(other, size, root):
    tree = TreeWriter(root)
    put(tree, "a", b"data")
    with pytest.raises(UnsafeArchiveError, match="twice, and not with the same bytes"):
        put(tree, "a", other, len(other) if size else None)
    assert (root / "a").read_bytes() == b"data"
    put(tree, "a", b"data")
    assert len(tree.finish()) == 1


def test_a_file_that_is_still_being_written_cannot_come_again(root):
    tree = TreeWriter(root)
    with tree.open("a") as first, pytest.raises(UnsafeArchiveError, match="twice"):
        first.write(b"data")
        put(tree, "a", b"data")


def test_a_file_that_comes_again_counts_for_the_caps_again_and_needs_no_room(root):
    tree = TreeWriter(root, Limits(max_bytes=10))
    put(tree, "a", b"data", 4)
    put(tree, "a", b"data", 4)
    with pytest.raises(UnsafeArchiveError, match="max_bytes"):
        put(tree, "a", b"data", 4)


def test_a_directory_may_be_named_again(root):
    tree = TreeWriter(root)
    tree.directory("a/b")
    tree.directory("a")
    tree.directory("a/b")
    put(tree, "a/b/c")
    assert [record.path for record in tree.finish()] == ["a/b/c"]


def test_a_directory_over_a_file_is_refused(root):
    tree = TreeWriter(root)
    put(tree, "a")
    with pytest.raises(UnsafeArchiveError, match="file and a directory"):
        tree.directory("a")


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_modes_follow_the_umask_and_nothing_is_executable(umask, root):
    before = os.umask(umask)
    try:
        tree = TreeWriter(root)
        put(tree, "d/f")
        tree.finish()
    finally:
        os.umask(before)
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o755 & ~umask
    assert stat.S_IMODE((root / "d/f").stat().st_mode) == 0o444 & ~umask


def test_a_link_in_the_directory_is_never_followed(root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_bytes(b"untouched")
    (root / "d").symlink_to(outside)
    (root / "f").symlink_to(outside / "f")
    (root / "dangling").symlink_to(outside / "new")
    tree = TreeWriter(root)
    for name in ("d/f", "f", "dangling"):
        with pytest.raises(CacheError):
            put(tree, name)
    assert [path.name for path in outside.iterdir()] == ["f"]
    assert (outside / "f").read_bytes() == b"untouched"


def test_a_file_that_is_there_already_is_not_written_over(root):
    (root / "f").write_bytes(b"precious")
    with pytest.raises(CacheError, match="exists"):
        put(TreeWriter(root), "f")
    assert (root / "f").read_bytes() == b"precious"


def test_fewer_bytes_than_announced_are_an_error_and_leave_no_file(root):
    tree = TreeWriter(root)
    with pytest.raises(IncompleteDownload, match="3 bytes of the 4"):
        put(tree, "f", b"abc", 4)
    assert list(root.iterdir()) == []


def test_more_bytes_than_announced_are_an_error_before_they_are_written(root):
    with pytest.raises(ArchiveError, match="continues after the 2 bytes"):
        put(TreeWriter(root), "f", b"abc", 2)
    assert list(root.iterdir()) == []


def test_a_block_that_raises_frees_the_name_for_another_try(root):
    tree = TreeWriter(root, Limits(max_bytes=10, max_members=2))
    for _ in range(5):
        with pytest.raises(KeyError), tree.open("d/f", 8) as file:
            file.write(b"12345")
            raise KeyError
        assert not (root / "d/f").exists()
    put(tree, "d/f", b"12345678", 8)
    assert [record.size for record in tree.finish()] == [8]


@pytest.mark.parametrize(
    ("limits", "size"),
    [
        (Limits(max_bytes=10), None),
        (Limits(max_bytes=10), 11),
        (Limits(max_file_bytes=10), None),
        (Limits(max_file_bytes=10), 11),
    ],
)
def test_a_cap_on_bytes_is_exact_and_stops_before_the_write(limits, size, root):
    tree = TreeWriter(root, limits)
    with pytest.raises(UnsafeArchiveError, match="10"), tree.open("f", size) as file:
        file.write(b"0123456789")
        assert (root / "f").stat().st_size == 10
        file.write(b"x")
    put(tree, "f", b"0123456789", 10)


def test_the_cap_on_all_bytes_counts_what_open_files_have_announced(root):
    tree = TreeWriter(root, Limits(max_bytes=10))
    with tree.open("a", 6) as file:
        with pytest.raises(UnsafeArchiveError), tree.open("b", 5):
            pass
        file.write(b"123456")
    put(tree, "b", b"1234", 4)


def test_the_cap_on_members_counts_implied_directories(root):
    tree = TreeWriter(root, Limits(max_members=3))
    put(tree, "a/b/c")
    tree.directory("a/b")
    with pytest.raises(UnsafeArchiveError, match="3"):
        put(tree, "d")
    with pytest.raises(UnsafeArchiveError, match="3"):
        tree.directory("d")


def test_a_file_that_cannot_fit_is_refused_before_it_is_opened(root):
    tree = TreeWriter(root, Limits(max_bytes=1 << 62, max_file_bytes=1 << 62))
    with pytest.raises(CacheError, match="4,611,686,018,427,387,904 bytes are needed") as caught:
        put(tree, "f", size=1 << 62)
    assert str(root / "f") in caught.value.message
    assert "TFHUB_CACHE_DIR" in caught.value.hint
    assert list(root.iterdir()) == []


def test_nothing_comes_after_the_end(root):
    tree = TreeWriter(root)
    put(tree, "a")
    tree.finish()
    with pytest.raises(PluginError, match="finished"):
        put(tree, "b")
    with pytest.raises(PluginError, match="finished"):
        tree.directory("b")


def test_the_end_is_refused_while_a_file_is_open(root):
    tree = TreeWriter(root)
    with tree.open("a"), pytest.raises(PluginError, match="'a'"):
        tree.finish()


def test_many_threads_write_at_once(root):
    tree = TreeWriter(root)
    start = threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        for turn in range(20):
            with tree.open(f"shards/{turn}/{number}", 2000) as file:
                file.write(bytes([number]) * 1000)
                file.write(bytes([turn]) * 1000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    records = tree.finish()
    assert len(records) == 160
    for record in records:
        assert hashlib.sha256((root / record.path).read_bytes()).hexdigest() == record.sha256


def test_of_many_threads_only_one_gets_a_name(root):
    tree = TreeWriter(root)
    start = threading.Barrier(8)

    def write(number: int) -> bool:
        start.wait()
        try:
            put(tree, "d/same", bytes([number]))
        except UnsafeArchiveError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(8))) == 1
    assert len(tree.finish()) == 1


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from hubplug.errors import CacheError
from hubplug.files.tree import TreeWriter
root = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
tree = TreeWriter(root)
try:
    with tree.open("variables/data", 300_000) as file:
        for _ in range(30):
            file.write(bytes(10_001))
except CacheError as error:
    print(error)
"""


def test_a_full_disk_names_the_path_and_the_bytes_that_are_needed(root):
    done = subprocess.run([sys.executable, "-c", FULL_DISK, root], capture_output=True, text=True, check=True)
    assert str(root / "variables/data") in done.stdout
    assert "200,000 more bytes are needed" in done.stdout
    assert [path.name for path in (root / "variables").iterdir()] == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("call", ["write", "fsync", "close"])
def test_every_failure_of_the_system_is_a_cache_error_and_leaves_no_file(call, code, root, monkeypatch):
    tree = TreeWriter(root)
    working = getattr(os, call)

    def failing(descriptor: int, *rest: object) -> object:
        if call == "close":
            working(descriptor)
        monkeypatch.undo()
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, failing)
    with pytest.raises(CacheError, match=os.strerror(code)) as caught:
        put(tree, "f")
    assert str(root / "f") in caught.value.message
    assert list(root.iterdir()) == []


def test_too_many_open_files_are_a_cache_error(root):
    tree = TreeWriter(root)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, limits[1]))
    held = []
    try:
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                held.append(os.dup(0))
        with pytest.raises(CacheError, match="Too many open files"):
            put(tree, "f")
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    put(tree, "f")


def test_every_file_and_every_directory_is_synced(root, monkeypatch):
    synced = set()
    working = os.fsync

    def recording(descriptor: int) -> None:
        synced.add(path_of(descriptor))
        working(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    tree = TreeWriter(root)
    put(tree, "a/b/c")
    put(tree, "d")
    assert synced == {str(root / "a/b/c"), str(root / "d")}
    tree.finish()
    assert synced == {str(root / "a/b/c"), str(root / "d"), str(root / "a/b"), str(root / "a"), str(root)}


def test_a_file_system_that_cannot_sync_directories_takes_a_tree(root, monkeypatch):
    working = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        working(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    tree = TreeWriter(root)
    put(tree, "a/b")
    assert [record.path for record in tree.finish()] == ["a/b"]


def test_the_last_of_many_small_files_are_synced_at_the_end(root, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(path_of(descriptor)))
    tree = TreeWriter(root)
    for number in range(500):
        put(tree, f"{number}")
    assert len(synced) < 500
    tree.finish()
    assert sorted(synced) == sorted([str(root), *(str(root / f"{number}") for number in range(500))])


# What another library has downloaded


def test_a_directory_is_adopted_without_copying(root: Path, tmp_path: Path) -> None:
    downloaded = tmp_path / "downloaded"
    (downloaded / "variables").mkdir(parents=True)
    (downloaded / "empty").mkdir()
    (downloaded / "saved_model.pb").write_bytes(b"graph")
    (downloaded / "variables" / "data").write_bytes(b"x" * 3_000_000)
    before = {path.name: path.stat().st_ino for path in downloaded.rglob("*") if path.is_file()}
    tree = TreeWriter(root)
    tree.adopt(downloaded)
    records = tree.finish()
    assert [(one.path, one.size, one.sha256) for one in records] == [
        ("saved_model.pb", 5, hashlib.sha256(b"graph").hexdigest()),
        ("variables/data", 3_000_000, hashlib.sha256(b"x" * 3_000_000).hexdigest()),
    ]
    assert {path.name: path.stat().st_ino for path in root.rglob("*") if path.is_file()} == before
    assert (root / "variables" / "data").read_bytes() == b"x" * 3_000_000
    assert stat.S_IMODE((root / "saved_model.pb").stat().st_mode) == 0o444
    assert (root / "empty").is_dir()
    assert not [path for path in downloaded.rglob("*") if path.is_file()]


def test_a_file_of_another_disk_is_copied(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == root.stat().st_dev:
        pytest.skip("there is no second file system here")
    import tempfile

    with tempfile.TemporaryDirectory(dir=other) as folder:
        Path(folder, "a").write_bytes(b"data")
        tree = TreeWriter(root)
        tree.adopt(Path(folder))
        assert [(one.path, one.size) for one in tree.finish()] == [("a", 4)]
        assert (root / "a").read_bytes() == Path(folder, "a").read_bytes() == b"data"


@pytest.mark.parametrize("kind", ["link", "link to a directory", "pipe"])
def test_what_is_neither_file_nor_directory_is_not_adopted(root: Path, tmp_path: Path, kind: str) -> None:
    downloaded = tmp_path / "downloaded"
    downloaded.mkdir()
    if kind == "pipe":
        os.mkfifo(downloaded / "odd")
    else:
        (downloaded / "odd").symlink_to("/etc/hostname" if kind == "link" else "/etc")
    with pytest.raises(UnsafeArchiveError, match="'odd' is neither a file nor a directory"):
        TreeWriter(root).adopt(downloaded)


def test_the_caps_and_names_hold_for_what_is_adopted(root: Path, tmp_path: Path) -> None:
    downloaded = tmp_path / "downloaded"
    downloaded.mkdir()
    (downloaded / "a").write_bytes(b"x" * 100)
    with pytest.raises(UnsafeArchiveError, match="max_bytes"):
        TreeWriter(root, Limits(max_bytes=99)).adopt(downloaded)
    assert (downloaded / "a").is_file()
    assert list(root.iterdir()) == []
    (downloaded / "A").write_bytes(b"y")
    with pytest.raises(UnsafeArchiveError, match="one name"):
        TreeWriter(root).adopt(downloaded)
