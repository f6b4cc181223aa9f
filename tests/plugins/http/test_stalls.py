"""Servers that are silent or drip: when they are given up on.

Each test sets one limit, and all others far beyond its own patience. A limit is long enough for a busy machine not to take
this program's own delays for the server's; so all of them wait at the same time.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import pytest

from hubplug.errors import FetchError, IncompleteDownload
from tests.plugins.http.driving import ARCHIVE, bring, start
from tests.servers import Reply, ScriptedServer

SETTING = 3.0
NEVER = 3600.0
PATIENCE = 200.0
LIMITS = ("connect_timeout", "read_timeout", "min_rate_window")
HALF = len(ARCHIVE) // 2

Scenario = Callable[..., None]
SCENARIOS: dict[str, Scenario] = {}


def scenario(**arguments: str) -> Callable[[Scenario], Scenario]:
    """Makes a function of a server a test that waits beside the others."""

    def add(function: Scenario) -> Scenario:
        SCENARIOS["-".join([function.__name__, *arguments.values()])] = partial(function, **arguments)
        return function

    return add


@cache
def outcomes() -> dict[str, BaseException | None]:
    """What each scenario raised."""

    def play(function: Scenario) -> BaseException | None:
        try:
            with ScriptedServer("127.0.0.1") as server:
                function(server)
        except BaseException as error:
            return error
        return None

    with ThreadPoolExecutor(len(SCENARIOS)) as pool:
        return dict(zip(SCENARIOS, pool.map(play, SCENARIOS.values()), strict=True))


def expect_to_give_up(url: str, limit: str, kind: type[Exception], match: str) -> None:
    began = time.monotonic()
    with pytest.raises(kind, match=match):
        bring(url, **only(limit), retries=0)
    assert SETTING <= time.monotonic() - began < PATIENCE


def only(limit: str) -> dict[str, Any]:
    return {**dict.fromkeys(LIMITS, NEVER), limit: SETTING}


@scenario()
def silence_before_the_answer(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, silence=NEVER))
    expect_to_give_up(server.url("/m"), "read_timeout", FetchError, r"(sent nothing|headers of its response within)")


@scenario()
def dripping_headers(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, drip_head=(1, 0.5)))
    expect_to_give_up(
        server.url("/m"), "read_timeout", FetchError, "did not finish the headers of its response within 3 s"
    )


@scenario(framing="length", limit="read_timeout")
@scenario(framing="chunked", limit="read_timeout")
@scenario(framing="none", limit="read_timeout")
@scenario(framing="length", limit="min_rate_window")
def silence_in_the_middle_of_the_body(server: ScriptedServer, framing: Any, limit: str) -> None:
    server.on("/m", Reply(body=ARCHIVE, stall_at=HALF, framing=framing))
    expect_to_give_up(server.url("/m"), limit, IncompleteDownload, f"stopped at {HALF:,}")


@scenario(framing="length")
@scenario(framing="chunked")
@scenario(framing="none")
def a_body_that_drips_from_its_start(server: ScriptedServer, framing: Any) -> None:
    server.on("/m", Reply(body=ARCHIVE, drip=(1, 0.1), framing=framing))
    expect_to_give_up(server.url("/m"), "min_rate_window", FetchError, "less than 1024 bytes/s: no progress")


@scenario(framing="length")
@scenario(framing="chunked")
@scenario(framing="none")
def a_body_that_begins_to_drip(server: ScriptedServer, framing: Any) -> None:
    server.on("/m", Reply(body=ARCHIVE, drip=(1, 0.1), drip_from=HALF, framing=framing))
    expect_to_give_up(server.url("/m"), "min_rate_window", IncompleteDownload, "less than 1024 bytes/s")


@scenario()
def a_listener_that_never_answers(_: ScriptedServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/m"
        expect_to_give_up(url, "read_timeout", FetchError, "sent nothing|headers of its response within")


@scenario()
def a_listener_whose_queue_is_full_is_given_up_on_after_the_connect_timeout(_: ScriptedServer) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        clients = [socket.socket() for _ in range(4)]
        try:
            for client in clients:  # fills the queue of connections that nobody accepts
                client.setblocking(False)
                client.connect_ex(deaf.getsockname())
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}/m"
            expect_to_give_up(url, "connect_timeout", FetchError, "did not accept a connection within 3 s")
        finally:
            for client in clients:
                client.close()


@scenario()
def a_slow_server_above_the_least_rate_is_waited_for(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, drip=(3_000, 1.5 * SETTING * 3_000 / len(ARCHIVE))))
    began = time.monotonic()
    assert bring(server.url("/m"), **only("min_rate_window")) == ARCHIVE
    assert time.monotonic() - began > SETTING


@scenario()
def the_time_that_unpacking_takes_is_not_the_servers(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, drip=(2_000, 0.01)))
    with start(server.url("/m"), **only("min_rate_window")) as stream:
        got = stream.read(1000)
        time.sleep(1.5 * SETTING)
        while piece := stream.read(1000):
            got += piece
    assert got == ARCHIVE


@scenario()
def a_stalled_transfer_is_resumed(server: ScriptedServer) -> None:
    server.on(
        "/m",
        Reply(body=ARCHIVE, stall_at=HALF, etag='"v1"', ranges=True),
        Reply(body=ARCHIVE, etag='"v1"', ranges=True),
    )
    assert bring(server.url("/m"), **only("read_timeout"), retries=1, max_retry_wait=0) == ARCHIVE
    assert server.requests[1].header("Range") == f"bytes={HALF}-"


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_server_that_stalls_is_given_up_on_and_a_slow_one_is_not(name: str) -> None:
    if error := outcomes()[name]:
        raise error


def test_no_thread_outlives_a_download(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE))
    before = set(threading.enumerate())
    bring(server.url("/m"))
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and any("watch" in one.name for one in set(threading.enumerate()) - before):
        time.sleep(0.01)
    assert not [one for one in set(threading.enumerate()) - before if "watch" in one.name]
