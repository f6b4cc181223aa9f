"""The contract of ``hubplug_fetch``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hubplug.asking import Asker
from hubplug.errors import HubplugError, MissingError
from hubplug.files.tree import TreeWriter
from hubplug.hub import Hub
from hubplug.testing._contract import CANARY, PluginContract, assert_quiet, missing
from hubplug.testing._watching import watching
from hubplug.types import ArchiveStream, Handle, Source
from hubplug.web import WebAnswer


class FetchContract(PluginContract):
    """Brings sources. Define the fixtures ``plugin``, ``source`` and ``missing_source``."""

    hook = "hubplug_fetch"

    @pytest.fixture
    def source(self) -> Source:
        """A source that the plugin brings, and that is there."""
        found: Source = missing("source")
        return found

    @pytest.fixture
    def missing_source(self) -> Source:
        """A source that is the plugin's, with nothing there."""
        found: Source = missing("missing_source")
        return found

    @pytest.fixture
    def unreachable_source(self) -> Source:
        """A source of the plugin's at a server that is gone; demanded of plugins whose plans need the network.

        The fixture ``closed_port`` gives a port of the loopback interface that refuses connections.
        """
        found: Source = missing("unreachable_source")
        return found

    @pytest.fixture
    def foreign_sources(self) -> Sequence[Source]:
        """Sources that are not the plugin's."""
        return [Source(Handle.parse("unheard-of://m"), "unheard-of://m")]

    def bring(self, plugin: object, source: Source, dest: Path) -> Any:
        """What the plan gives; an archive is read to its end, and its bytes are the value."""
        plan = self.value(plugin, source)
        dest.mkdir(exist_ok=True)
        tree = TreeWriter(dest)
        got = plan.run(tree, _Unsigned(source))
        if isinstance(got, ArchiveStream):
            data = b""
            with got:
                while more := got.read(1 << 20):
                    data += more
            assert got.sha256() == hashlib.sha256(data).hexdigest()
            return data
        if got is None:
            assert tree.finish(), "it brought no archive and wrote no file"
        return got

    def test_it_declines_what_it_does_not_know(self, plugin: object, foreign_sources: Sequence[Source]) -> None:
        for source in foreign_sources:
            assert self.ask(plugin, source).member is None

    def test_it_brings_an_archive_or_a_tree_or_names_another_handle(
        self, plugin: object, source: Source, own_dir: Path
    ) -> None:
        got = self.bring(plugin, source, own_dir / "dest")
        assert got is None or (isinstance(got, bytes) and got) or isinstance(got, Handle)

    def test_it_brings_the_same_every_time(self, plugin: object, source: Source, own_dir: Path) -> None:
        first, second = (self.bring(plugin, source, own_dir / name) for name in ("first", "second"))
        assert first == second
        assert _content(own_dir / "first") == _content(own_dir / "second")

    def test_a_plan_that_opens_sockets_says_so(self, plugin: object, source: Source, own_dir: Path) -> None:
        plan = self.value(plugin, source)
        with watching() as deeds:
            self.bring(plugin, source, own_dir / "dest")
        if any(deed.kind == "network" for deed in deeds):
            assert plan.network, "set network=True in the Plan: when offline it has to be refused"

    def test_nothing_there_is_an_error_of_one_line_that_leaves_nothing_behind(
        self, plugin: object, missing_source: Source, own_dir: Path
    ) -> None:
        with pytest.raises(HubplugError) as raised:
            self.bring(plugin, missing_source, own_dir / "dest")
        assert raised.value.message
        assert "\n" not in raised.value.message
        assert _content(own_dir / "dest") == {}

    def test_a_server_that_is_gone_is_an_error_of_one_line_and_not_a_missing_module(
        self, plugin: object, source: Source, own_dir: Path, request: pytest.FixtureRequest
    ) -> None:
        if not self.value(plugin, source).network:
            return  # there is no server
        unreachable: Source = request.getfixturevalue("unreachable_source")
        with pytest.raises(HubplugError) as raised:
            self.bring(plugin, unreachable, own_dir / "dest")
        assert not isinstance(raised.value, MissingError), "a server that is gone does not say what it has"
        assert raised.value.message
        assert "\n" not in raised.value.message
        assert _content(own_dir / "dest") == {}

    def test_it_shows_no_secret(self, plugin: object, source: Source, missing_source: Source, own_dir: Path) -> None:
        for index, one in enumerate((source, missing_source)):
            if "://" not in one.location:
                continue
            separator = "&" if "?" in one.location else "?"
            secret = replace(one, location=f"{one.location}{separator}token={CANARY}")
            try:
                answer = self.ask(plugin, secret)
                assert_quiet(answer, *answer.declined)
                if answer.member is not None:
                    assert_quiet(answer.value.what)
                    self.bring(plugin, secret, own_dir / str(index))
            except HubplugError as error:
                assert_quiet(error)


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class _Unsigned:
    """What plans get as ``auth_for``: nothing is signed; who sends is the built-in ``http``, which tries once."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __call__(self, url: str, redirected_from: str | None = None) -> None:
        return None

    def send(self, url: str, *, follow: bool = True) -> WebAnswer:
        hub = Hub({"chain": ["http"], "plugins": {"http": {"options": {"retries": 0}}}})
        return Asker(hub.chain, hub.config, self._source.handle, url).send(url, follow=follow)
