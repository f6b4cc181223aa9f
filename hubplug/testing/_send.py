"""The contract of ``hubplug_send``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from hubplug.errors import HubplugError, MissingError
from hubplug.testing._contract import CANARY, PluginContract, assert_quiet
from hubplug.testing._server import Reply, ScriptedServer, redirect
from hubplug.testing._watching import watching
from hubplug.types import Handle
from hubplug.web import WebAnswer, WebRequest

_HANDLE = "corp://team/model"


class _Auth:
    """Signs requests to one server, and notes about what it was asked."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.asked: list[tuple[str, str | None]] = []

    def __call__(self, url: str, redirected_from: str | None = None) -> Any:
        self.asked.append((url, redirected_from))
        return _sign if url.startswith(self.prefix) else None


def _sign(request: Any) -> Any:
    request.headers["Authorization"] = f"Bearer {CANARY}"
    return request


class SendContract(PluginContract):
    """Sends requests over http. Define the fixture ``plugin``; it takes URLs of the fixture ``server``, and repeats nothing."""

    hook = "hubplug_send"

    @pytest.fixture
    def foreign_urls(self) -> Sequence[str]:
        """URLs that are not the plugin's."""
        return ["unheard-of://place/versions"]

    @pytest.fixture
    def elsewhere(self) -> Iterator[ScriptedServer]:
        """A second host."""
        with ScriptedServer("127.0.0.2") as running:
            yield running

    def send(self, plugin: object, url: str, auth_for: Callable[..., Any] | None = None, **wanted: Any) -> WebAnswer:
        """Carries out the plan for a request."""
        plan = self.value(plugin, WebRequest(url, Handle.parse(_HANDLE), **wanted))
        answer: WebAnswer = plan.run(auth_for or _Auth("nowhere"))
        assert isinstance(answer, WebAnswer)
        return answer

    def test_it_declines_what_it_does_not_know(self, plugin: object, foreign_urls: Sequence[str]) -> None:
        for url in foreign_urls:
            assert self.ask(plugin, WebRequest(url, Handle.parse(_HANDLE))).member is None

    def test_it_reads_the_whole_answer(self, plugin: object, server: ScriptedServer) -> None:
        body = bytes(range(256)) * 400
        server.on("/a", Reply(body=body, headers={"X-Version": "3"}))
        answer = self.send(plugin, server.url("/a"))
        assert (answer.status, answer.body, answer.error) == (200, body, None)
        assert answer.headers["x-version"] == "3"

    def test_a_plan_that_opens_sockets_says_so(self, plugin: object, server: ScriptedServer) -> None:
        server.on("/a", Reply(body=b"{}"))
        plan = self.value(plugin, WebRequest(server.url("/a"), Handle.parse(_HANDLE)))
        with watching() as deeds:
            plan.run(_Auth("nowhere"))
        if any(deed.kind == "network" for deed in deeds):
            assert plan.network, "set network=True in the Plan: when offline it has to be refused"

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
    def test_a_refusal_is_an_answer_with_its_error(self, plugin: object, server: ScriptedServer, status: int) -> None:
        server.on("/a", Reply(status, b'{"message": "accept the licence"}'))
        answer = self.send(plugin, server.url("/a"))
        assert (answer.status, answer.json()) == (status, {"message": "accept the licence"})
        assert isinstance(answer.error, HubplugError)
        assert isinstance(answer.error, MissingError) == (status in (404, 410))

    def test_a_redirect_is_followed_and_its_target_is_signed_for_itself(
        self, plugin: object, server: ScriptedServer, elsewhere: ScriptedServer
    ) -> None:
        server.on("/a", redirect(elsewhere.url("/b")))
        elsewhere.on("/b", Reply(body=b"there"))
        auth = _Auth(server.url("/"))
        answer = self.send(plugin, server.url("/a"), auth)
        assert (answer.body, answer.url) == (b"there", elsewhere.url("/b"))
        assert auth.asked == [(server.url("/a"), None), (elsewhere.url("/b"), server.url("/a"))]
        assert CANARY in server.requests[0].text
        assert CANARY not in elsewhere.requests[0].text, "a credential went to another host"

    def test_a_redirect_is_only_reported_where_that_is_wanted(
        self, plugin: object, server: ScriptedServer, elsewhere: ScriptedServer
    ) -> None:
        server.on("/a", redirect(elsewhere.url("/b"), 301))
        answer = self.send(plugin, server.url("/a"), follow=False)
        assert (answer.status, answer.location) == (301, elsewhere.url("/b"))
        assert elsewhere.requests == []

    @pytest.mark.parametrize("reply", [Reply(503), Reply(body=b"cut off", cut_at=3), Reply(body=b"x" * 2000)])
    def test_what_is_broken_or_too_long_is_an_error_of_one_line(
        self, plugin: object, server: ScriptedServer, reply: Reply
    ) -> None:
        server.on("/a", reply)
        with pytest.raises(HubplugError) as raised:
            self.send(plugin, server.url("/a"), most_bytes=1000)
        assert raised.value.message
        assert "\n" not in raised.value.message

    def test_a_server_that_is_gone_is_an_error_of_one_line_and_not_a_missing_page(
        self, plugin: object, closed_port: int
    ) -> None:
        with pytest.raises(HubplugError) as raised:
            self.send(plugin, f"http://127.0.0.1:{closed_port}/a")
        assert not isinstance(raised.value, MissingError), "a server that is gone does not say what it has"
        assert raised.value.message
        assert "\n" not in raised.value.message

    def test_it_shows_no_secret(self, plugin: object, server: ScriptedServer) -> None:
        for status in (200, 403, 404, 503):
            server.on("/a", Reply(status, f'{{"token": "{CANARY}"}}'.encode()))
            url = server.url(f"/a?token={CANARY}")
            answer = self.ask(plugin, WebRequest(url, Handle.parse(_HANDLE)))
            assert_quiet(answer, answer.value.what)
            try:
                said = answer.value.run(_Auth(server.url("/")))
            except HubplugError as error:
                assert_quiet(error)
            else:
                assert_quiet(said, said.error)
