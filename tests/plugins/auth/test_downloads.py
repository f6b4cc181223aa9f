"""Rules and downloads together, as the core joins them: who gets a credential, and what a refusal says about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hubplug.errors import AccessError, ConfigError, FetchError
from hubplug.types import AuthRequest, Declined, Handle
from hubplug_auth import Credentials
from tests.plugins.http.driving import ARCHIVE, bring
from tests.servers import Reply, ScriptedServer, redirect


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    with ScriptedServer("127.0.0.2") as running:
        yield running


def asking(*rules: dict[str, Any]) -> Any:
    """What the core gives to a plan: asks the plugin for each request."""
    plugin = Credentials(rules=rules)

    def auth_for(url: str, redirected_from: str | None = None) -> Any:
        answer = plugin.hubplug_auth(AuthRequest(url, Handle("the handle"), redirected_from))
        return None if isinstance(answer, Declined) else answer

    return auth_for


def test_a_token_goes_to_its_prefix_and_not_along_a_redirect(
    server: ScriptedServer, other: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORP_TOKEN", "canary")
    server.on("/m", redirect(other.url("/x?X-Amz-Signature=abc")))
    other.on("/x", Reply(body=ARCHIVE))
    assert bring(server.url("/m"), asking({"prefix": server.url("/"), "token_env": "CORP_TOKEN"})) == ARCHIVE
    assert server.requests[0].header("Authorization") == "Bearer canary"
    assert "canary" not in other.requests[0].text


def test_a_signed_url_of_the_same_prefix_stays_as_it_is(server: ScriptedServer) -> None:
    server.on("/m", redirect("/stored?X-Goog-Signature=abc"))
    server.on("/stored", Reply(body=ARCHIVE))
    assert bring(server.url("/m"), asking({"prefix": server.url("/"), "token": "word"})) == ARCHIVE
    assert [one.header("Authorization") for one in server.requests] == ["Bearer word", None]
    assert server.requests[1].target == "/stored?X-Goog-Signature=abc"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_names_the_rule_without_the_secret(
    status: int, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORP_TOKEN", "canary")
    server.on("/m", Reply(status, b"token canary is not welcome"))
    with pytest.raises(AccessError) as caught:
        bring(server.url("/m"), asking({"prefix": server.url("/"), "token_env": "CORP_TOKEN"}))
    assert f"bearer token from environment variable CORP_TOKEN, rule for {server.url('/')}" in caught.value.message
    assert "token *** is not welcome" in caught.value.message


def test_a_rule_without_its_secret_sends_nothing(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE))
    with pytest.raises(ConfigError, match="environment variable NO_SUCH_TOKEN is not set"):
        bring(server.url("/m"), asking({"prefix": server.url("/"), "token_env": "NO_SUCH_TOKEN"}))
    assert server.connections == 0


def test_a_withdrawn_oauth2_token_is_renewed_within_the_download(server: ScriptedServer) -> None:
    tokens = iter(["first", "second"])
    server.on("/token", lambda request: Reply(200, b'{"access_token": "%s"}' % next(tokens).encode()))
    server.on(
        "/m/1",
        lambda request: Reply(body=ARCHIVE) if request.header("Authorization") == "Bearer second" else Reply(401),
    )
    rule = {
        "prefix": server.url("/m/"),
        "token_url": server.url("/token"),
        "client_id": "me",
        "client_secret": "word",
    }
    assert bring(server.url("/m/1"), asking(rule)) == ARCHIVE
    assert [one.path for one in server.requests] == ["/token", "/m/1", "/token", "/m/1"]


def test_a_withdrawn_oauth2_token_that_cannot_be_renewed_is_what_the_error_is_about(server: ScriptedServer) -> None:
    server.on("/token", Reply(200, b'{"access_token": "first"}'), Reply(401, b'{"error": "invalid_client"}'))
    server.on("/m/1", Reply(401))
    rule = {
        "prefix": server.url("/m/"),
        "token_url": server.url("/token"),
        "client_id": "me",
        "client_secret": "word",
    }
    with pytest.raises(AccessError, match=r"token endpoint .* gave no token \(status 401, invalid_client\)"):
        bring(server.url("/m/1"), asking(rule))
    assert [one.path for one in server.requests] == ["/token", "/m/1", "/token"]


def test_a_token_that_no_header_can_hold_is_not_tried_again(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE))
    with pytest.raises(FetchError, match="a header is malformed") as caught:
        bring(server.url("/m"), asking({"prefix": server.url("/"), "token": "canary\u2026"}))
    assert "canary" not in str(caught.value)
    assert server.requests == []
