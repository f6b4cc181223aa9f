"""Entries that tensorflow_hub wrote: no manifest, a note with the handle in clear."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from hubplug.errors import CacheError, OfflineError
from hubplug.types import Declined, Plan
from hubplug_cache import CacheDirectory
from hubplug_format import ModuleBuilder, Type, write_module
from tests.plugins.cache.origin import ARCHIVE_SHA256, Origin, entry_of, leftovers, source_of

HANDLE = "https://example.com/module/1?key=secret"


@pytest.fixture
def entry(root: Path) -> Path:
    """An entry as tensorflow_hub leaves it."""
    builder = ModuleBuilder()
    x = builder.placeholder("x", "float32", [None, 2])
    w = builder.variable("w", [[1.0, 2.0], [3.0, 4.0]])
    vocabulary = builder.asset("vocab.txt", b"a\nb\n")
    y = builder.node("MatMul", [x, w], {"T": Type("float32")}, shape=[None, 2])
    builder.signature(inputs={"x": x}, outputs={"default": y, "vocabulary": vocabulary})
    path = entry_of(root, HANDLE)
    path.parent.mkdir(parents=True)
    write_module(path, builder)
    (root / f"{path.name}.descriptor.txt").write_text(
        f"Module: {HANDLE}\nDownload Time: 2024-05-06 07:08:09.123456\nDownloader Hostname: vm (PID:17)"
    )
    return path


def _content(entry: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(entry.rglob("*")) if path.is_file()}


def test_a_whole_entry_is_used_as_it_is(entry: Path, cache: CacheDirectory) -> None:
    before = _content(entry.parent)
    origin = Origin()
    module = origin.resolve(cache, HANDLE)
    assert module.path == entry
    assert module.provenance is None
    assert origin.calls == 0
    assert _content(entry.parent) == before


def test_a_whole_entry_without_its_note_is_used_as_well(entry: Path, cache: CacheDirectory) -> None:
    (entry.parent / f"{entry.name}.descriptor.txt").unlink()
    origin = Origin()
    assert origin.resolve(cache, HANDLE).path == entry
    assert origin.calls == 0


def test_its_lock_and_temporary_directory_are_not_touched(entry: Path, cache: CacheDirectory, root: Path) -> None:
    (root / f"{entry.name}.lock").write_text("vm.17.0123456789abcdef0123456789abcdef")
    temporary = root / f"{entry.name}.0123456789abcdef0123456789abcdef.tmp"
    temporary.mkdir()
    (temporary / "saved_model.pb").write_bytes(b"half")
    (entry / "saved_model.pb").unlink()
    origin = Origin()
    origin.resolve(cache, HANDLE)
    assert origin.calls == 1
    assert (temporary / "saved_model.pb").read_bytes() == b"half"
    assert (root / f"{entry.name}.lock").read_text().startswith("vm.17.")


NEEDED = [
    "saved_model.pb",
    "variables/variables.index",
    "variables/variables.data-00000-of-00001",
    "assets/vocab.txt",
]


@pytest.mark.parametrize("name", NEEDED)
def test_an_entry_that_lacks_a_file_is_fetched_again(
    name: str, entry: Path, cache: CacheDirectory, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (entry / name).unlink()
    plan = cache.hubplug_cache(source_of(HANDLE))
    assert isinstance(plan, Plan)
    with pytest.raises(OfflineError, match=name):
        plan.run(_offline)
    origin = Origin()
    assert origin.resolve(cache, HANDLE).path == entry
    assert origin.calls == 1
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert name in warning.getMessage()
    assert leftovers(root) == []


@pytest.mark.parametrize("name", ["saved_model.pb", "tfhub_module.pb", "variables/variables.index"])
@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"\xff" * len(data)])
def test_an_entry_with_a_file_that_does_not_parse_is_fetched_again(
    name: str, damage: Callable[[bytes], bytes], entry: Path, cache: CacheDirectory
) -> None:
    (entry / name).write_bytes(damage((entry / name).read_bytes()))
    origin = Origin()
    origin.resolve(cache, HANDLE)
    assert origin.calls == 1


def test_an_entry_that_changes_later_is_looked_at_again(entry: Path, cache: CacheDirectory) -> None:
    origin = Origin()
    origin.resolve(cache, HANDLE)
    origin.resolve(cache, HANDLE)
    (entry / "assets/vocab.txt").unlink()
    origin.resolve(cache, HANDLE)
    assert origin.calls == 1


def test_a_link_in_an_entry_is_not_followed(entry: Path, cache: CacheDirectory, tmp_path: Path) -> None:
    (entry / "saved_model.pb").rename(tmp_path / "elsewhere.pb")
    (entry / "saved_model.pb").symlink_to(tmp_path / "elsewhere.pb")
    origin = Origin()
    origin.resolve(cache, HANDLE)
    assert origin.calls == 1


def test_a_pinned_handle_needs_a_recorded_digest(entry: Path, cache: CacheDirectory) -> None:
    origin = Origin()
    origin.resolve(cache, f"{HANDLE}#sha256={ARCHIVE_SHA256}")
    origin.resolve(cache, f"{HANDLE}#sha256={ARCHIVE_SHA256}")
    assert origin.calls == 1


def test_a_read_only_cache_says_why_it_cannot_use_an_entry_for_a_pinned_handle(entry: Path, root: Path) -> None:
    answer = CacheDirectory(str(root), read_only=True).hubplug_cache(source_of(f"{HANDLE}#sha256={ARCHIVE_SHA256}"))
    assert isinstance(answer, Declined)
    assert "the digest of its archive was not recorded" in answer.reason
    assert "secret" not in answer.reason


def test_a_note_that_names_another_handle_is_an_error(entry: Path, cache: CacheDirectory) -> None:
    note = entry.parent / f"{entry.name}.descriptor.txt"
    note.write_text(note.read_text().replace("module/1", "module/2"))
    with pytest.raises(CacheError, match="two handles with one key") as caught:
        Origin().resolve(cache, HANDLE)
    assert "secret" not in str(caught.value)


def _offline(dest: Path) -> None:
    raise OfflineError("no network")
