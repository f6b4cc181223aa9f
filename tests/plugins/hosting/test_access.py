"""Who may ask, what is written down, and requests that are made to be misunderstood."""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trustme

from hubplug.errors import ConfigError
from hubplug_hosting import ModuleServer
from hubplug_hosting._access import read_tokens
from tests.plugins.hosting.asking import COMPRESSED, LIMIT, ask, raw
from tests.plugins.hosting.trees import make_module

TOKEN = "correct-horse-battery"
OTHER = "another-token-of-ours"


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode()


@pytest.mark.parametrize("given", [f"Bearer {TOKEN}", f"bearer  {OTHER}", basic(TOKEN)])
def test_who_has_a_token_is_let_in(given, tree):
    with ModuleServer(tree, tokens=[TOKEN, OTHER]) as server:
        for path in ("/", "/publisher/model/1", "/publisher/model/1" + COMPRESSED):
            assert ask(server, path, Authorization=given).status == 200


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer x", f"Bearer {TOKEN}x", TOKEN, "Basic !!", basic(""), "Basic " + "=" * 9, "Bearer \xff"],
)
def test_who_has_none_learns_nothing(given, tree):
    with ModuleServer(tree, tokens=[TOKEN]) as server:
        for path in ("/", "/publisher/model/1", "/publisher/model/1" + COMPRESSED, "/nobody", "/../x"):
            answer = ask(server, path, Authorization=given)
            assert answer.status == 401
            assert b"model" not in answer.body
            assert "Bearer" in answer.headers["WWW-Authenticate"]


def test_the_health_check_needs_no_token(tree):
    with ModuleServer(tree, tokens=[TOKEN]) as server:
        answer = ask(server, "/healthz")
        assert (answer.status, answer.body) == (200, b"ok\n")


def test_tokens_come_from_a_file_and_from_the_environment(tmp_path, monkeypatch):
    file = tmp_path / "tokens"
    file.write_text(f"{TOKEN}\n\n {OTHER} \n")
    monkeypatch.setenv("SERVE_TOKEN", "a-third-one-of-ours")
    assert read_tokens(file, "SERVE_TOKEN") == (TOKEN, OTHER, "a-third-one-of-ours")
    assert read_tokens(None, None) == ()


@pytest.mark.parametrize("content", ["", "short\n", None])
def test_a_token_that_protects_nothing_is_refused(content, tmp_path):
    file = tmp_path / "tokens"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_tokens(file, None)
    assert "short" not in str(caught.value)
    with pytest.raises(ConfigError, match="NO_SUCH_VARIABLE"):
        read_tokens(None, "NO_SUCH_VARIABLE")


@pytest.fixture
def certificate(tmp_path):
    """A file with a certificate, and what trusts it."""
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "cert.pem"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return tmp_path / "cert.pem", context


def test_https_is_served(certificate, tree):
    file, context = certificate
    with ModuleServer(tree, certificate=file) as server:
        assert server.url.startswith("https://")
        page = ask(server, "/publisher/model/1", tls=context)
        assert server.url + "publisher/model/1" in page.text
        assert ask(server, "/publisher/model/1" + COMPRESSED, tls=context).body[:2] == b"\x1f\x8b"


def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered(certificate, tree):
    file, context = certificate
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    # The idle connection lasts as long as the server is patient.
    with ModuleServer(tree, certificate=file, header_timeout=3) as server, connected(server) as connection:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(1 << 16))
        client.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.sendall(outgoing.read())  # the client's last words of the handshake, and the request
        answer = b""
        while not answer.endswith(b"ok\n"):
            incoming.write(connection.recv(1 << 16))
            with contextlib.suppress(ssl.SSLWantReadError):
                answer += client.read(1 << 16)
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_clients_that_never_end_a_handshake_keep_nobody_out(certificate, tree):
    file, context = certificate
    with contextlib.ExitStack() as opened:
        server = opened.enter_context(
            ModuleServer(tree, certificate=file, header_timeout=10 * LIMIT, max_connections=5)
        )
        silent = [opened.enter_context(connected(server)) for _ in range(20)]
        assert ask(server, "/publisher/model/1" + COMPRESSED, tls=context).status == 200
        assert [is_closed(connection) for connection in silent[:15]] == [True] * 15


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_handshake_has_to_end_in_time(said, certificate, tree):
    with (
        ModuleServer(tree, certificate=certificate[0], header_timeout=0.2) as server,
        connected(server) as connection,
    ):
        connection.sendall(said)
        assert is_closed(connection)


