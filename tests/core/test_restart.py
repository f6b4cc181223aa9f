"""A source that changes while it is transferred is fetched from the start again, a few times."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

import hubplug
from hubplug.errors import SourceChanged
from hubplug.hookspecs import RunFetch, RunUnpack
from hubplug.types import ArchiveStream, Handle, Plan, Source
from tests.core.small_plugins import TextFormat


class Changing:
    """Writes half a module and finds the source changed, as often as it is told."""

    def __init__(self, changes: int) -> None:
        self.changes = changes
        self.fetched = 0

    @hubplug.hookimpl
    def hubplug_resolve(self, handle: Handle) -> Source | None:
        return Source(handle, handle.text)

    @hubplug.hookimpl
    def hubplug_fetch(self, source: Source) -> Plan[RunFetch]:
        def run(tree, auth_for):
            self.fetched += 1
            return ArchiveStream(io.BytesIO(b"x"), name=str(source))

        return Plan("fetch", run)

    @hubplug.hookimpl
    def hubplug_unpack(self, archive: ArchiveStream) -> Plan[RunUnpack]:
        def run(tree):
            archive.read(10)
            with tree.open("model.txt") as file:
                file.write(f"version {self.fetched}".encode())
            if self.fetched <= self.changes:
                with tree.open("only-in-the-old-version/left-over") as file:
                    file.write(b"old")
                raise SourceChanged("the server has something else now")

        return Plan("unpack", run)


def test_what_comes_in_the_end_is_whole_and_of_one_version() -> None:
    changing = Changing(changes=2)
    hub = hubplug.Hub({"chain": []}, plugins=[changing, TextFormat()])
    path = hub.resolve("some://module").path
    assert [file.name for file in path.iterdir()] == ["model.txt"]
    assert (path / "model.txt").read_text() == "version 3"


def test_a_source_that_keeps_changing_is_given_up(tmp_path: Path) -> None:
    changing = Changing(changes=99)
    hub = hubplug.Hub({"chain": []}, plugins=[changing, TextFormat()])
    with pytest.raises(SourceChanged):
        hub.resolve("some://module")
    assert changing.fetched == 3
