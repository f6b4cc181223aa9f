"""The disk is full, broken, read-only, or the process has no descriptors left: a typed error, and nothing left behind."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hubplug.errors import CacheError, ExportError, HubplugError
from hubplug.files import staging
from hubplug.testing import archive_of, write_tiny_module
from hubplug_cache import CacheDirectory
from hubplug_cache._transfer import export_entries
from tests.plugins.cache import origin as origin_module
from tests.plugins.cache.origin import Origin, entry_of, find_wrong, leftovers
from tests.reliability.strace import Call, changes, injected, need_strace, record

HANDLE = "https://example.com/module/1"
OTHER = "https://example.com/module/2"
NEEDED = 5 * 1000

FAULTS = [
    ("write", "ENOSPC"), ("write", "EIO"), ("write", "EDQUOT"),
    ("fsync", "EIO"), ("fsync", "ENOSPC"), ("fsync", "EDQUOT"),
    ("mkdir", "ENOSPC"), ("mkdir", "EROFS"), ("mkdir", "EACCES"), ("mkdir", "EMFILE"),
    ("openat", "ENOSPC"), ("openat", "EMFILE"), ("openat", "ENFILE"), ("openat", "EIO"), ("openat", "EACCES"),
    ("rename", "ENOSPC"), ("rename", "EIO"), ("rename", "EACCES"), ("rename", "EROFS"),
    ("flock", "ENOLCK"), ("flock", "ENOSYS"), ("flock", "EIO"), ("flock", "EOPNOTSUPP"),
]  # fmt: skip


def _command(root: Path) -> list[str]:
    return [sys.executable, str(Path(origin_module.__file__)), str(root), HANDLE]


def _root_with_another_entry(root: Path) -> Path:
    Origin().resolve(CacheDirectory(str(root)), OTHER)
    return root


def _expect_nothing_but_the_other(root: Path) -> None:
    assert find_wrong(entry_of(root, OTHER), OTHER) is None
    assert not entry_of(root, HANDLE).exists()
    assert leftovers(root) == []


@pytest.fixture(scope="module")
def filling(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    """The changing calls of a fill beside another entry."""
    need_strace()
    place = tmp_path_factory.mktemp("recorded")
    return changes(record(_command(_root_with_another_entry(place / "root")), place / "log"), place / "root")


def _positions(calls: list[Call], every: bool) -> list[Call]:
    """All of the calls; or the first, the last, and one in between."""
    return calls if every else list({id(c): c for c in (calls[0], calls[len(calls) // 2], calls[-1])}.values())


def _inject(name: str, error: str, filling: list[Call], tmp_path: Path, every: bool) -> int:
    calls = [call for call in filling if call.name == name]
    assert calls, name
    refused = 0
    for index, call in enumerate(_positions(calls, every)):
        root = _root_with_another_entry(tmp_path / f"root{index}")
        done = injected(_command(root), tmp_path / "log", call, f"error={error}")
        assert done.returncode in (0, 2), (call, done.stdout, done.stderr)
        result = json.loads(done.stdout.splitlines()[-1])
        if done.returncode == 0:
            assert result["wrong"] is None
            assert leftovers(root) == []
        else:
            refused += 1
            assert result["error"] == "CacheError", (call, result)
            assert str(root) in result["message"]
            _expect_nothing_but_the_other(root)
        assert Origin().resolve(CacheDirectory(str(root)), HANDLE).path.is_dir()
    return refused


@pytest.mark.parametrize(("name", "error"), FAULTS)
def test_a_system_call_that_fails_is_a_typed_error_or_makes_no_difference(
    name: str, error: str, filling: list[Call], tmp_path: Path
) -> None:
    refused = _inject(name, error, filling, tmp_path, every=False)
    assert refused == 0 if name == "flock" else refused > 0


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("name", "error"), FAULTS)
def test_it_does_so_at_every_position(name: str, error: str, filling: list[Call], tmp_path: Path) -> None:
    count = sum(call.name == name for call in filling)
    refused = _inject(name, error, filling, tmp_path, every=True)
    print(f"{error} at every {name}: n={count}, typed errors {refused}, untyped 0, left behind 0, other entries intact")


@pytest.mark.parametrize("limit", [0, 1, 999, 1000, 1500])
def test_a_file_size_limit_is_a_typed_error(limit: int, tmp_path: Path) -> None:
    root = _root_with_another_entry(tmp_path / "modules")
    message = _in_child(root, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    if message != "fine":
        assert message.startswith("CacheError: ")
        _expect_nothing_but_the_other(root)
    assert (message == "fine") == (limit >= 1500)


def test_too_few_descriptors_are_a_typed_error(tmp_path: Path) -> None:
    messages = set()
    for spare in range(8):
        root = _root_with_another_entry(tmp_path / f"modules{spare}")

        def leave_few(spare: int = spare) -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
            taken = []
            with suppress(OSError):
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            for descriptor in taken[:spare]:
                os.close(descriptor)

        message = _in_child(root, leave_few)
        messages.add(message.partition(":")[0])
        if message != "fine":
            assert "Too many open files" in message
            assert message.startswith("CacheError: ")
            _expect_nothing_but_the_other(root)
    assert messages == {"fine", "CacheError"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, remade for each use."""
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("needs root to mount")
    path = tmp_path / "disk"
    path.mkdir()
    yield path
    subprocess.run(["umount", str(path)], capture_output=True, check=False)


