"""What is asked for once more, when, and how often."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from hubplug.errors import FetchError, HubplugError
from hubplug_http._retry import pause_before, retry_after
from tests.plugins.http.driving import ARCHIVE, bring
from tests.servers import Reply, ScriptedServer


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_failure_that_may_pass_is_asked_again(status: int, server: ScriptedServer) -> None:
    server.on("/m", Reply(status), Reply(status), Reply(body=ARCHIVE))
    assert bring(server.url("/m"), max_retry_wait=0) == ARCHIVE
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418, 501])
def test_a_refusal_is_not_asked_again(status: int, server: ScriptedServer) -> None:
    server.on("/m", Reply(status))
    with pytest.raises(HubplugError):
        bring(server.url("/m"), max_retry_wait=0)
    assert len(server.requests) == 1


def test_there_are_as_many_repetitions_as_configured(server: ScriptedServer) -> None:
    server.on("/m", Reply(503))
    with pytest.raises(FetchError):
        bring(server.url("/m"), max_retry_wait=0, retries=3)
    assert len(server.requests) == 4


def test_retry_after_is_kept(server: ScriptedServer) -> None:
    server.on("/m", Reply(429, headers={"Retry-After": "1"}), Reply(body=ARCHIVE))
    assert bring(server.url("/m")) == ARCHIVE
    first, second = server.requests
    assert second.time - first.time >= 1


def test_a_server_that_asks_for_too_long_a_wait_is_given_up_on(server: ScriptedServer) -> None:
    server.on("/m", Reply(503, headers={"Retry-After": "3600"}))
    began = time.monotonic()
    with pytest.raises(FetchError, match="503") as caught:
        bring(server.url("/m"), max_retry_wait=1200)
    assert "try again in 3,600 s" in str(caught.value.hint)
    assert len(server.requests) == 1
    assert time.monotonic() - began < 200


def test_pauses_double_with_jitter_up_to_a_cap() -> None:
    assert [pause_before(n, None, longest=60, chance=1) for n in (1, 2, 3, 9, 2000)] == [0.5, 1, 2, 30, 30]
    assert [pause_before(n, None, longest=60, chance=0) for n in (1, 2, 3, 9)] == [0.25, 0.5, 1, 15]
    assert pause_before(9, None, longest=4, chance=1) == 4
    assert len({pause_before(5, None, longest=60) for _ in range(20)}) > 10


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("²", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Tue, 31 Dec 2024 23:59:59 +9999999999999", None),
    ],
)
def test_retry_after_in_seconds_or_nonsense(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


def test_retry_after_as_a_date() -> None:
    assert retry_after(formatdate(1_000_090, usegmt=True), now=1_000_000) == 90
    assert retry_after(formatdate(999_000, usegmt=True), now=1_000_000) == 0
