"""Caches of others in the commands: what they say is not taken on trust, and their mistakes are theirs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click.testing
import pytest

import hubplug
from hubplug.cli.main import hubplug as command
from hubplug.entries import CacheEntries, CacheEntry
from hubplug.types import FileRecord, Provenance

HANDLE = "https://models.example/m/1"
KEY_SHA256 = hashlib.sha256(HANDLE.encode()).hexdigest()


class Cache:
    """Says what it is told to."""

    def __init__(self, directory: Path, entries: Callable[[], Iterable[Any]], **offered: Any) -> None:
        self.offered = CacheEntries(directory, entries, **offered)

    @hubplug.hookimpl
    def hubplug_entries(self) -> CacheEntries:
        return self.offered


def run(cache: object, *arguments: object, chain: Iterable[str] = ()) -> click.testing.Result:
    with hubplug.Hub({"chain": list(chain)}, plugins=[cache]).activate():
        return click.testing.CliRunner().invoke(command, ["cache", *map(str, arguments)])


@pytest.fixture
def entry(tmp_path: Path) -> CacheEntry:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_bytes(b"good")
    files = (FileRecord("file", 4, hashlib.sha256(b"good").hexdigest()),)
    return CacheEntry("one", tmp_path / "kept", Provenance(HANDLE, KEY_SHA256, HANDLE, files=files))


def test_a_cache_of_two_functions_is_listed_verified_and_exported(entry: CacheEntry, tmp_path: Path) -> None:
    cache = Cache(tmp_path, lambda: [entry])
    assert HANDLE in run(cache, "list").output
    assert run(cache, "path").output.strip() == str(tmp_path)
    assert run(cache, "path", HANDLE).output.strip() == run(cache, "path", "one").output.strip() == str(entry.path)
    assert "good" in run(cache, "verify").output
    assert run(cache, "export", tmp_path / "a.tar").exit_code == 0
    for arguments in (("remove", HANDLE), ("prune", "--max-size", "0"), ("import", tmp_path / "a.tar")):
        result = run(cache, *arguments)
        assert result.exit_code == 2
        assert "read-only" in result.output


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "file/../../secret"])
def test_a_record_that_leads_out_of_its_entry_is_not_exported(name: str, entry: CacheEntry, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"canary")
    assert entry.provenance is not None
    path = Path(name) if name.startswith("/") else tmp_path / "secret"
    data = path.read_bytes()
    outside = FileRecord(name, len(data), hashlib.sha256(data).hexdigest())
    recorded = replace(entry.provenance, files=(*entry.provenance.files, outside))
    cache = Cache(tmp_path, lambda: [replace(entry, provenance=recorded)])
    result = run(cache, "export", tmp_path / "a.tar")
    assert result.exit_code == 2
    assert f"is damaged: {name} is missing" in result.output
    assert not (tmp_path / "a.tar").exists()
    assert run(cache, "verify").exit_code == 1


def test_a_link_in_an_entry_is_damage(entry: CacheEntry, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"good")
    (entry.path / "file").unlink()
    (entry.path / "file").symlink_to(tmp_path / "elsewhere")
    cache = Cache(tmp_path, lambda: [entry])
    assert "file is a symbolic link" in run(cache, "verify").output
    assert run(cache, "export", tmp_path / "a.tar").exit_code == 2


def test_a_key_that_nobody_could_derive_again_is_not_exported(entry: CacheEntry, tmp_path: Path) -> None:
    assert entry.provenance is not None
    secret = replace(entry, provenance=replace(entry.provenance, handle_sha256="0" * 64))
    result = run(Cache(tmp_path, lambda: [secret]), "export", tmp_path / "a.tar")
    assert result.exit_code == 2
    assert "could not be found again elsewhere" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (lambda: ["one"], "listed str, expected CacheEntry"),
        (lambda: 1 / 0, "failed (list): ZeroDivisionError"),
        (lambda: [CacheEntry("k", "p")], "CacheEntry.path is str"),  # type: ignore[arg-type]
    ],
)
def test_a_mistake_of_a_cache_is_its_own(entries: Callable[[], Iterable[Any]], said: str, tmp_path: Path) -> None:
    result = run(Cache(tmp_path, entries), "list")
    assert result.exit_code == 2
    assert "The plugin 'Cache[0]'" in result.output
    assert said in result.output


def test_what_a_cache_says_moves_no_cursor(entry: CacheEntry, tmp_path: Path) -> None:
    odd = replace(entry, key="\x1b[2Jkey", fault="\x1b]0;owned\x07 torn\nin two")
    result = run(Cache(tmp_path, lambda: [odd]), "list")
    assert "\x1b" not in result.output
    assert "\x07" not in result.output


def test_a_cache_that_says_nothing_is_named(tmp_path: Path) -> None:
    class Silent:
        @hubplug.hookimpl
        def hubplug_cache(self, source: hubplug.Source) -> None: ...

    with hubplug.Hub({"chain": []}, plugins=[Silent(), Cache(tmp_path, list)]).activate():
        result = click.testing.CliRunner().invoke(command, ["cache", "list"])
    assert "what the cache Silent[0] has is not known" in result.output
    result = run(Silent(), "list")
    assert result.exit_code == 2
    assert "Silent[0]" in result.output