def connected(server):
    host, port = server.url.split("/")[2].split(":")
    return socket.create_connection((host, int(port)), timeout=LIMIT)


def is_closed(connection):
    """Waits until the server ends a connection; an alert may come first."""
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


def test_a_certificate_that_cannot_be_used_is_named(tree, tmp_path):
    (tmp_path / "bad.pem").write_text("nothing")
    for name in ("bad.pem", "missing.pem"):
        with pytest.raises(ConfigError, match=name):
            ModuleServer(tree, certificate=tmp_path / name)
    with pytest.raises(ConfigError, match="certificate"):
        ModuleServer(tree, key=tmp_path / "bad.pem")


def test_a_line_is_written_for_each_request_and_no_secret_in_it(tree):
    lines: list[str] = []
    with ModuleServer(tree, tokens=[TOKEN], log=lines.append) as server:
        ask(server, "/publisher/model/1" + COMPRESSED, Authorization=f"Bearer {TOKEN}", User_Agent='evil" 200\x1b[2J')
        ask(server, "/publisher/model/1?token=canary1&tf-hub-format=compressed", Authorization="Bearer canary2")
        raw(server, b"GET http://user:canary3@host/publisher HTTP/1.1\r\nHost: x\r\n\r\n")
    assert len(lines) == 3
    assert re.fullmatch(
        r'127\.0\.0\.1 "GET /publisher/model/1\?tf-hub-format=compressed" 200 \d{4} \d\.\d{3} "evil\' 200.*"', lines[0]
    )
    assert "tf-hub-format=compressed" in lines[1]
    assert '" 401 ' in lines[1]
    for line in lines:
        assert line.isprintable()
        assert "canary" not in line
        assert TOKEN not in line