def test_a_disk_of_any_size_holds_the_entry_or_gives_a_typed_error(small_disk: Path) -> None:
    fine = refused = 0
    for pages in range(6, 40, 2):
        subprocess.run(["umount", str(small_disk)], capture_output=True, check=False)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={pages * 4096}", "tmpfs", str(small_disk)],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            pytest.skip("may not mount here")
        root = small_disk / "modules"
        try:
            Origin(size=9000).resolve(CacheDirectory(str(root)), HANDLE)
        except CacheError:
            refused += 1
            assert not entry_of(root, HANDLE).exists()
            assert not root.exists() or leftovers(root) == []
        else:
            fine += 1
            assert find_wrong(entry_of(root, HANDLE), HANDLE, 9000) is None
    assert fine > 2
    assert refused > 2


@pytest.mark.parametrize("act", ["resolve", "publish", "replace"])
def test_a_disk_whose_inodes_are_used_says_so(small_disk: Path, act: str) -> None:
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=12", "tmpfs", str(small_disk)],
        capture_output=True,
        check=False,
    ).returncode:
        pytest.skip("may not mount here")
    free = os.statvfs(small_disk).f_favail
    for number in range(free - {"resolve": 5, "publish": 2, "replace": 0}[act]):
        (small_disk / str(number)).touch()
    with pytest.raises(HubplugError, match=r"of 12 inodes, .* none is free; [0-9,]+ bytes are") as caught:
        if act == "resolve":
            Origin().resolve(CacheDirectory(str(small_disk / "modules")), HANDLE)
        elif act == "publish":
            with staging.publish(str(small_disk / "m"), ExportError) as dest:
                (dest / "a").touch()
                (dest / "b").touch()
        else:
            export_entries([], small_disk / "archive.tar")
    assert act != "resolve" or "delete files" in str(caught.value.hint)
    assert "bytes are needed" not in caught.value.message


def test_a_read_only_directory_serves_what_it_has_and_refuses_the_rest(small_disk: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(small_disk)], capture_output=True, check=False).returncode:
        pytest.skip("may not mount here")
    root = _root_with_another_entry(small_disk / "modules")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert Origin().resolve(CacheDirectory(str(root)), OTHER).path == entry_of(root, OTHER)
    with pytest.raises(CacheError, match="Read-only file system") as caught:
        Origin().resolve(CacheDirectory(str(root)), HANDLE)
    assert "read_only: true" in str(caught.value.hint)


def _in_child(root: Path, prepare: object) -> str:
    """Resolves in a forked child after ``prepare``; ``fine`` or the error."""

    def act() -> str:
        assert callable(prepare)
        prepare()
        module = Origin().resolve(CacheDirectory(str(root)), HANDLE)
        return find_wrong(module.path, HANDLE) or "fine"

    return origin_module.as_user(os.geteuid(), act)


def test_too_few_descriptors_for_an_import_are_no_mistake_of_a_plugin(tmp_path: Path) -> None:
    """In processes of their own: there nothing has been imported that a plugin imports when it is asked."""
    (tmp_path / "m.tar.gz").write_bytes(archive_of(write_tiny_module(tmp_path / "m")))
    said = set()
    for spare in range(6):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                _RESOLVE_WITH_FEW,
                str(tmp_path / "m.tar.gz"),
                str(tmp_path / f"cache{spare}"),
                str(spare),
            ],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        assert done.returncode == 0, done.stderr
        said.add(done.stdout.strip())
    assert "fine" in said
    refused = said - {"fine"}
    assert any("could not go on" in message for message in refused)
    assert all("Too many open files" in message and "ulimit -n" in message for message in refused), refused
    assert not any("mistake" in message for message in refused)


_RESOLVE_WITH_FEW = """
import os, resource, sys
import hubplug
from hubplug.errors import HubplugError
archive, cache, spare = sys.argv[1:]
chain = ["cache", "file", "http", "archive", "tf1"]
hub = hubplug.Hub({"chain": chain, "plugins": {"cache": {"options": {"dir": cache}}}})
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
for descriptor in taken[:int(spare)]:
    os.close(descriptor)
said = "fine"
try:
    hub.resolve(archive)
except HubplugError as error:
    said = f"{error.message} {error.hint}"
print(" ".join(said.split()))
"""
