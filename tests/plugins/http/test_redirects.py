"""Redirects: what goes along, where they may lead, and how many there may be."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from requests.auth import HTTPDigestAuth

from hubplug.errors import FetchError, HubplugError
from tests.plugins.http.driving import ARCHIVE, Signing, bring
from tests.servers import Reply, ScriptedServer, redirect

STATUSES = [301, 302, 303, 307, 308]
TO_ANOTHER_ORIGIN = {
    "another host": "http://127.0.0.2:{other}/x",
    "another port": "http://127.0.0.1:{third}/x",
    "userinfo of the server's choice": "http://canary-user:canary-word@127.0.0.2:{other}/x",
    "userinfo that looks like the first host": "http://127.0.0.1:{first}@127.0.0.2:{other}/x",
    "upper case scheme and another host": "HTTP://127.0.0.2:{other}/x",
    "no scheme": "//127.0.0.2:{other}/x",
    "the same address by name": "http://localhost:{first}/x",
    "the same address by name, in capitals": "http://LOCALHOST:{first}/x",
    "the same address by name with a trailing dot": "http://localhost.:{first}/x",
    "decimal address": "http://2130706434:{other}/x",
    "octal address": "http://0177.0.0.2:{other}/x",
    "IPv6 address": "http://[::1]:{sixth}/x",
    "IPv6 address with IPv4 in it": "http://[::ffff:127.0.0.2]:{other}/x",
    "backslash before the first host": "http://127.0.0.2:{other}\\@127.0.0.1:{first}/x",
    "blank after the first host": "http://127.0.0.1:{first} @127.0.0.2:{other}/x",
    "tab in the host": "http://127.0.0.\t2:{other}/x",
}
TO_THE_SAME_ORIGIN = {
    "path": "/x",
    "relative path": "x",
    "whole URL": "http://127.0.0.1:{first}/x",
    "upper case scheme": "HTTP://127.0.0.1:{first}/x",
    "no scheme": "//127.0.0.1:{first}/x",
}


@pytest.fixture
def third() -> Iterator[ScriptedServer]:
    """The first host at another port."""
    with ScriptedServer("127.0.0.1") as running:
        yield running


@pytest.fixture
def sixth() -> Iterator[ScriptedServer]:
    try:
        running = ScriptedServer("::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with running:
        yield running


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("target", TO_ANOTHER_ORIGIN.values(), ids=TO_ANOTHER_ORIGIN.keys())
def test_nothing_that_the_user_set_goes_to_another_origin(
    target: str,
    status: int,
    server: ScriptedServer,
    other: ScriptedServer,
    third: ScriptedServer,
    request: pytest.FixtureRequest,
) -> None:
    sixth = request.getfixturevalue("sixth") if "sixth" in target else third
    location = target.format(first=server.port, other=other.port, third=third.port, sixth=sixth.port)
    server.on("/m", redirect(location, status, **{"Set-Cookie": "session=canary-session"}))
    for one in (server, other, third, sixth):
        one.on("/x", Reply(body=ARCHIVE))
    signing = Signing(server.url("/"), "canary-token")
    try:
        bring(
            server.url("/m?key=canary-query", userinfo="canary-me:canary-secret"),
            signing,
            headers={server.url("/"): {"X-Api-Key": "canary-key", "Cookie": "a=canary-cookie"}},
            retries=0,
        )
        said = ""
    except HubplugError as error:
        said = str(error)
    assert "canary" not in said
    first, *later = server.requests
    assert first.header("Authorization") == "Bearer canary-token"
    assert (first.header("X-Api-Key"), first.header("Cookie")) == ("canary-key", "a=canary-cookie")
    elsewhere = [*later, *other.requests, *third.requests, *sixth.requests]
    for one in elsewhere:
        assert "canary" not in one.text, one.text
        assert {name.lower() for name, _ in one.headers} <= {
            "host",
            "user-agent",
            "accept",
            "accept-encoding",
            "connection",
        }


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("target", TO_THE_SAME_ORIGIN.values(), ids=TO_THE_SAME_ORIGIN.keys())
def test_within_an_origin_the_users_headers_stay(target: str, status: int, server: ScriptedServer) -> None:
    server.on("/m", redirect(target.format(first=server.port), status, **{"Set-Cookie": "session=of-the-server"}))
    server.on("/x", Reply(body=ARCHIVE))
    signing = Signing(server.url("/"), "token")
    assert bring(server.url("/m"), signing, headers={server.url("/"): {"X-Api-Key": "key"}}) == ARCHIVE
    last = server.requests[-1]
    assert (last.path, last.header("Authorization"), last.header("X-Api-Key")) == ("/x", "Bearer token", "key")
    assert last.header("Cookie") == "session=of-the-server"


def test_headers_do_not_come_back_after_a_detour(server: ScriptedServer, other: ScriptedServer) -> None:
    server.on("/m", redirect(other.url("/there")))
    other.on("/there", redirect(server.url("/back")))
    server.on("/back", Reply(body=ARCHIVE))
    assert bring(server.url("/m"), headers={server.url("/"): {"X-Api-Key": "canary"}}) == ARCHIVE
    assert server.requests[0].header("X-Api-Key") == "canary"
    assert "canary" not in server.requests[1].text


def test_who_signs_is_asked_for_each_target_and_told_where_it_came_from(
    server: ScriptedServer, other: ScriptedServer
) -> None:
    server.on("/m", redirect(other.url("/x?signature=abc")))
    other.on("/x", Reply(body=ARCHIVE))
    signing = Signing(other.url("/"), "for-the-other")
    bring(server.url("/m"), signing)
    first = server.url("/m?tf-hub-format=compressed")
    assert signing.asked == [(first, None), (other.url("/x?signature=abc"), first)]
    assert server.requests[0].header("Authorization") is None
    assert other.requests[0].header("Authorization") == "Bearer for-the-other"
    assert other.requests[0].query == "signature=abc"


def test_userinfo_of_the_handle_signs_requests_to_its_own_host(server: ScriptedServer, other: ScriptedServer) -> None:
    server.on("/m", redirect("/n"))
    server.on("/n", redirect(other.url("/x")))
    other.on("/x", Reply(body=ARCHIVE))
    bring(server.url("/m", userinfo="me:p%40ss"))
    assert [one.header("Authorization") for one in server.requests] == ["Basic bWU6cEBzcw=="] * 2
    assert other.requests[0].header("Authorization") is None


def test_ten_redirects_are_followed_and_no_more(server: ScriptedServer) -> None:
    for hop in range(12):
        server.on(f"/{hop}", redirect(f"/{hop + 1}"))
    server.on("/12", Reply(body=ARCHIVE))
    assert bring(server.url("/2")) == ARCHIVE
    with pytest.raises(FetchError, match="More than 10 redirects"):
        bring(server.url("/1"))
    assert "/12" not in [one.path for one in server.requests[11:]]


@pytest.mark.parametrize(
    "target",
    ["file:///etc/hostname", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "data:,x", "gs://bucket/x", "javascript:1"],
)
def test_a_server_cannot_send_us_to_anything_but_http(target: str, server: ScriptedServer) -> None:
    server.on("/m", redirect(target))
    with pytest.raises(FetchError, match=f"redirects to a {target.partition(':')[0]}: URL"):
        bring(server.url("/m"))


@pytest.mark.parametrize("target", ["http://", "http://[::1/x", "http://127.0.0.1:port/x", "http:///x", "http://a b/"])
def test_a_malformed_target_is_an_error_of_ours(target: str, server: ScriptedServer) -> None:
    server.on("/m", redirect(target))
    with pytest.raises(HubplugError):
        bring(server.url("/m"), retries=0)
    assert len(server.requests) == 1


def test_the_body_of_a_redirect_is_not_waited_for(server: ScriptedServer) -> None:
    server.on("/m", Reply(302, b"x" * 100_000, {"Location": "/x"}, stall_at=1))
    server.on("/x", Reply(body=ARCHIVE))
    assert bring(server.url("/m"), read_timeout=30) == ARCHIVE


def test_every_ipv4_listener_is_really_another_host(server: ScriptedServer, other: ScriptedServer) -> None:
    with socket.create_connection((other.host, other.port)) as there:
        assert there.getpeername()[0] != server.host


def test_an_auth_of_requests_that_takes_two_steps_works(server: ScriptedServer) -> None:
    challenge = Reply(401, b"", {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'})
    server.on("/m", challenge, Reply(302, headers={"Location": "/x"}))
    server.on("/x", lambda request: Reply(body=ARCHIVE) if request.header("Authorization") else challenge)
    digest = HTTPDigestAuth("me", "canary")
    assert bring(server.url("/m"), lambda url, redirected_from=None: digest) == ARCHIVE
    assert str(server.requests[1].header("Authorization")).startswith('Digest username="me"')
