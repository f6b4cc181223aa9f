"""Numbers that a server sends, and what it sends before its answer: what is odd is understood or an error, never a foreign one."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from hubplug.errors import FetchError, IncompleteDownload
from hubplug_http._retry import retry_after
from tests.plugins.http.driving import ARCHIVE, bring
from tests.servers import Reply, ScriptedServer

# Nine shapes that int() takes or chokes on.
NO_NUMBERS = ["9" * 5000, "-5", "+5", "1_0", "0x10", "5.0", "\xb2", "", "five", "1e3", "9" * 19, "5 5"]


@pytest.mark.parametrize("value", [*NO_NUMBERS, "5, 6", ","])
def test_a_length_that_is_no_number_is_the_servers_mistake(value: str, server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, headers={"Content-Length": value, "Connection": "close"}))
    with pytest.raises(FetchError) as caught:
        bring(server.url("/m"), retries=0)
    assert f"127.0.0.1:{server.port}" in caught.value.message
    assert len(caught.value.message) < 400
    assert len(server.requests) == 1


@pytest.mark.parametrize("text", ["{0}", "000{0}", "{0}, {0}"])
def test_a_length_may_be_written_in_several_ways(text: str, server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, headers={"Content-Length": text.format(len(ARCHIVE))}))
    assert bring(server.url("/m")) == ARCHIVE


def test_a_length_beyond_everything_is_a_cut_transfer(server: ScriptedServer) -> None:
    server.on("/m", Reply(body=ARCHIVE, headers={"Content-Length": "9" * 18}, cut_at=len(ARCHIVE)))
    with pytest.raises(IncompleteDownload, match=r"of 999,999,999,999,999,999 bytes"):
        bring(server.url("/m"), retries=0)


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize("pattern", ["bytes {}-59999/60000", "bytes 20000-{}/60000", "bytes 20000-59999/{}", "{}"])
def test_a_content_range_that_is_none_makes_it_start_again(pattern: str, number: str, server: ScriptedServer) -> None:
    wrong = Reply(206, ARCHIVE[20_000:], {"Content-Range": pattern.format(number)}, etag='"v1"')
    server.on("/m", Reply(body=ARCHIVE, etag='"v1"', cut_at=20_000), wrong, Reply(body=ARCHIVE, etag='"v1"'))
    assert bring(server.url("/m"), max_retry_wait=0) == ARCHIVE
    assert len(server.requests) == 3


DATES = ["Fri, 31 Dec 99999999999 23:59:59 GMT", f"Fri, 31 Dec {'9' * 5000} 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 -0000",
         "Sun, 06 Nov 1994 08:49:37 +99999999999999999999", "Sun, 06 Nov 1994 99:99:99 GMT", "0 0 0 0 0", ",,,", "+", " "]  # fmt: skip


@pytest.mark.parametrize("value", [*NO_NUMBERS, *DATES])
def test_what_a_server_says_of_waiting_is_understood_or_ignored(value: str, server: ScriptedServer) -> None:
    seconds = retry_after(value)
    assert seconds is None or seconds >= 0
    server.on("/m", Reply(503, headers={"Retry-After": value}), Reply(body=ARCHIVE))
    if seconds is None or seconds == 0:
        assert bring(server.url("/m"), max_retry_wait=0.01) == ARCHIVE
    else:
        with pytest.raises(FetchError, match="a server error"):
            bring(server.url("/m"), max_retry_wait=0.01)


@pytest.fixture
def raw() -> Iterator[Callable[[bytes], str]]:
    """Serves these very bytes to every connection: the value for them is a URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def serve(answer: bytes) -> str:
        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):  # a client may hang up at any byte
                    connection.settimeout(5)
                    if not connection.recv(1 << 16):
                        return
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(1 << 16)

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/m"

    yield serve
    with socket.create_connection(listener.getsockname()):
        pass
    listener.close()
    for thread in threads:
        thread.join(5)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ARCHIVE)


@pytest.mark.parametrize(
    "before",
    [
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nContent-Length: 7\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 199 X\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" * 50,
    ],
)
def test_informational_answers_are_passed_over(before: bytes, raw: Callable[[bytes], str]) -> None:
    assert bring(raw(before + HEAD + ARCHIVE), retries=0) == ARCHIVE


@pytest.mark.parametrize("before", [b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b""])
def test_informational_answers_are_no_answer(before: bytes, raw: Callable[[bytes], str]) -> None:
    with pytest.raises(FetchError, match="closed the connection too early"):
        bring(raw(before), retries=0)


def test_another_protocol_is_no_success(raw: Callable[[bytes], str]) -> None:
    with pytest.raises(FetchError, match="responded with status 101"):
        bring(raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), retries=0)


@pytest.mark.parametrize(
    "size", [b"9" * 5000, b"-5", b"\xb2", b"", b"g", b"5.0", b"f" * 5000, b"7fffffffffffffff", b"-0"]
)
def test_a_chunk_size_that_is_none_is_an_error_of_ours(size: bytes, raw: Callable[[bytes], str]) -> None:
    body = b"10\r\n" + ARCHIVE[:16] + b"\r\n" + size + b"\r\n" + ARCHIVE[16:] + b"\r\n0\r\n\r\n"
    url = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    if size == b"-0":  # nothing, and the end
        assert bring(url, retries=0) == ARCHIVE[:16]
        return
    with pytest.raises(IncompleteDownload):
        bring(url, retries=0)


@pytest.mark.parametrize("status", [b"9" * 5000, b"-200", b"2_0_0", b"+200", b"2000", b"99", b"\xb2\xb2\xb2", b""])
def test_a_status_that_is_none_is_an_error_of_ours(status: bytes, raw: Callable[[bytes], str]) -> None:
    url = raw(b"HTTP/1.1 " + status + HEAD[12:] + ARCHIVE)
    with contextlib.suppress(FetchError):
        assert bring(url, retries=0) == ARCHIVE
