"""The contract of ``hubplug_entries``, a part of that of ``hubplug_cache``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hubplug.chain import Chain
from hubplug.entries import CacheEntries, CacheEntry, find_faults
from hubplug.settings.members import Member
from hubplug.testing._contract import CANARY, PluginContract, assert_quiet
from hubplug.testing._producer import Producer
from hubplug.testing._watching import watching
from hubplug.types import Handle, LocalModule, Provenance, Source


class EntriesContract(PluginContract):
    """What a cache says of what it keeps. ``CacheContract`` inherits it; a cache without ``hubplug_entries`` skips it."""

    def take(self, plugin: object, source: Source, produce: Callable[[Path], Provenance]) -> LocalModule:
        """Carries out the plan of ``hubplug_cache`` for a source."""
        raise NotImplementedError

    def offered(self, plugin: object) -> CacheEntries:
        """What the plugin answers to ``hubplug_entries``; saying so must do nothing."""
        chain = Chain([Member("plugin", plugin)])
        if "hubplug_entries" not in chain.hooks_of(chain.members[0]):
            pytest.skip("the cache does not say what it keeps (hubplug_entries)")
        with watching() as deeds:
            answer = chain.ask("hubplug_entries")
        assert deeds == [], (
            f"hubplug_entries reads nothing before a function of its answer is called; but it did: {deeds}"
        )
        assert isinstance(answer.value, CacheEntries), f"hubplug_entries declined: {answer.declined}"
        return answer.value

    def entry_of(self, plugin: object, source: Source) -> CacheEntry:
        """The one entry of a source."""
        found = [
            entry
            for entry in self.offered(plugin).list()
            if entry.provenance is not None and entry.provenance.handle_sha256 == source.key_sha256
        ]
        assert len(found) == 1, f"{len(found)} entries of {source.handle} are listed"
        return found[0]

    def test_what_is_kept_is_listed_with_its_provenance(
        self, make_plugin: Callable[[], object], source: Source, produce: Producer
    ) -> None:
        assert list(self.offered(make_plugin()).list()) == []
        module = self.take(make_plugin(), source, produce)
        entry = self.entry_of(make_plugin(), source)
        assert entry.path == module.path
        assert entry.provenance == produce.provenance
        assert entry.fault is None
        assert find_faults(entry) == []

    def test_each_source_is_an_entry_though_the_files_are_the_same(
        self, make_plugin: Callable[[], object], source: Source, produce: Producer
    ) -> None:
        other = _another(source)
        produce_other = produce.of(other)
        self.take(make_plugin(), source, produce)
        self.take(make_plugin(), other, produce_other)
        assert self.entry_of(make_plugin(), source).provenance == produce.provenance
        assert self.entry_of(make_plugin(), other).provenance == produce_other.provenance
        keys = [entry.key for entry in self.offered(make_plugin()).list()]
        assert len(set(keys)) == len(keys) == 2

    def test_a_bit_that_flipped_is_found_and_the_entry_can_be_mended(
        self, make_plugin: Callable[[], object], source: Source, produce: Producer
    ) -> None:
        self.take(make_plugin(), source, produce)
        entry = self.entry_of(make_plugin(), source)
        assert list(self.offered(make_plugin()).verify(entry)) == []
        _flip_a_bit(entry.path / "saved_model.pb")
        offered = self.offered(make_plugin())
        faults = list(offered.verify(self.entry_of(make_plugin(), source)))
        assert any("saved_model.pb" in fault for fault in faults), f"verify does not name the changed file: {faults}"
        if offered.verify is find_faults and offered.remove is not None:
            assert not offered.remove([entry], 0.0)
        elif offered.verify is find_faults:
            return  # it says so, and leaves it to whoever looks after the place
        module = self.take(make_plugin(), source, produce)
        assert produce.count() == 2, "an entry that verify or remove has dealt with is not to be used again"
        assert find_faults(CacheEntry("", module.path, produce.provenance)) == []

    def test_what_is_removed_is_gone_and_the_rest_is_whole(
        self, make_plugin: Callable[[], object], source: Source, produce: Producer
    ) -> None:
        other = _another(source)
        produce_other = produce.of(other)
        self.take(make_plugin(), source, produce)
        self.take(make_plugin(), other, produce_other)
        remove = self.offered(make_plugin()).remove
        if remove is None:
            pytest.skip("the cache does not let anything be removed")
        entry = self.entry_of(make_plugin(), source)
        assert not remove([entry], 0.0)
        assert [found.key for found in self.offered(make_plugin()).list()] == [self.entry_of(make_plugin(), other).key]
        assert find_faults(self.entry_of(make_plugin(), other)) == []
        assert not remove([entry], 0.0), "what is gone already is no error"
        self.take(make_plugin(), other, produce_other)
        assert produce.count() == 2
        self.take(make_plugin(), source, produce)
        assert produce.count() == 3

    def test_what_is_added_is_a_hit_with_the_provenance_that_came_with_it(
        self, make_plugin: Callable[[], object], source: Source, produce: Producer, own_dir: Path
    ) -> None:
        add, sha1 = self._adding(make_plugin, source)
        produce(_folder(own_dir / "elsewhere"))
        recorded = produce.provenance
        assert recorded is not None

        def fail(dest: Path) -> Provenance:
            (dest / "half").write_bytes(b"half")
            raise ValueError("in the middle")

        with pytest.raises(ValueError, match="in the middle"):
            add(sha1, recorded, fail)
        assert list(self.offered(make_plugin()).list()) == []
        path = add(sha1, recorded, produce)
        module = self.take(make_plugin(), source, fail)
        assert module.path == path == self.entry_of(make_plugin(), source).path
        assert module.provenance == recorded
        assert add(sha1, recorded, fail) == path, "what is there already is left alone, and not read again"

    def test_what_was_found_damaged_is_mended_by_what_is_added(
        self, make_plugin: Callable[[], object], source: Source, produce: Producer
    ) -> None:
        add, sha1 = self._adding(make_plugin, source)
        self.take(make_plugin(), source, produce)
        recorded = produce.provenance
        assert recorded is not None
        entry = self.entry_of(make_plugin(), source)
        _flip_a_bit(entry.path / "saved_model.pb")
        offered = self.offered(make_plugin())
        if offered.verify is find_faults:
            pytest.skip("the cache does not know what verify found")
        assert list(offered.verify(entry))
        path = add(sha1, recorded, produce)
        assert find_faults(CacheEntry("", path, recorded)) == []

    def test_no_secret_of_a_handle_is_listed(self, make_plugin: Callable[[], object], produce: Producer) -> None:
        handle = Handle.parse(f"https://user:{CANARY}@example.com/m/1?token={CANARY}")
        source = Source(handle, handle.text)
        self.take(make_plugin(), source, produce.of(source))
        entry = self.entry_of(make_plugin(), source)
        assert_quiet(entry, entry.key, entry.path, entry.named, entry.filled, self.offered(make_plugin()))

    def _adding(self, make_plugin: Callable[[], object], source: Source) -> tuple[Callable[..., Any], str]:
        add = self.offered(make_plugin()).add
        if add is None:
            pytest.skip("nothing can be added to the cache")
        return add, hashlib.sha1(source.key.encode(), usedforsecurity=False).hexdigest()


def _another(source: Source) -> Source:
    return replace(source, handle=Handle.parse("https://example.com/m/2"))


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _flip_a_bit(path: Path) -> None:
    """As a disk does: neither size nor time tell it."""
    status = path.stat()
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    path.chmod(status.st_mode & 0o7777)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
