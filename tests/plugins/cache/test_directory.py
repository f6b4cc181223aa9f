"""Which directory the cache is in, and whom it trusts with it."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hubplug.errors import CacheError
from hubplug.types import Declined
from hubplug_cache import CacheDirectory
from tests.plugins.cache.origin import Origin, as_user, entry_of, find_wrong, source_of

HANDLE = "https://example.com/module/1"
OTHER = 12345


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory of the system, as everybody has it: sticky and open to all."""
    path = tmp_path / "tmp"
    path.mkdir()
    path.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def test_the_default_is_that_of_tensorflow_hub_and_ours_alone(temporary: Path) -> None:
    os.umask(previous := os.umask(0))
    module = Origin().resolve(CacheDirectory(), HANDLE)
    os.umask(previous)
    assert module.path.parent == temporary / "tfhub_modules"
    assert stat.S_IMODE(module.path.parent.stat().st_mode) == 0o700


def test_an_empty_choice_is_no_choice(temporary: Path) -> None:
    assert Origin().resolve(CacheDirectory(""), HANDLE).path.parent == temporary / "tfhub_modules"


def test_a_default_directory_that_is_ours_is_used_as_it_is(temporary: Path, caplog: pytest.LogCaptureFixture) -> None:
    (temporary / "tfhub_modules").mkdir(mode=0o755)
    assert Origin().resolve(CacheDirectory(), HANDLE).path.parent == temporary / "tfhub_modules"
    assert not caplog.records


def _link(path: Path) -> None:
    (path.parent / "elsewhere").mkdir()
    path.symlink_to(path.parent / "elsewhere")


def _dangling_link(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def _group_writable(path: Path) -> None:
    path.mkdir()
    path.chmod(0o770)


def _world_writable(path: Path) -> None:
    path.mkdir()
    path.chmod(0o707)


def _sticky_for_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o1777)


def _file(path: Path) -> None:
    path.write_bytes(b"")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _replaceable(path: Path) -> None:
    path.mkdir(mode=0o700)
    path.parent.chmod(0o777)


def _of_somebody_else(path: Path) -> None:
    path.mkdir(mode=0o700)
    os.chown(path, OTHER, OTHER)


def _of_somebody_else_and_open(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)
    os.chown(path, OTHER, OTHER)


def _of_somebody_else_with_our_entry(path: Path) -> None:
    Origin().resolve(CacheDirectory(str(path)), HANDLE)
    os.chown(path, OTHER, OTHER)


def _under_somebody_elses_directory(path: Path) -> None:
    path.mkdir(mode=0o700)
    os.chown(path.parent, OTHER, OTHER)


def _link_of_somebody_else(path: Path) -> None:
    _link(path)
    os.chown(path, OTHER, OTHER, follow_symlinks=False)


POISONED: list[Callable[[Path], None]] = [
    _link, _dangling_link, _group_writable, _world_writable, _sticky_for_all, _file, _pipe, _replaceable,
]  # fmt: skip
POISONED_BY_OTHERS: list[Callable[[Path], None]] = [
    _of_somebody_else, _of_somebody_else_and_open, _of_somebody_else_with_our_entry, _under_somebody_elses_directory,
    _link_of_somebody_else,
]  # fmt: skip


