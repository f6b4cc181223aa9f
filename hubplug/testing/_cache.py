"""The contract of ``hubplug_cache``."""

from __future__ import annotations

import multiprocessing
import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hubplug.testing._contract import CANARY, assert_quiet, missing
from hubplug.testing._entries import EntriesContract
from hubplug.testing._modules import write_tiny_module
from hubplug.testing._producer import Producer as Producer
from hubplug.types import Handle, LocalModule, Provenance, Source

_SECONDS_OF_A_SLOW_DOWNLOAD = 0.5


class Interrupted(BaseException):
    """Not an Exception, as KeyboardInterrupt is not."""


class CacheContract(EntriesContract):
    """Keeps modules, and says what it keeps. Define the fixtures ``make_plugin`` and ``place``."""

    hook = "hubplug_cache"

    @pytest.fixture
    def make_plugin(self) -> Callable[[], object]:
        """Makes a plugin object over the same place each time, as several processes have them."""
        make: Callable[[], object] = missing("make_plugin")
        return make

    @pytest.fixture
    def place(self) -> Path:
        """The directory in which the plugin keeps its entries."""
        path: Path = missing("place")
        return path

    @pytest.fixture
    def plugin(self, make_plugin: Callable[[], object]) -> object:
        return make_plugin()

    @pytest.fixture
    def source(self) -> Source:
        """A source to be kept."""
        return Source(Handle.parse("https://example.com/m/1"), "https://example.com/m/1.tar.gz")

    @pytest.fixture
    def produce(self, source: Source, own_dir: Path) -> Producer:
        """Fills a directory with a tiny module, and counts how often it does."""
        return Producer(source, write_tiny_module(own_dir / "produced"), own_dir / "produced.log")

    def take(self, plugin: object, source: Source, produce: Callable[[Path], Provenance]) -> LocalModule:
        """Carries out the plan for a source."""
        module: LocalModule = self.value(plugin, source).run(produce)
        assert isinstance(module, LocalModule)
        return module

    def test_the_first_run_produces_and_the_next_ones_do_not(
        self, make_plugin: Callable[[], object], source: Source, produce: Producer
    ) -> None:
        assert not self.value(make_plugin(), source).hit
        first = self.take(make_plugin(), source, produce)
        assert (first.path / "tfhub_module.pb").is_file()
        assert self.value(make_plugin(), source).hit, "say hit=True in the Plan of what is there already"
        second = self.take(make_plugin(), source, produce)
        assert second.path == first.path
        assert produce.count() == 1

    def test_the_provenance_is_still_known_to_another_process(
        self, make_plugin: Callable[[], object], source: Source, produce: Producer
    ) -> None:
        self.take(make_plugin(), source, produce)
        assert self.take(make_plugin(), source, produce).provenance == produce.provenance

    def test_modules_of_two_sources_are_kept_side_by_side(
        self, make_plugin: Callable[[], object], source: Source, produce: Producer, own_dir: Path
    ) -> None:
        other = Source(Handle.parse("https://example.com/m/2"), source.location)
        produce_other = produce.of(other, module=write_tiny_module(own_dir / "other", scale=3.0))
        first, second = self.take(make_plugin(), source, produce), self.take(make_plugin(), other, produce_other)
        for module, folder in ((first, "produced"), (second, "other")):
            assert _content(own_dir / folder).items() <= _content(module.path).items()
        assert produce.count() == 2

    def test_the_same_files_from_two_sources_have_two_provenances(
        self, make_plugin: Callable[[], object], source: Source, produce: Producer
    ) -> None:
        other = Source(Handle.parse("https://example.com/m/2"), source.location)
        produce_other = produce.of(other)
        for _ in range(2):  # the files may be shared, as in a content-addressed cache; what is said of them may not
            assert self.take(make_plugin(), source, produce).provenance == produce.provenance
            assert self.take(make_plugin(), other, produce_other).provenance == produce_other.provenance
        assert produce.count() == 2

    def test_an_entry_with_another_digest_than_the_pinned_one_is_no_hit(
        self, plugin: object, source: Source, produce: Producer
    ) -> None:
        self.take(plugin, source, produce)
        pinned = replace(source, handle=replace(source.handle, sha256="f" * 64))
        again = produce.of(pinned, archive_sha256="f" * 64)
        module = self.take(plugin, pinned, again)
        assert module.provenance is not None
        assert module.provenance.archive_sha256 == "f" * 64
        assert produce.count() == 2

    @pytest.mark.parametrize("kind", [ValueError, Interrupted])
    def test_a_failure_leaves_no_entry_behind(
        self, plugin: object, source: Source, produce: Producer, place: Path, kind: type[BaseException]
    ) -> None:
        def fail(dest: Path) -> Provenance:
            (dest / "half").write_bytes(b"half")
            raise kind("in the middle")

        with pytest.raises(kind):
            self.take(plugin, source, fail)
        assert not list(place.rglob("half"))
        assert self.take(plugin, source, produce).path.is_dir()

    def test_two_threads_produce_once(
        self, make_plugin: Callable[[], object], source: Source, produce: Producer
    ) -> None:
        slow = produce.of(source, seconds=_SECONDS_OF_A_SLOW_DOWNLOAD)
        plugin = make_plugin()
        found: list[Path] = []
        threads = [threading.Thread(target=lambda: found.append(self.take(plugin, source, slow).path)) for _ in "12"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 2
        assert found[0] == found[1]
        assert produce.count() == 1

    def test_two_processes_produce_once(
        self, make_plugin: Callable[[], object], source: Source, produce: Producer
    ) -> None:
        slow = produce.of(source, seconds=_SECONDS_OF_A_SLOW_DOWNLOAD)
        context = multiprocessing.get_context("fork")

        def work() -> None:
            assert (self.take(make_plugin(), source, slow).path / "tfhub_module.pb").is_file()

        processes = [context.Process(target=work) for _ in "12"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking a process with threads; these have none
            for process in processes:
                process.start()
        for process in processes:
            process.join(600)
        assert [process.exitcode for process in processes] == [0, 0]
        assert produce.count() == 1

    def test_no_secret_of_a_handle_is_shown_or_stored(self, plugin: object, produce: Producer, place: Path) -> None:
        handle = Handle.parse(f"https://user:{CANARY}@example.com/m/1?token={CANARY}")
        source = Source(handle, handle.text)
        answer = self.ask(plugin, source)
        assert_quiet(plugin, answer, answer.value.what)
        module = answer.value.run(produce.of(source))
        assert_quiet(module)
        for path in place.rglob("*"):
            assert CANARY not in str(path)
            assert not path.is_file() or CANARY.encode() not in path.read_bytes()


def _content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
