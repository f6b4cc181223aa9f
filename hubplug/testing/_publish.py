"""The contract of ``hubplug_publish``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from hubplug.errors import HubplugError, OccupiedError
from hubplug.hookspecs import RunPublish
from hubplug.testing._contract import CANARY, PluginContract, assert_quiet, missing
from hubplug.testing._watching import watching
from hubplug.types import Handle, Plan

FILES: Mapping[str, bytes] = {
    "tfhub_module.pb": b"\x08\x03",
    "saved_model.pb": b"\x08\x01\x12\x00",
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": bytes(range(256)) * 64,
    "assets/empty.txt": b"",
}


class PublishContract(PluginContract):
    """Puts modules into places. Define the fixtures ``plugin``, ``handle`` and ``content``.

    Of a plugin whose plans need the network, ``unreachable_handle``: a place at a server that is gone.
    """

    hook = "hubplug_publish"

    @pytest.fixture
    def handle(self) -> str:
        """A place of the plugin's that is free; another one for each test."""
        text: str = missing("handle")
        return text

    @pytest.fixture
    def content(self) -> Callable[[str], Mapping[str, bytes]]:
        """A function from a place to what is there: path -> bytes of each file, nothing when it is free."""
        read: Callable[[str], Mapping[str, bytes]] = missing("content")
        return read

    @pytest.fixture
    def foreign_handles(self) -> Sequence[str]:
        """Places that are not the plugin's."""
        return ["unheard-of://m"]

    def plan(self, plugin: object, handle: str) -> Plan[RunPublish]:
        """What the plugin would do. For one that only names other places, test what it names instead."""
        value = self.value(plugin, Handle.parse(handle))
        assert isinstance(value, Plan), f"it names {value} instead of {handle}: this contract is about plans"
        return value

    def publish(self, plugin: object, handle: str, files: Mapping[str, bytes] = FILES) -> None:
        """Publishes files."""
        calls: list[Path] = []

        def produce(dest: Path) -> None:
            calls.append(dest)
            assert dest.is_dir(), "produce takes a directory that is there"
            assert not any(dest.iterdir()), "produce takes an empty directory"
            _write(dest, files)

        self.plan(plugin, handle).run(produce)
        assert len(calls) == 1, f"produce was called {len(calls)} times"
        assert not calls[0].exists() or not any(calls[0].iterdir()), f"the working copy {calls[0]} is left behind"

    def test_it_declines_what_it_does_not_know(self, plugin: object, foreign_handles: Sequence[str]) -> None:
        for text in foreign_handles:
            assert self.ask(plugin, Handle.parse(text)).member is None

    def test_it_publishes_every_file(
        self, plugin: object, handle: str, content: Callable[[str], Mapping[str, bytes]]
    ) -> None:
        self.publish(plugin, handle)
        assert dict(content(handle)) == FILES

    def test_it_writes_over_nothing_and_looks_before_anything_is_produced(
        self, plugin: object, handle: str, content: Callable[[str], Mapping[str, bytes]]
    ) -> None:
        self.publish(plugin, handle)
        with pytest.raises(OccupiedError) as raised:
            self.plan(plugin, handle).run(lambda dest: pytest.fail("produce was called", pytrace=False))
        assert "\n" not in raised.value.message
        assert dict(content(handle)) == FILES

    @pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
    def test_a_module_that_cannot_be_produced_leaves_nothing(
        self,
        plugin: object,
        handle: str,
        content: Callable[[str], Mapping[str, bytes]],
        kind: type[BaseException],
    ) -> None:
        places: list[Path] = []

        def produce(dest: Path) -> None:
            places.append(dest)
            _write(dest, {"saved_model.pb": b"half"})
            raise kind("no module")

        with pytest.raises((kind, HubplugError)):
            self.plan(plugin, handle).run(produce)
        assert dict(content(handle)) == {}
        assert not places[0].exists() or not any(places[0].iterdir())
        self.publish(plugin, handle)
        assert dict(content(handle)) == FILES

    def test_a_plan_that_opens_sockets_says_so(self, plugin: object, handle: str) -> None:
        plan = self.plan(plugin, handle)
        with watching() as deeds:
            plan.run(lambda dest: _write(dest, FILES))
        if any(deed.kind == "network" for deed in deeds):
            assert plan.network, "set network=True in the Plan: when offline it has to be refused"

    def test_a_server_that_is_gone_is_an_error_of_one_line(
        self, plugin: object, handle: str, request: pytest.FixtureRequest
    ) -> None:
        if not self.plan(plugin, handle).network:
            return  # there is no server
        unreachable: str = request.getfixturevalue("unreachable_handle")
        with pytest.raises(HubplugError) as raised:
            self.plan(plugin, unreachable).run(lambda dest: _write(dest, FILES))
        assert not isinstance(raised.value, OccupiedError), "a server that is gone does not say what it has"
        assert raised.value.message
        assert "\n" not in raised.value.message

    def test_it_shows_no_secret(self, plugin: object, handle: str) -> None:
        secret = f"{handle}{'&' if '?' in handle else '?'}token={CANARY}"
        try:
            answer = self.ask(plugin, Handle.parse(secret))
            assert_quiet(answer, *answer.declined)
            if answer.member is not None:
                assert_quiet(getattr(answer.value, "what", answer.value))
        except HubplugError as error:
            assert_quiet(error)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