@pytest.mark.parametrize("poison", [*POISONED, *POISONED_BY_OTHERS])
@pytest.mark.parametrize("read_only", [False, True])
def test_a_default_directory_that_others_can_reach_is_left_for_one_of_our_own(
    poison: Callable[[Path], None],
    read_only: bool,
    temporary: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if poison in POISONED_BY_OTHERS and os.geteuid() != 0:
        pytest.skip("needs root to give something away")
    poison(temporary / "tfhub_modules")
    caplog.clear()
    cache = CacheDirectory(read_only=read_only)
    if read_only:
        assert isinstance(cache.hubplug_cache(source_of(HANDLE)), Declined)
    else:
        origin = Origin()
        module = origin.resolve(cache, HANDLE)
        origin.resolve(cache, HANDLE)
        assert origin.calls == 1
        assert temporary not in module.path.parents
        assert stat.S_IMODE(module.path.parent.stat().st_mode) == 0o700
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert str(temporary / "tfhub_modules") in warning.getMessage()
    assert "TFHUB_CACHE_DIR" in warning.getMessage()


def test_the_warning_names_owner_mode_and_user(
    temporary: Path, caplog: pytest.LogCaptureFixture, commons: Path
) -> None:
    _of_somebody_else(temporary / "tfhub_modules")
    CacheDirectory().hubplug_cache(source_of(HANDLE))
    assert "owned by uid 12345, mode 0700; you are root (uid 0)" in caplog.text


def test_two_poisoned_defaults_are_an_error(temporary: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _world_writable(temporary / "tfhub_modules")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    (tmp_path / "home/hubplug").mkdir(parents=True)
    _world_writable(tmp_path / "home/hubplug/modules")
    with pytest.raises(CacheError, match=r"Neither default cache directory can be trusted.*mode 0707"):
        CacheDirectory().hubplug_cache(source_of(HANDLE))


def test_an_entry_of_somebody_else_in_the_default_directory_is_not_used(
    temporary: Path, commons: Path, caplog: pytest.LogCaptureFixture
) -> None:
    origin = Origin()
    module = origin.resolve(CacheDirectory(), HANDLE)
    os.chown(module.path, OTHER, OTHER)
    (module.path / "saved_model.pb").write_bytes(b"x" * 1000)
    module = origin.resolve(CacheDirectory(), HANDLE)
    assert origin.calls == 2
    assert module.path.stat().st_uid == 0
    assert find_wrong(module.path, HANDLE) is None
    assert "it belongs to uid 12345" in caplog.text


def test_a_chosen_directory_is_used_as_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (tmp_path / "link").symlink_to(shared)
    module = Origin().resolve(CacheDirectory(str(tmp_path / "link")), HANDLE)
    assert module.path == entry_of(tmp_path / "link", HANDLE)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o777
    assert not caplog.records


def test_a_chosen_directory_and_its_parents_are_made(tmp_path: Path) -> None:
    assert Origin().resolve(CacheDirectory(str(tmp_path / "a/b/c")), HANDLE).path.parent == tmp_path / "a/b/c"


def test_a_chosen_directory_may_be_a_file_url_or_relative_or_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for choice in (f"file://{tmp_path}/here", "here", "~/here"):
        assert Origin().resolve(CacheDirectory(choice), HANDLE).path.parent == tmp_path / "here"


def test_a_remote_directory_is_refused_at_once() -> None:
    with pytest.raises(CacheError, match=r"cache on gs:// is not supported .*gs://bucket/modules") as caught:
        CacheDirectory("gs://bucket/modules").hubplug_cache(source_of(HANDLE))
    assert "TFHUB_CACHE_DIR" in str(caught.value.hint)


def test_the_home_of_an_unknown_user_is_an_error() -> None:
    with pytest.raises(
        CacheError, match="~nobody-of-this-name/modules cannot be found: no user here has that home"
    ) as caught:
        CacheDirectory("~nobody-of-this-name/modules").hubplug_cache(source_of(HANDLE))
    assert "TFHUB_CACHE_DIR" in str(caught.value.hint)


def test_a_file_in_place_of_a_chosen_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CacheError, match=f"{tmp_path / 'file'} is not a directory") as caught:
        Origin().resolve(CacheDirectory(str(tmp_path / "file")), HANDLE)
    assert "TFHUB_CACHE_DIR" in str(caught.value.hint)


def test_a_directory_one_may_not_write_names_owner_mode_and_user(commons: Path) -> None:
    (commons / "modules").mkdir(mode=0o755)
    cache = CacheDirectory(str(commons / "modules"))
    message = as_user(OTHER, lambda: Origin().resolve(cache, HANDLE))
    assert message.startswith("CacheError: Cannot ")
    assert f"{commons / 'modules'} is owned by root (uid 0), mode 0755; you are uid 12345" in message
    assert "TFHUB_CACHE_DIR" in message


def test_a_directory_one_may_not_make_names_the_parent(commons: Path) -> None:
    cache = CacheDirectory(str(commons / "modules"))
    message = as_user(OTHER, lambda: Origin().resolve(cache, HANDLE))
    assert message.startswith("CacheError: Cannot make the cache directory")
    assert f"{commons} is owned by root (uid 0), mode 0755; you are uid 12345" in message


def test_a_hit_needs_nothing_but_permission_to_read(commons: Path) -> None:
    cache = CacheDirectory(str(commons / "modules"))
    module = Origin().resolve(cache, HANDLE)
    assert str(module.path) in as_user(OTHER, lambda: Origin().resolve(cache, HANDLE).path)


def test_an_unreadable_manifest_names_owner_and_reader(commons: Path) -> None:
    cache = CacheDirectory(str(commons / "modules"))
    module = Origin().resolve(cache, HANDLE)
    (module.path / ".hubplug.json").chmod(0o600)
    message = as_user(OTHER, lambda: Origin().resolve(cache, HANDLE))
    assert message.startswith(f"CacheError: Cannot read {module.path}: Permission denied")
    assert "you are uid 12345" in message
    cache.read_only = True
    assert as_user(OTHER, lambda: cache.hubplug_cache(source_of(HANDLE))).startswith("Declined(")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_place_that_takes_no_directory_is_named_with_a_way_out() -> None:
    with pytest.raises(
        CacheError, match=r"Cannot make the cache directory /proc/nope: .*; /proc takes no new"
    ) as caught:
        Origin().resolve(CacheDirectory("/proc/nope"), HANDLE)
    assert "set TFHUB_CACHE_DIR" in str(caught.value.hint)
