"""Kaggle's credentials: where they are looked for, in which order, and that none of them goes anywhere else."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import hubplug
from hubplug.errors import AccessError, ConfigError
from hubplug.testing import Reply, ScriptedServer, redirect
from hubplug_kaggle import Kaggle
from tests.plugins.kaggle.conftest import PATH
from tests.plugins.kaggle.stand_in import BASIC, KEY, TOKEN, USER, StandIn

MakeHub = Callable[..., hubplug.Hub]


def give(where: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts credentials where Kaggle's tools look."""
    if where == "KAGGLE_API_TOKEN":
        monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    elif where == "KAGGLE_API_TOKEN, a file":
        (home / "mine").write_text(f"{TOKEN}\n")
        monkeypatch.setenv("KAGGLE_API_TOKEN", str(home / "mine"))
    elif where == "access_token":
        (home / "access_token").write_text(f"{TOKEN}\n")
    elif where == "variables":
        monkeypatch.setenv("KAGGLE_USERNAME", USER)
        monkeypatch.setenv("KAGGLE_KEY", KEY)
    else:
        place = home if where == "kaggle.json" else home / "config"
        place.mkdir(exist_ok=True)
        (place / "kaggle.json").write_text(json.dumps({"username": USER, "key": KEY}))
        if where == "KAGGLE_CONFIG_DIR":
            monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(place))


WAYS = {
    "KAGGLE_API_TOKEN": f"Bearer {TOKEN}",
    "KAGGLE_API_TOKEN, a file": f"Bearer {TOKEN}",
    "access_token": f"Bearer {TOKEN}",
    "variables": f"Basic {BASIC}",
    "KAGGLE_CONFIG_DIR": f"Basic {BASIC}",
    "kaggle.json": f"Basic {BASIC}",
}


@pytest.mark.parametrize("where", WAYS)
def test_a_gated_model_comes_with_the_credentials_that_are_there_and_they_stay_with_kaggle(
    where: str, make_kaggle_hub: MakeHub, kaggle: StandIn, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kaggle.gated.add(PATH)
    give(where, home, monkeypatch)
    make_kaggle_hub().resolve(f"kaggle://{PATH}")
    assert [request.header("Authorization") for request in kaggle.server.requests] == [WAYS[where]] * 2
    assert len(kaggle.storage.requests) == 1
    assert kaggle.storage.requests[0].header("Authorization") is None


def test_the_first_of_them_counts(kaggle: StandIn, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Kaggle(endpoint=kaggle.endpoint)
    rules = []
    for where in reversed(WAYS):
        give(where, home, monkeypatch)
        request = hubplug.AuthRequest(f"{kaggle.endpoint}/api/v1/models/{PATH}/get", hubplug.Handle.parse("kaggle://x"))
        rules.append(plugin.hubplug_auth(request).hubplug_rule)  # type: ignore[attr-defined]
    assert rules == [
        f"user name and key in {home}/kaggle.json",
        f"user name and key in {home}/config/kaggle.json",
        "KAGGLE_USERNAME and KAGGLE_KEY",
        f"bearer token in {home}/access_token",
        "bearer token of KAGGLE_API_TOKEN",
        "bearer token of KAGGLE_API_TOKEN",
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("handle", [f"kaggle://{PATH}", f"kaggle://{PATH}/1"])
def test_no_redirect_of_the_api_takes_a_credential_along(
    status: int,
    handle: str,
    make_kaggle_hub: MakeHub,
    kaggle: StandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    with ScriptedServer("127.0.0.2") as thief, ScriptedServer() as other_port:
        for server, path in ((thief, "x"), (other_port, "y")):
            kaggle.server.always(redirect(server.url(f"/api/v1/models/{PATH}/{path}"), status))
            with pytest.raises(hubplug.HubplugError):
                make_kaggle_hub().resolve(handle)
            assert server.requests
            assert all(TOKEN not in request.text for request in server.requests)


def test_requests_elsewhere_are_not_signed(kaggle: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    hub = hubplug.Hub({"chain": []}, plugins=[Kaggle(endpoint=kaggle.endpoint)])
    port = kaggle.server.port
    for url in ("https://storage.googleapis.com/x", f"http://127.0.0.2:{port}/api/v1/x", f"http://127.0.0.1:{port}/x",
                f"https://127.0.0.1:{port}/api/v1/x", f"http://127.0.0.1:{port}@elsewhere.example/api/v1/x"):  # fmt: skip
        assert (
            hub.chain.ask("hubplug_auth", hubplug.AuthRequest(url, hubplug.Handle.parse("kaggle://x"))).member is None
        )


@pytest.mark.parametrize("token", ["two words", "with\nbreak", " ", "ünicode"])
def test_a_token_that_is_none_is_not_sent(
    token: str, make_kaggle_hub: MakeHub, kaggle: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", token)
    with pytest.raises(ConfigError, match="not sent"):
        make_kaggle_hub().resolve(f"kaggle://{PATH}")
    assert kaggle.asked == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"username": "x"}', b'{"username": 1, "key": "canary-key"}', b"\xff"]
)
def test_a_file_that_cannot_be_used_is_an_error_and_nothing_is_sent_unsigned(
    content: bytes, make_kaggle_hub: MakeHub, kaggle: StandIn, home: Path
) -> None:
    (home / "kaggle.json").write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        make_kaggle_hub().resolve(f"kaggle://{PATH}/1")
    assert "kaggle.json has no username and key in it" in raised.value.message
    assert "canary" not in f"{raised.value} {raised.value.__cause__}"
    assert kaggle.asked == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_an_error(make_kaggle_hub: MakeHub, home: Path) -> None:
    (home / "kaggle.json").touch(0)
    with pytest.raises(ConfigError, match="cannot be read"):
        make_kaggle_hub().resolve(f"kaggle://{PATH}/1")


@pytest.mark.parametrize("where", ["KAGGLE_API_TOKEN", "variables"])
def test_no_secret_is_shown_whatever_the_server_repeats(
    where: str,
    make_kaggle_hub: MakeHub,
    kaggle: StandIn,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    give(where, home, monkeypatch)
    said = json.dumps({"code": 403, "message": f"{TOKEN} {KEY} {BASIC}"}).encode()
    shown = ""
    with caplog.at_level(logging.DEBUG):
        for status in (401, 403, 404, 500, 400):
            kaggle.server.always(Reply(status, said))
            for handle in (f"kaggle://{PATH}", f"kaggle://{PATH}/1"):
                with pytest.raises(hubplug.HubplugError) as raised:
                    make_kaggle_hub().resolve(handle)
                shown += f"{raised.value} {raised.value.__cause__}"
    secrets = (TOKEN,) if where == "KAGGLE_API_TOKEN" else (KEY, BASIC)
    for secret in secrets:
        assert secret not in shown + caplog.text


def test_a_refusal_says_with_what_the_request_was_signed(
    make_kaggle_hub: MakeHub, kaggle: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "another")
    with pytest.raises(AccessError, match="Credentials: bearer token of KAGGLE_API_TOKEN"):
        make_kaggle_hub().resolve(f"kaggle://{PATH}/1")


def test_a_file_that_was_merely_found_may_not_say_where_credentials_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hubplug.yaml").write_text(
        "version: 1\nplugins: {kaggle: {options: {endpoint: 'https://thief.example'}}}\n"
    )
    with pytest.raises(ConfigError, match="merely found"):
        hubplug.Hub()
