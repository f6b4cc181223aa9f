"""Tokens that somebody else gives: OAuth2 client credentials and Google's default credentials, over real sockets."""

from __future__ import annotations

import base64
import json
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from hubplug.errors import AccessError, ConfigError, FetchError, HubplugError
from hubplug_auth import Credentials
from tests.plugins.auth.signing import URL, signed, signer
from tests.servers import Reply, Request, ScriptedServer, redirect

HUB = "https://hub.example.com/"


def token_reply(word: str, lifetime: float | None = 3600, status: int = 200) -> Reply:
    answer: dict[str, Any] = {"access_token": word, "token_type": "Bearer"}
    if lifetime is not None:
        answer["expires_in"] = lifetime
    return Reply(status, json.dumps(answer).encode(), {"Content-Type": "application/json"})


def oauth_rule(server: ScriptedServer, **more: Any) -> dict[str, Any]:
    return {"prefix": HUB, "token_url": server.url("/token"), "client_id": "me", "client_secret": "canary", **more}


def form_of(request: Request) -> dict[str, list[str]]:
    return parse_qs(request.body.decode())


def test_a_token_is_fetched_once_and_kept(server: ScriptedServer) -> None:
    server.on("/token", token_reply("word"))
    plugin = Credentials(rules=[oauth_rule(server, scope="read", audience="hub")])
    for _ in range(3):
        assert signed(plugin)["Authorization"] == "Bearer word"
    (request,) = server.requests
    assert request.method == "POST"
    assert form_of(request) == {"grant_type": ["client_credentials"], "scope": ["read"], "audience": ["hub"]}
    assert request.header("Authorization") == "Basic " + base64.b64encode(b"me:canary").decode()


def test_name_and_secret_can_go_into_the_body(server: ScriptedServer) -> None:
    server.on("/token", token_reply("word"))
    assert signed([oauth_rule(server, client_auth="body")])["Authorization"] == "Bearer word"
    (request,) = server.requests
    assert request.header("Authorization") is None
    assert form_of(request)["client_secret"] == ["canary"]


def test_a_token_near_its_end_is_renewed(server: ScriptedServer) -> None:
    server.on("/token", token_reply("first", 0.001), token_reply("second", None))
    plugin = Credentials(rules=[oauth_rule(server)])
    assert signed(plugin)["Authorization"] == "Bearer first"
    time.sleep(0.01)
    assert [signed(plugin)["Authorization"] for _ in range(2)] == ["Bearer second"] * 2


@pytest.mark.parametrize(
    "lifetime",
    [b"9" * 20, b"-5", b"0", b"1e400", b"NaN", b"-Infinity", b'"3600"', b'"x"', b"true", b"null", b"[]", b'"\\u0663"'],
)
def test_an_odd_lifetime_does_not_keep_a_token_from_being_used(lifetime: bytes, server: ScriptedServer) -> None:
    server.on("/token", Reply(body=b'{"access_token": "word", "expires_in": %s}' % lifetime), Reply(500))
    plugin = Credentials(rules=[oauth_rule(server)])
    assert [signed(plugin)["Authorization"] for _ in range(2)] == ["Bearer word"] * 2


def test_a_token_that_is_refused_is_renewed_once(server: ScriptedServer) -> None:
    server.on("/token", token_reply("first"), token_reply("second"))
    server.on("/m", lambda request: Reply(200 if request.header("Authorization") == "Bearer second" else 401))
    rule = oauth_rule(server) | {"prefix": server.url("/")}
    plugin = Credentials(rules=[rule])
    assert requests.get(server.url("/m"), auth=signer(plugin, server.url("/m")), timeout=200).status_code == 200
    server.on("/m", Reply(401))
    server.on("/token", token_reply("third"))
    before = len(server.requests)
    assert requests.get(server.url("/m"), auth=signer(plugin, server.url("/m")), timeout=200).status_code == 401
    assert [one.path for one in server.requests[before:]] == ["/m", "/token", "/m"]