def test_the_command_takes_its_token_from_no_argument_and_writes_the_log(tree, tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "SERVE_TOKEN": TOKEN}
    log = tmp_path / "access.log"
    command = [
        sys.executable,
        "-m",
        "hubplug",
        "serve",
        str(tree),
        "--token-env",
        "SERVE_TOKEN",
        "--access-log",
        str(log),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            address = process.stdout.readline().split("http://")[1].split("/")[0]
            import http.client

            for headers, status in (({}, 401), ({"Authorization": f"Bearer {TOKEN}"}, 200)):
                connection = http.client.HTTPConnection(address, timeout=LIMIT)
                connection.request("GET", "/", headers=headers)
                assert connection.getresponse().status == status
                connection.close()
            assert TOKEN not in Path(f"/proc/{process.pid}/cmdline").read_text()
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    assert [line.split('"')[2].split()[0] for line in log.read_text().splitlines()] == ["401", "200"]


def test_a_work_folder_that_others_can_write_to_is_refused(tree, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work").chmod(0o777)
    with pytest.raises(ConfigError, match="somebody else"):
        ModuleServer(tree, work=tmp_path / "work")


def test_downloads_get_their_grace_when_the_server_stops(tree):
    large = tree / "large" / "1.tar.gz"
    large.parent.mkdir()
    with large.open("wb") as file:
        file.truncate(32 << 20)
    begun, ended = threading.Event(), threading.Event()
    sizes = []

    def download() -> None:
        import http.client

        connection = http.client.HTTPConnection(server.url.split("/")[2], timeout=LIMIT)
        connection.request("GET", "/large/1" + COMPRESSED)
        response = connection.getresponse()
        begun.set()
        sizes.append(len(response.read(1)))
        ended.wait(LIMIT)
        sizes[0] += len(response.read())
        connection.close()

    with ModuleServer(tree, grace=LIMIT) as server:
        thread = threading.Thread(target=download)
        thread.start()
        assert begun.wait(LIMIT)
        threading.Timer(0.5, ended.set).start()
    thread.join()
    assert sizes == [32 << 20]


# Requests that are made to be misunderstood


HOST = b"Host: x\r\n"
SMUGGLED = b"GET /publisher/model/1.tar.gz HTTP/1.1\r\n" + HOST + b"\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n" % len(SMUGGLED),
        b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(SMUGGLED),
        b"Content-Length: %d, 0\r\n" % len(SMUGGLED),
        b"Content-Length: +%d\r\n" % len(SMUGGLED),
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x10\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding:\r\n chunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b" Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding\x00: chunked\r\n",
        b"Content-Length: %d\r\n" % len(SMUGGLED),
    ],
)
def test_no_request_hides_in_another(head, server):
    answer = raw(server, b"GET / HTTP/1.1\r\n" + HOST + head + b"\r\n" + SMUGGLED)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\x1f\x8b" not in answer
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("fold", [b"X-Odd: a\r\n b\r\n", b"X-Odd: a\n\tb\r\n", b" X-Odd: a\r\n"])
def test_a_header_that_goes_on_in_the_next_line_is_refused(fold, server):
    for before in (b"", b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"):
        answer = raw(server, before + b"GET / HTTP/1.1\r\n" + HOST + fold + b"\r\n")
        assert re.findall(rb"HTTP/1\.1 (\d{3})", answer) == [b"200"] * bool(before) + [b"400"]
    spaced = b"GET / HTTP/1.1\r\nHost: x\r\nX-Odd:  a b\r\n\r\n  not a header"
    assert raw(server, spaced).startswith(b"HTTP/1.1 200")


def test_requests_in_one_piece_are_answered_in_their_order(server):
    asked = b"".join(b"GET %s HTTP/1.1\r\n%s\r\n" % (path, HOST) for path in (b"/", b"/nobody", b"/healthz"))
    answer = raw(server, asked + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert re.findall(rb"HTTP/1\.1 (\d{3})", answer)[:3] == [b"200", b"404", b"200"]


def test_no_request_of_a_thousand_odd_ones_gets_what_is_outside(server, tree, tmp_path):
    """Framing and paths put together at random; what is outside of the tree never comes, and the server goes on."""
    make_module(tree / "canary-in-tree" / "1")
    (tmp_path / "canary.tar.gz").write_bytes(b"canary-outside")
    rng = random.Random(15)
    methods = [b"GET", b"HEAD", b"POST", b"get", b"GET\x00", b"CONNECT", b"OPTIONS"]
    pieces = [b"/", b"..", b"%2e%2e", b"%00", b"\\", b"%5c", b"publisher", b"model", b"1", b".hidden", b"%252e", b"canary.tar.gz",
              b"a" * 300, b"//", b"http://h/", b"file:///", b"?tf-hub-format=compressed", b"#", b";", b"%ff", b"link", b"\xff", b"~"]  # fmt: skip
    versions = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.10", b"", b"http/1.1"]
    headers = [HOST, b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Range: bytes=0-\r\n", b"Range: bytes=9-1\r\n", b" fold\r\n",
               b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Upgrade: websocket\r\nConnection: upgrade\r\n", b"Host: y\r\n", b"\x00: x\r\n",
               b"If-None-Match: *\r\n", b"Accept: application/json\r\n", b"X-Forwarded-Proto: javascript\r\n"]  # fmt: skip
    for _ in range(1000):
        target = b"/" * rng.randint(0, 1) + b"".join(rng.choices(pieces, k=rng.randint(1, 8)))
        chosen = b"".join(rng.choices(headers, k=rng.randint(0, 4)))
        ending = rng.choice([b"\r\n", b"\n", b"\r\n0\r\n\r\n", b"", b"\r\nabc"])
        line = b" ".join([rng.choice(methods), target, rng.choice(versions)])
        answer = raw(server, line + rng.choice([b"\r\n", b"\n"]) + chosen + ending)
        assert b"canary-outside" not in answer, line
        assert b"root:" not in answer, line
        assert b"Traceback" not in answer, line
        assert not re.match(rb"HTTP/1\.1 5(?!0[15])", answer), (line, answer[:200])
    assert ask(server, "/").status == 200


def test_very_long_requests_are_refused(server):
    for request in (
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in itertools.islice(itertools.count(), 20_000)),
    ):
        try:
            answer = raw(server, request)
        except OSError:  # it hangs up before all of that was sent
            continue
        assert b"200 OK" not in answer
    assert ask(server, "/").status == 200
