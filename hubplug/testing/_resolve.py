"""The contract of ``hubplug_resolve``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from hubplug.asking import Asker
from hubplug.errors import HubplugError, MissingError, PluginError
from hubplug.hub import Hub
from hubplug.testing._contract import CANARY, PluginContract, assert_quiet, missing
from hubplug.testing._watching import watching
from hubplug.types import Handle, Plan, Source
from hubplug.web import WebAnswer

_DIGEST = "0123456789abcdef" * 4


class ResolveContract(PluginContract):
    """Says where handles live. Define the fixtures ``plugin`` and ``handles``.

    For handles that mean the latest of something, which are answered with a Plan, define ``latest_handles`` too.
    """

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

    @pytest.fixture
    def latest_handles(self) -> Sequence[str]:
        """Handles that mean the latest of something, about which the plugin has to ask a server that is there."""
        return []

    @pytest.fixture
    def unreachable_plugin(self) -> object:
        """The plugin with a server that is gone, for example at the fixture ``closed_port``; demanded with ``latest_handles``."""
        return missing("unreachable_plugin")

    @pytest.fixture
    def asker(self, plugin: object, make_hub: Callable[..., Hub]) -> Callable[[Handle], Asker]:
        """Makes what plans get as ``auth_for``: who sends is the plugin itself, or the built-in ``http``, which tries once."""
        hub = make_hub(plugin, plugins={"http": {"options": {"retries": 0}}})
        return lambda handle: Asker(hub.chain, hub.config, handle, handle.text)

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

    def test_what_is_latest_is_asked_by_a_plan_that_says_so(
        self, plugin: object, latest_handles: Sequence[str], asker: Callable[[Handle], Asker]
    ) -> None:
        for text in latest_handles:
            handle = Handle.parse(text)
            plan = self.value(plugin, handle)
            assert isinstance(plan, Plan), "answer with a Plan: deciding asks no server"
            with watching() as deeds:
                plan.run(asker(handle))
            if any(deed.kind == "network" for deed in deeds):
                assert plan.network, "set network=True in the Plan: when offline it has to be refused"

    def test_what_is_latest_is_named_by_a_handle_that_always_means_it(
        self, plugin: object, latest_handles: Sequence[str], asker: Callable[[Handle], Asker]
    ) -> None:
        for text in latest_handles:
            asked = Handle(Handle.parse(text).text, _DIGEST, asked_before=Handle.parse("first://m"))
            first, second = (self.value(plugin, asked).run(asker(asked)) for _ in range(2))
            assert isinstance(first, Handle)
            assert first == second
            assert first.text != asked.text
            assert (first.original.text, first.sha256) == ("first://m", _DIGEST), (
                "make the other handle with handle.instead(...)"
            )
            again = self.ask(plugin, first).value
            assert not isinstance(again, Plan), "what the plan names must not mean the latest of something again"

    def test_a_server_that_is_gone_is_an_error_of_one_line_and_says_nothing_of_what_is_there(
        self, latest_handles: Sequence[str], asker: Callable[[Handle], Asker], request: pytest.FixtureRequest
    ) -> None:
        for text in latest_handles:
            handle = Handle.parse(text)
            gone = request.getfixturevalue("unreachable_plugin")
            with pytest.raises(HubplugError) as raised:
                self.value(gone, handle).run(asker(handle))
            assert not isinstance(raised.value, MissingError), "a server that is gone does not say what it has"
            assert raised.value.message
            assert "\n" not in raised.value.message

    @pytest.mark.parametrize("body", [b"<html>sign in</html>", b"", b"null", b"[]", b"{}", b'"x"', b"[" * 100_000])
    def test_an_answer_that_makes_no_sense_is_the_mistake_of_the_server(
        self, plugin: object, latest_handles: Sequence[str], body: bytes
    ) -> None:
        for text in latest_handles:
            asked, raised = _Nonsense(body), None
            try:
                self.value(plugin, Handle.parse(text)).run(asked)
            except Exception as error:
                raised = error
            if raised is None:
                assert not asked.urls, "the plan took nonsense for an answer"
            else:
                is_ours = isinstance(raised, HubplugError) and not isinstance(raised, PluginError)
                assert is_ours, f"raise a FetchError, as answer.json() and answer.member(...) do: {raised!r}"
                assert "\n" not in str(raised).partition("\nhint:")[0]

    def test_a_plan_shows_no_secret(self, plugin: object, latest_handles: Sequence[str]) -> None:
        for text in latest_handles:
            separator = "&" if "?" in text else "?"
            try:
                answer = self.ask(plugin, Handle(f"{Handle.parse(text).text}{separator}token={CANARY}"))
            except HubplugError as error:
                assert_quiet(error)
            else:
                assert_quiet(answer, getattr(answer.value, "what", ""), *answer.declined)


class _Nonsense:
    """A network in which every server answers with the same bytes."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.urls: list[str] = []

    def __call__(self, url: str, redirected_from: str | None = None, /) -> None:
        return None

    def send(self, url: str, *, follow: bool = True) -> WebAnswer:
        self.urls.append(url)
        return WebAnswer(url, 200, body=self.body)
