"""Damage of every kind, in every position: it is noticed, named, and mended where the origin can be reached."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hubplug.errors import CacheError, FetchError, OfflineError
from hubplug.types import Plan
from hubplug_cache import CacheDirectory
from tests.plugins.cache.origin import NAMES, Origin, find_wrong, leftovers, source_of

HANDLE = "https://example.com/module/1"


def _delete(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def _make_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _make_a_link(path: Path) -> None:
    elsewhere = path.parents[2] / "elsewhere"
    shutil.copy(path, elsewhere)
    path.unlink()
    path.symlink_to(elsewhere)


def _make_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _rename(path: Path) -> None:
    path.rename(path.with_name(path.name + ".old"))


def _add_beside(path: Path) -> None:
    path.with_name("added.pb").write_bytes(b"x")


def _add_link_beside(path: Path) -> None:
    path.with_name("added").symlink_to("/etc/passwd")


DAMAGE: list[Callable[[Path], None]] = [
    _delete, _empty, _truncate, _grow, _make_a_directory, _make_a_link, _make_a_pipe, _rename, _add_beside,
    _add_link_beside,
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_to_a_file_is_mended_with_one_warning_that_names_it(
    damage: Callable[[Path], None], name: str, cache: CacheDirectory, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    origin = Origin()
    module = origin.resolve(cache, HANDLE)
    damage(module.path / name)
    expected = "added" if "add" in damage.__name__ else name
    plan = cache.hubplug_cache(source_of(HANDLE))
    assert isinstance(plan, Plan)
    with pytest.raises(OfflineError, match=f"{module.path} is damaged: .*{expected}.*no network"):
        plan.run(_offline)
    assert module.path.is_dir()
    assert not caplog.records
    assert origin.resolve(cache, HANDLE).path == module.path
    assert origin.calls == 2
    assert find_wrong(module.path, HANDLE) is None
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert str(module.path) in warning.getMessage()
    assert expected in warning.getMessage()
    (root / "elsewhere").unlink(missing_ok=True)
    assert leftovers(root) == []


@pytest.mark.parametrize("offset", [0, 1, 20, 100, 300, 600, -200, -60, -3, -1])
def test_a_flipped_bit_in_the_manifest_is_mended(offset: int, cache: CacheDirectory) -> None:
    origin = Origin()
    module = origin.resolve(cache, HANDLE)
    manifest = module.path / ".hubplug.json"
    good = bytearray(manifest.read_bytes())
    for bit in range(8):
        data = good.copy()
        data[offset] ^= 1 << bit
        manifest.write_bytes(data)
        module = origin.resolve(cache, HANDLE)
        assert origin.calls == bit + 2
        assert find_wrong(module.path, HANDLE) is None


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", b"\xff", b"{" * 100_000, b'{"format": 1, "files": []}']
)
def test_a_manifest_that_is_none_is_mended(content: bytes, cache: CacheDirectory) -> None:
    origin = Origin()
    module = origin.resolve(cache, HANDLE)
    (module.path / ".hubplug.json").write_bytes(content)
    origin.resolve(cache, HANDLE)
    assert origin.calls == 2


def _nothing_in_it(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


def _a_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_bytes(b"x")


def _a_link_to_a_copy(path: Path) -> None:
    path.rename(path.parent.parent / "copy")
    path.symlink_to(path.parent.parent / "copy")


def _a_dangling_link(path: Path) -> None:
    shutil.rmtree(path)
    path.symlink_to("nowhere")


def _a_linked_directory_in_it(path: Path) -> None:
    (path / "variables").rename(path.parent.parent / "variables")
    (path / "variables").symlink_to(path.parent.parent / "variables")


@pytest.mark.parametrize(
    "damage", [_nothing_in_it, _a_file, _a_link_to_a_copy, _a_dangling_link, _a_linked_directory_in_it]
)
def test_an_entry_that_is_no_plain_directory_is_replaced_and_links_are_not_followed(
    damage: Callable[[Path], None], cache: CacheDirectory, root: Path, tmp_path: Path
) -> None:
    origin = Origin()
    module = origin.resolve(cache, HANDLE)
    damage(module.path)
    outside = {path: path.read_bytes() for path in tmp_path.rglob("*") if root not in path.parents and path.is_file()}
    assert origin.resolve(cache, HANDLE).path == module.path
    assert not module.path.is_symlink()
    assert find_wrong(module.path, HANDLE) is None
    assert origin.calls == 2
    assert leftovers(root) == []
    assert {path: path.read_bytes() for path in outside} == outside


def test_a_damaged_entry_stays_when_the_origin_fails(cache: CacheDirectory, root: Path) -> None:
    module = Origin().resolve(cache, HANDLE)
    (module.path / "saved_model.pb").unlink()

    def fail(step: int) -> None:
        if step == 3:
            raise FetchError("the server is down", hint="ask its owner")

    with pytest.raises(FetchError, match=r"saved_model.pb is missing; fetching it again failed: the server is down"):
        Origin(during=fail).resolve(cache, HANDLE)
    assert (module.path / "tfhub_module.pb").is_file()
    assert leftovers(root) == []


@pytest.mark.parametrize("error", [FetchError("no"), ValueError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", [0, 2, len(NAMES)])
def test_a_fill_that_fails_leaves_nothing(error: BaseException, at: int, cache: CacheDirectory, root: Path) -> None:
    def fail(step: int) -> None:
        if step == at:
            raise error

    with pytest.raises(type(error)):
        Origin(during=fail).resolve(cache, HANDLE)
    assert [path.name for path in root.iterdir()] == [".hubplug-locks"]
    assert Origin().resolve(cache, HANDLE).path.is_dir()


def test_what_was_not_written_as_announced_is_not_published(cache: CacheDirectory, root: Path) -> None:
    source = source_of(HANDLE)
    honest = Origin().producer(source)

    def dishonest(dest: Path) -> object:
        provenance = honest(dest)
        os.truncate(dest / "saved_model.pb", 10)
        return provenance

    plan = cache.hubplug_cache(source)
    assert isinstance(plan, Plan)
    with pytest.raises(CacheError, match=r"saved_model.pb has 10 bytes instead of 1,000"):
        plan.run(dishonest)
    assert [path.name for path in root.iterdir()] == [".hubplug-locks"]


def _offline(dest: Path) -> None:
    raise OfflineError("no network", hint="plug it in")