def test_threads_share_one_token(server: ScriptedServer) -> None:
    server.on("/token", token_reply("word"))
    plugin = Credentials(rules=[oauth_rule(server)])
    threads = [threading.Thread(target=signed, args=(plugin,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(401, b'{"error": "invalid_client"}'), r"gave no token \(status 401, invalid_client\)"),
        (Reply(400, b'{"error": "canary canary"}'), r"gave no token \(status 400\)"),
        (Reply(400, b'{"error": ["canary"]}'), r"gave no token \(status 400\)"),
        (Reply(200, b'{"token": "canary"}'), r"gave no token \(status 200\)"),
        (Reply(200, b'{"access_token": "canary\\r\\nX: y"}'), "gave no token"),
        (Reply(200, b"<html>canary"), "gave no token"),
        (Reply(200, b'["canary"]'), "gave no token"),
        (Reply(200, b'{"access_token": "canary", "expires_in": %s}' % (b"9" * 5000)), "no JSON object"),
        (Reply(200, b"[" * 100_000), "no JSON object"),
        (Reply(500, b"canary"), "gave no token"),
        (redirect("http://127.0.0.2:1/token?canary=canary"), r"gave no token \(status 302\)"),
    ],
    ids=[
        "refused",
        "odd error",
        "list of errors",
        "other answer",
        "two lines",
        "html",
        "list",
        "endless number",
        "deep",
        "broken",
        "redirect",
    ],
)
def test_without_a_token_nothing_is_sent(reply: Reply, words: str, server: ScriptedServer) -> None:
    server.on("/token", reply)
    with pytest.raises(AccessError, match=words) as caught:
        signed([oauth_rule(server, client_secret="canary")])
    assert "canary" not in str(caught.value)
    assert "the request was not sent" in caught.value.message


def test_an_endpoint_that_cannot_be_reached() -> None:
    rule = {
        "prefix": HUB,
        "token_url": "http://127.0.0.1:1/t?canary=canary",
        "client_id": "me",
        "client_secret": "canary",
    }
    with pytest.raises(FetchError, match=r"http://127\.0\.0\.1:1/t\?canary=\*\*\* cannot be reached") as caught:
        signed([rule])
    assert caught.value.__context__ is None


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_bundle_that_is_not_there_is_not_the_endpoints_fault(
    variable: str, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "/no/such/bundle")
    with pytest.raises(ConfigError, match=f"^{variable} names '/no/such/bundle', and there is no such file"):
        signed([oauth_rule(server) | {"token_url": server.url("/token").replace("http:", "https:")}])
    assert server.connections == 0
    server.on("/token", token_reply("word"))
    assert signed([oauth_rule(server)])["Authorization"] == "Bearer word"


def test_an_endpoint_that_breaks_off(server: ScriptedServer) -> None:
    server.on("/token", Reply(200, b'{"access_token": "canary"}', cut_at=10))
    with pytest.raises(FetchError, match=r"/token cannot be reached \(ProtocolError\)") as caught:
        signed([oauth_rule(server)])
    assert "the request was not sent" in caught.value.message
    assert caught.value.__context__ is None


def google_key(path: Path, server: ScriptedServer) -> None:
    """A service account's key file whose token endpoint is ours."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {
        "type": "service_account",
        "project_id": "models",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": "reader@models.example",
        "client_id": "1",
        "token_uri": server.url("/token"),
    }
    path.write_text(json.dumps(account))


def test_google_default_credentials_sign_urls_of_google_storage(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    google_key(tmp_path / "key.json", server)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    server.on("/token", token_reply("word"))
    plugin = Credentials(rules=[{"google": True}])
    url = "https://storage.googleapis.com/bucket/m.tar.gz"
    for _ in range(2):
        assert signed(plugin, url)["Authorization"] == "Bearer word"
    assert len(server.requests) == 1
    assert signer(plugin, url).hubplug_rule == (
        "Google application default credentials, rule for https://storage.googleapis.com/"
    )
    assert signer(plugin, URL) is None


def test_google_credentials_that_google_refuses(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    google_key(tmp_path / "key.json", server)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    server.on("/token", Reply(400, b'{"error": "invalid_grant"}', {"Content-Type": "application/json"}))
    with pytest.raises(AccessError, match="Google gave no token for them"):
        signed([{"google": True}], "https://storage.googleapis.com/bucket/m")


def test_without_google_credentials_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(HubplugError, match=r"Google application default credentials, rule for .*: there are none"):
        signed([{"google": True}], "https://storage.googleapis.com/bucket/m")
