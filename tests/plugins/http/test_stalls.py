"""Servers that are silent or drip: when they are given up on."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from hubplug.errors import FetchError, IncompleteDownload
from tests.plugins.http.driving import ARCHIVE, bring, start
from tests.servers import Reply, ScriptedServer

SETTING = 0.6
LATEST = SETTING + 1.0
QUICK: dict[str, Any] = {"read_timeout": SETTING, "min_rate_window": SETTING, "retries": 0}
HALF = len(ARCHIVE) // 2


def seconds_until_error(url: str, kind: type[Exception], match: str, **options: Any) -> float:
    began = time.monotonic()
    with pytest.raises(kind, match=match):
        bring(url, **{**QUICK, **options})
    return time.monotonic() - began


def test_silence_before_the_answer(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, silence=20))
    assert SETTING <= seconds_until_error(server.url("/m"), FetchError, r"(sent nothing|headers within)") < LATEST


def test_dripping_headers(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, drip_head=(1, 0.1)))
    took = seconds_until_error(server.url("/m"), FetchError, "did not finish its answer's headers within 0.6 s")
    assert SETTING <= took < LATEST


@pytest.mark.parametrize("framing", ["length", "chunked", "none"])
def test_silence_in_the_middle_of_the_body(framing: Any, server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, stall_at=HALF, framing=framing))
    took = seconds_until_error(server.url("/m"), IncompleteDownload, f"stopped at {HALF:,}")
    assert SETTING <= took < LATEST


@pytest.mark.parametrize("framing", ["length", "chunked", "none"])
def test_a_body_that_drips_from_its_start(framing: Any, server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, drip=(1, 0.1), framing=framing))
    took = seconds_until_error(server.url("/m"), FetchError, "less than 1024 bytes/s: no progress", read_timeout=5)
    assert SETTING <= took < LATEST


@pytest.mark.parametrize("framing", ["length", "chunked", "none"])
def test_a_body_that_begins_to_drip(framing: Any, server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, drip=(1, 0.1), drip_from=HALF, framing=framing))
    took = seconds_until_error(server.url("/m"), IncompleteDownload, "less than 1024 bytes/s", read_timeout=5)
    assert SETTING <= took < LATEST


def test_a_listener_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/m"
        assert SETTING <= seconds_until_error(url, FetchError, "sent nothing|headers within") < LATEST


def test_a_listener_whose_queue_is_full_is_given_up_on_after_the_connect_timeout() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        clients = [socket.socket() for _ in range(4)]
        try:
            for client in clients:  # fills the queue of connections that nobody accepts
                client.setblocking(False)
                client.connect_ex(deaf.getsockname())
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}/m"
            took = seconds_until_error(
                url, FetchError, "did not accept a connection within 0.6 s", connect_timeout=SETTING
            )
        finally:
            for client in clients:
                client.close()
    assert SETTING <= took < LATEST


def test_a_slow_server_above_the_least_rate_is_waited_for(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, drip=(3_000, 0.1)))
    assert bring(server.url("/m"), **QUICK) == ARCHIVE


def test_the_time_that_unpacking_takes_is_not_the_servers(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, drip=(2_000, 0.01)))
    with start(server.url("/m"), **QUICK) as stream:
        got = stream.read(1000)
        time.sleep(2 * SETTING)
        while piece := stream.read(1000):
            got += piece
    assert got == ARCHIVE


def test_a_stalled_transfer_is_resumed(server: ScriptedServer) -> None:
    server.on(
        "/m",
        Reply(body=ARCHIVE, stall_at=HALF, etag='"v1"', ranges=True),
        Reply(body=ARCHIVE, etag='"v1"', ranges=True),
    )
    assert bring(server.url("/m"), **{**QUICK, "retries": 1, "max_retry_wait": 0}) == ARCHIVE
    assert server.requests[1].header("Range") == f"bytes={HALF}-"


def test_no_thread_outlives_a_download(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE))
    before = set(threading.enumerate())
    bring(server.url("/m"))
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any("watch" in one.name for one in set(threading.enumerate()) - before):
        time.sleep(0.01)
    assert not [one for one in set(threading.enumerate()) - before if "watch" in one.name]
