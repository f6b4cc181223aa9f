"""What users read when something goes wrong: each situation its own sentence and hint, and never a secret."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import random
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hubplug.errors import AccessError, ArchiveError, FetchError, HandleError, HubplugError, MissingError
from tests.plugins.http.driving import ARCHIVE, Signing, bring, unsigned
from tests.servers import Reply, Request, ScriptedServer, redirect

HTML = b"<!DOCTYPE html>\n<html><title>Sign in</title></html>"


def refusal(url: str, kind: type[HubplugError], *arguments: Any, **options: Any) -> HubplugError:
    with pytest.raises(kind) as caught:
        bring(url, *arguments, **{"retries": 0, **options})
    error = caught.value
    assert "\n" not in error.message
    assert error.hint
    assert error.__cause__ is None
    assert error.__context__ is None
    return error


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (400, FetchError, "does not understand the request (400)"),
        (401, AccessError, "requires credentials (401)"),
        (403, AccessError, "refused access (403)"),
        (404, MissingError, "has nothing at this URL (404)"),
        (410, MissingError, "no longer has it (410)"),
        (418, FetchError, "responded with status 418"),
        (429, FetchError, "is too busy (429)"),
        (500, FetchError, "returned a server error (500)"),
        (503, FetchError, "returned a server error (503)"),
        (206, FetchError, "responded with status 206"),
        (304, FetchError, "responded with status 304"),
    ],
)
def test_each_status_has_its_sentence(
    status: int, kind: type[HubplugError], words: str, server: ScriptedServer
) -> None:
    server.on("/m", Reply(status, b"" if status == 304 else b"the first line\nand another\n"))
    error = refusal(server.url("/m"), kind)
    assert type(error) is kind
    assert words in error.message
    assert server.url("/m") in error.message
    assert ("Body: 'the first line'" in error.message) == (status != 304)
    assert "another" not in error.message


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_says_which_credentials_were_used(status: int, server: ScriptedServer) -> None:
    server.on("/m", Reply(status))
    signed = refusal(server.url("/m"), FetchError, Signing(server.url("/"), "canary"))
    assert (
        f"Credentials: bearer token from environment variable CORP_TOKEN, rule for {server.url('/')}" in signed.message
    )
    unsigned = refusal(server.url("/m"), FetchError)
    assert f"Credentials: none, no rule matches 127.0.0.1:{server.port}" in unsigned.message


def test_a_refusal_after_a_redirect_names_the_last_host(server: ScriptedServer, other: ScriptedServer) -> None:
    server.on("/m", redirect(other.url("/x")))
    other.on("/x", Reply(403))
    error = refusal(server.url("/m"), AccessError)
    assert error.message.startswith(
        f"{server.url('/m')}: 127.0.0.2:{other.port} (at {other.url('/x')}) refused access (403)"
    )


@pytest.mark.parametrize(
    ("body", "media_type", "words"),
    [
        (HTML, "text/html; charset=utf-8", "sent is an HTML page, not an archive (it begins '<!DOCTYPE html>')"),
        (HTML, "application/octet-stream", "sent is an HTML page"),
        (b'{"message": "no such model"}', "application/json", "sent is JSON"),
        (b'{"message": "no such model"}', None, "sent is JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", None, "sent is a git-LFS pointer"),
        (b"", "application/gzip", "sent is empty"),
        (b"<?xml version='1.0'?><Error/>", "application/xml", "sent is XML"),
        (b"Service under maintenance.", "text/plain", "sent is text/plain"),
    ],
    ids=["html", "html in disguise", "json", "json without a type", "git-lfs", "empty", "xml", "text"],
)
def test_what_arrives_instead_of_an_archive_is_named(
    body: bytes, media_type: str | None, words: str, server: ScriptedServer
) -> None:
    server.on("/m", Reply(200, body, {"Content-Type": media_type}))
    error = refusal(server.url("/m"), ArchiveError)
    assert words in error.message
    assert error.message.startswith(server.url("/m"))


@pytest.mark.parametrize("media_type", ["text/html", "application/json", "text/plain", None])
def test_an_archive_is_an_archive_whatever_its_media_type(media_type: str | None, server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, headers={"Content-Type": media_type}))
    assert bring(server.url("/m")) == ARCHIVE


def test_bytes_of_no_known_kind_are_left_to_the_unpackers(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=b"\x93NUMPY\x01\x00" + bytes(100)))
    assert bring(server.url("/m"))[:6] == b"\x93NUMPY"


def test_a_name_that_dns_does_not_know() -> None:
    error = refusal("http://no-such-host.invalid/m", FetchError)
    assert error.message.startswith("DNS: the name of no-such-host.invalid cannot be resolved")
    assert "proxy in use: none" in error.message


def test_a_name_that_may_be_half_of_a_password_is_not_shown() -> None:
    error = refusal("http://someone:12/canary@models.invalid/m", FetchError)
    assert not any(piece in str(error) for piece in ("canary", "someone", "12"))


def test_a_port_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert f"127.0.0.1:{port} refused the connection" in refusal(f"http://127.0.0.1:{port}/m", FetchError).message


def test_a_server_that_speaks_another_protocol(server: ScriptedServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        error = refusal(f"http://127.0.0.1:{other.getsockname()[1]}/m", FetchError)
        thread.join()
    assert "127.0.0.1" in error.message


def test_a_connection_that_is_closed_without_an_answer(server: ScriptedServer) -> None:
    def hang_up(request: object) -> Reply:
        raise OSError("the script hangs up")

    server.on("/m", hang_up)
    assert "closed the connection too early" in refusal(server.url("/m"), FetchError).message


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1/m",
        "http://127.0.0.1:port/m",
        "http:///m",
        "http://a\\b/m",
        "http://a b/m",
        "http://127.0.0.1:99999/m",
    ],
)
def test_what_is_no_url_is_an_error_before_anything_is_sent(url: str) -> None:
    with pytest.raises(HandleError):
        bring(url)


def test_a_private_address_is_refused_where_the_policy_says_so(server: ScriptedServer, other: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE))
    for host in ("127.0.0.1", "2130706433", "0x7f000001", "localhost"):
        error = refusal(server.url("/m", host=host), FetchError, allow_private=False)
        assert "has a private address" in error.message
    assert server.connections == 0


def test_a_name_whose_address_changes_between_two_look_ups_is_refused_too(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("/m", Reply(body=ARCHIVE))
    real, answers = socket.getaddrinfo, iter(["93.184.216.34"])

    def flipping(host: str, port: int, *rest: Any, **named: Any) -> Any:
        return real(next(answers, "127.0.0.1") if host == "flip.example" else host, port, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", flipping)
    error = refusal(server.url("/m", host="flip.example"), FetchError, allow_private=False)
    assert "has a private address" in error.message
    assert server.requests == []


def echo(request: Request) -> str:
    """All that a server was told, in clear."""
    said = " ".join(value for _, value in request.headers)
    if (request.header("Authorization") or "").startswith("Basic "):
        said += " " + base64.b64decode(said.split("Basic ")[1].split()[0]).decode()
    return f"{request.target} {said}"


ECHOES: dict[str, Callable[[Request], str]] = {
    "text": lambda request: f"you said {echo(request)[:90]}",
    "the end of it": lambda request: f"you said {echo(request)[-80:]}",
    "html": lambda request: f"<html><a href='/login?next={request.target}'>{echo(request)[-60:]}</a>",
    "json": lambda request: json.dumps({"error": echo(request)[-70:]}),
}


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("body", ECHOES.values(), ids=ECHOES.keys())
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 407, 410, 418, 429, 500])
def test_no_failure_shows_a_secret(
    status: int,
    body: Callable[[Request], str],
    signed: bool,
    server: ScriptedServer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    server.on("/m", lambda request: Reply(status, body(request).encode(), {"Content-Type": "text/plain"}))
    error = refusal(
        server.url("/m?token=canary-query", userinfo="canary-me:canary-secret"),
        HubplugError,
        Signing(server.url("/"), "canary-token") if signed else unsigned,
        headers={server.url("/"): {"X-Api-Key": "canary-key", "Cookie": "a=canary-cookie"}},
        retries=1,
        max_retry_wait=0,
    )
    shown = [str(error), repr(error), caplog.text, *capfd.readouterr()]
    assert "127.0.0.1" in shown[0]
    for text in shown:
        assert "canary" not in text
        assert "Y2FuYXJ5" not in text


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=ARCHIVE, cut_at=2_000),
        Reply(body=ARCHIVE, cut_at=0),
        redirect("ftp://x/?t=canary"),
        redirect("/m?token=canary-2"),
        redirect("http://u:canary@127.0.0.1:1/?t=canary"),
    ],
)
def test_no_broken_transfer_shows_a_secret(
    reply: Reply, server: ScriptedServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    server.on("/m", reply)
    error = refusal(
        server.url("/m?token=canary", userinfo="canary:canary"),
        HubplugError,
        retries=1,
        max_retry_wait=0,
        progress=True,
    )
    for text in [str(error), caplog.text, *capfd.readouterr()]:
        assert "canary" not in text


@pytest.mark.parametrize("trials", [300, pytest.param(3_000, marks=pytest.mark.soak)])
def test_a_garbled_answer_is_an_error_of_ours(trials: int) -> None:
    chance = random.Random(trials)
    plain = (
        b"HTTP/1.1 302 Found\r\nLocation: /x?y=z\r\nContent-Length: 3\r\nSet-Cookie: a=b\r\nRetry-After: 1\r\n\r\nabc"
        b'HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=x\r\nTransfer-Encoding: chunked\r\nETag: "e"\r\n'
        b"Content-Encoding: gzip\r\nRepr-Digest: sha-256=:AA==:\r\n\r\n4\r\n\x1f\x8b\x08\x00\r\n0\r\n\r\n"
    )
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        listener.settimeout(0.05)
        done = threading.Event()

        def answer() -> None:
            while not done.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection, contextlib.suppress(OSError):
                    connection.recv(1 << 16)
                    connection.sendall(garbled(plain, chance))

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            for _ in range(trials):
                with contextlib.suppress(HubplugError):
                    bring(
                        f"http://127.0.0.1:{listener.getsockname()[1]}/m", retries=1, max_retry_wait=0, read_timeout=0.2
                    )
        finally:
            done.set()
            thread.join()


def garbled(plain: bytes, chance: random.Random) -> bytes:
    """Some bytes of an answer changed, repeated, left out or cut."""
    data = bytearray(plain[chance.choice([0, plain.index(b"HTTP/1.1 200")]) :])
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data) or 1)
        data = data or bytearray(b"x")
        match chance.randrange(5):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randrange(1, 20)]
            case 2:
                data[at:at] = data[max(at - 30, 0) : at]
            case 3:
                data[at:at] = chance.choice(
                    [b"\xff\xfe", b"\0", b"\r\n\r\n", b"-1", b"99999999999999999999", b" ", b"\r", b"["]
                )
            case 4:
                del data[at:]
                data += b"x"
    return bytes(data)
