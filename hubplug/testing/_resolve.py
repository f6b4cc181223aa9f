"""The contract of ``hubplug_resolve``."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hubplug.errors import HubplugError
from hubplug.testing._contract import CANARY, PluginContract, assert_quiet, missing
from hubplug.types import Handle, Source

_DIGEST = "0123456789abcdef" * 4


class ResolveContract(PluginContract):
    """Says where handles live. Define the fixtures ``plugin`` and ``handles``."""

    hook = "hubplug_resolve"

    @pytest.fixture
    def handles(self) -> Sequence[str]:
        """Handles that the plugin takes."""
        sequence: Sequence[str] = missing("handles")
        return sequence

    @pytest.fixture
    def foreign_handles(self) -> Sequence[str]:
        """Handles that are not the plugin's."""
        return ["unheard-of://place/m/1"]

    def test_it_answers_for_its_handles(self, plugin: object, handles: Sequence[str]) -> None:
        for text in handles:
            assert isinstance(self.value(plugin, Handle.parse(text)), (Source, Handle))

    def test_it_declines_what_it_does_not_know(self, plugin: object, foreign_handles: Sequence[str]) -> None:
        for text in foreign_handles:
            assert self.ask(plugin, Handle.parse(text)).member is None

    def test_it_answers_the_same_every_time(self, plugin: object, handles: Sequence[str]) -> None:
        for text in handles:
            first, second = (self.value(plugin, Handle.parse(text)) for _ in range(2))
            assert type(first) is type(second)
            if isinstance(first, Handle):
                assert first == second
            else:
                assert (first.location, first.key) == (second.location, second.key)

    def test_it_keeps_the_pin_and_where_the_handle_came_from(self, plugin: object, handles: Sequence[str]) -> None:
        for text in handles:
            asked = Handle(Handle.parse(text).text, _DIGEST, asked_before=Handle.parse("first://m"))
            answer = self.value(plugin, asked)
            handle = answer.handle if isinstance(answer, Source) else answer
            assert handle.original.text == "first://m", "make the other handle with handle.instead(...)"
            assert handle.sha256 == _DIGEST, "make the other handle with handle.instead(...)"

    def test_it_shows_no_secret(self, plugin: object, handles: Sequence[str]) -> None:
        for text in handles:
            handle = Handle.parse(text)
            if not handle.scheme:
                continue
            separator = "&" if "?" in handle.text else "?"
            try:
                answer = self.ask(plugin, Handle(f"{handle.text}{separator}token={CANARY}"))
            except HubplugError as error:
                assert_quiet(error)
            else:
                assert_quiet(answer, answer.value, *answer.declined)
