"""The server, asked over real sockets: the protocol, ranges, paths that lead elsewhere, slow clients."""

from __future__ import annotations

import errno
import hashlib
import http.client
import itertools
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from hubplug.errors import ConfigError
from hubplug_hosting import ModuleServer, pack_module
from hubplug_hosting._artifacts import Artifact
from hubplug_hosting._ranges import UnsatisfiableRange, wanted_range
from tests.plugins.hosting.asking import COMPRESSED, LIMIT, ask, raw
from tests.plugins.hosting.trees import make_module


def packed(directory: Path, tmp_path: Path) -> bytes:
    return pack_module(directory, tmp_path / "expected.tar.gz", force=True).path.read_bytes()


def test_the_compressed_protocol_gives_the_archive_of_a_directory(server, tree, tmp_path):
    answer = ask(server, "/publisher/model/1" + COMPRESSED)
    assert answer.status == 200
    assert answer.body == packed(tree / "publisher/model/1", tmp_path)
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["Content-Type"] == "application/gzip"
    assert answer.headers["ETag"] == f'"{hashlib.sha256(answer.body).hexdigest()}"'
    assert answer.headers["Content-Encoding"] is None
    assert "immutable" in answer.headers["Cache-Control"]


def test_a_ready_archive_is_sent_as_it_is(server, tree):
    answer = ask(server, "/publisher/model/10" + COMPRESSED)
    assert answer.body == (tree / "publisher/model/10.tar.gz").read_bytes()


@pytest.mark.parametrize("path", ["/publisher/model/10.tar.gz", "/publisher/model/1.tar.gz", "/publisher/plain.tar.gz"])
def test_the_url_of_an_archive_needs_no_query(path, server):
    answer = ask(server, path)
    assert answer.headers["Content-Type"] == "application/gzip"
    assert answer.body[:2] == b"\x1f\x8b"


def test_no_version_means_the_newest_by_number(server, tree):
    answer = ask(server, "/publisher/model" + COMPRESSED)
    assert answer.body == (tree / "publisher/model/10.tar.gz").read_bytes()
    assert answer.headers["Cache-Control"] == "no-cache"
    make_module(tree / "publisher/model/11", 11.0)
    assert ask(server, "/publisher/model/" + COMPRESSED).body != answer.body


def test_a_model_without_versions_is_served(server, tree, tmp_path):
    assert ask(server, "/publisher/plain" + COMPRESSED).body == packed(tree / "publisher/plain", tmp_path)


def test_an_archive_is_packed_once_for_each_state_of_its_files(server, tree, tmp_path):
    first = ask(server, "/publisher/model/1" + COMPRESSED)
    assert ask(server, "/publisher/model/1" + COMPRESSED).headers["ETag"] == first.headers["ETag"]
    (tree / "publisher/model/1/assets/vocabulary.txt").write_bytes(b"three\n")
    second = ask(server, "/publisher/model/1" + COMPRESSED)
    assert second.headers["ETag"] != first.headers["ETag"]
    assert second.body == packed(tree / "publisher/model/1", tmp_path)


def test_many_clients_at_once_get_the_same_bytes(server):
    with ThreadPoolExecutor(16) as pool:
        bodies = set(pool.map(lambda _: ask(server, "/publisher/model/1" + COMPRESSED).body, range(64)))
    assert len(bodies) == 1


def test_head_has_the_headers_of_get_and_no_body(server):
    get, head = (ask(server, "/publisher/model/1" + COMPRESSED, method) for method in ("GET", "HEAD"))
    assert head.status == 200
    assert head.body == b""
    for name in ("Content-Length", "ETag", "Content-Type", "Accept-Ranges"):
        assert head.headers[name] == get.headers[name]


def test_a_range_is_a_part_of_the_same_bytes(server):
    whole = ask(server, "/publisher/model/1" + COMPRESSED)
    size = len(whole.body)
    for asked, first, end in [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        (f"bytes={size - 5}-", size - 5, size),
        ("bytes=-7", size - 7, size),
        (f"bytes=10-{size * 2}", 10, size),
        (f"bytes=-{size * 2}", 0, size),
    ]:
        part = ask(server, "/publisher/model/1" + COMPRESSED, Range=asked, If_Range=whole.headers["ETag"])
        assert part.status == 206
        assert part.body == whole.body[first:end]
        assert part.headers["Content-Range"] == f"bytes {first}-{end - 1}/{size}"
        assert part.headers["Content-Length"] == str(end - first)


@pytest.mark.parametrize("if_range", ['"other"', 'W/"other"', "Sat, 01 Jan 2000 00:00:00 GMT"])
def test_a_range_of_another_version_gives_everything(if_range, server):
    answer = ask(server, "/publisher/model/1" + COMPRESSED, Range="bytes=5-", If_Range=if_range)
    assert answer.status == 200
    assert answer.headers["Content-Length"] == str(len(answer.body))


def test_a_range_behind_the_end_is_unsatisfiable(server):
    size = len(ask(server, "/publisher/model/1" + COMPRESSED).body)
    answer = ask(server, "/publisher/model/1" + COMPRESSED, Range=f"bytes={size}-")
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{size}"


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=-", "bytes=a-b", "items=0-1", "bytes=0-1,3-4", "bytes", "bytes=1-\u0661"]
)
def test_what_is_no_single_range_is_ignored(asked):
    assert wanted_range(asked, None, '"x"', 10) is None


def test_nothing_can_be_asked_of_an_empty_file():
    for asked in ("bytes=0-", "bytes=-1", "bytes=-0"):
        with pytest.raises(UnsatisfiableRange):
            wanted_range(asked, None, '"x"', 0)


def test_a_client_that_has_the_archive_is_told_so(server):
    etag = ask(server, "/publisher/model/1" + COMPRESSED).headers["ETag"]
    for value in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        answer = ask(server, "/publisher/model/1" + COMPRESSED, If_None_Match=value)
        assert (answer.status, answer.body) == (304, b"")
    assert ask(server, "/publisher/model/1" + COMPRESSED, If_None_Match='"other"').status == 200


def test_uncompressed_is_refused_with_what_to_do(server):
    answer = ask(server, "/publisher/model/1?tf-hub-format=uncompressed")
    assert 400 <= answer.status < 500
    assert b"compressed" in answer.body


def test_uncompressed_leads_to_the_configured_bucket(tree):
    with ModuleServer(tree, gs_location="gs://bucket/models/") as server:
        for path in ("/publisher/model/1", "/publisher/model/9/"):
            answer = ask(server, path + "?tf-hub-format=uncompressed")
            assert answer.status == 303
            assert answer.headers["Location"] is None
            assert answer.body == b"gs://bucket/models" + path.rstrip("/").encode()
        assert (
            ask(server, "/publisher/model?tf-hub-format=uncompressed").body == b"gs://bucket/models/publisher/model/10"
        )


@pytest.mark.parametrize(
    "query", ["?tf-hub-format=tfjs", "?tf-hub-format=", "?tf-hub-format=compressed&tf-hub-format=uncompressed"]
)
def test_an_unknown_format_is_a_bad_request(query, server):
    assert ask(server, "/publisher/model/1" + query).status == 400


@pytest.mark.parametrize(
    "path",
    [
        "/nobody",
        "/publisher/model/2",
        "/publisher/model/notes",
        "/README.txt",
        "/publisher/model/1/assets",
    ],
)
@pytest.mark.parametrize("query", ["", COMPRESSED])
def test_what_is_no_module_is_not_found(path, query, server):
    assert ask(server, path + query).status == 404


def test_the_root_is_no_archive(server):
    assert ask(server, "/" + COMPRESSED).status == 404


def traversals() -> list[str]:
    steps = [
        "..",
        "%2e%2e",
        "%2E.",
        ".%2e",
        "..%2f..",
        "..%5c",
        "..\\",
        "%2e%2e%2f",
        "%252e%252e",
        "..%00",
        "..;",
        "....",
    ]
    starts = ["/", "//", "/publisher/", "/publisher/model/1/", "/publisher/model/1/assets/", "/%2f/", "/./", "/link/"]
    ends = ["outside/secret/1", "outside/passwords.tar.gz", "etc/passwd", "", "tree/.hidden/secret/1"]
    made = [
        start + "/".join([step] * count) + "/" + end
        for start, step, count, end in itertools.product(starts, steps, (1, 2, 8), ends)
    ]
    return [
        *random.Random(5).sample(made, 500),
        "/link/secret/1", "/publisher/linked", "/publisher/linked.tar.gz", "/.hidden/secret/1", "/%2ehidden/secret/1", "//etc/passwd",
        "/publisher//model/1/../../../../outside/secret/1", "/publisher/model/1/saved_model.pb", "/publisher/model/1%00", "/publisher/model/%31/..%2f..",
        "http://elsewhere/link/secret/1", "http://elsewhere/../outside/secret/1", "file:///etc/passwd", "ftp://x/y", "http://elsewhere", "*", "?",
        "/publisher/model/1%", "/publisher/model/1%zz", "/" + "a/" * 3000, "/" + "a" * 5000, "/%ff", "/publisher/model/99999999999999999999999",
    ]  # fmt: skip


def test_no_path_leads_out_of_the_tree(server):
    for path in traversals():
        for query in ("", COMPRESSED):
            answer = raw(server, f"GET {path}{query} HTTP/1.0\r\n\r\n".encode("latin-1"))
            status = int(answer.split(b" ", 2)[1])
            assert 400 <= status < 500 or path in ("http://elsewhere", "http://elsewhere/"), (path, answer[:300])
            assert b"canary" not in answer
            assert b"root:" not in answer
            assert b"\x1f\x8b" not in answer


def test_an_absolute_url_names_the_same_module(server):
    answer = raw(server, f"GET http://elsewhere/publisher/model/1{COMPRESSED} HTTP/1.0\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200")


def test_a_module_with_a_link_in_it_is_not_sent(server, tree, tmp_path):
    (tree / "publisher/model/1/assets/link").symlink_to(tmp_path / "outside/passwords.tar.gz")
    for query in ("", COMPRESSED):
        answer = ask(server, "/publisher/model/1" + query)
        assert answer.status == 500
        assert b"assets/link" in answer.body
        assert b"canary" not in answer.body


def test_an_incomplete_module_is_not_sent(server, tree):
    (tree / "publisher/model/1/variables/variables.index").unlink()
    answer = ask(server, "/publisher/model/1" + COMPRESSED)
    assert answer.status == 500
    assert b"variables.index" in answer.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_other_methods_are_not_allowed(method, server):
    answer = ask(server, "/publisher/model/1", method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


def test_a_body_is_not_taken_for_the_next_request(server):
    smuggled = b"GET /publisher/model/1 HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(smuggled)
    assert raw(server, head + smuggled).count(b"HTTP/1.1 ") == 1
    head = b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert raw(server, head + smuggled).count(b"HTTP/1.1 ") == 1


def test_one_connection_carries_many_requests(server):
    connection = http.client.HTTPConnection(server.url.split("/")[2], timeout=LIMIT)
    for path in ("/", "/nobody", "/publisher/model/1", "/publisher/model/1" + COMPRESSED, "/"):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        assert response.status in (200, 404)
        assert connection.sock is not None
    connection.close()


@pytest.mark.parametrize("request_", [b"\r\n", b"GET\r\n\r\n", b"\xff\xfe\xfd", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 500 + b"\r\n", b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"])  # fmt: skip
def test_garbage_is_answered_with_an_error_or_not_at_all(request_, server):
    answer = raw(server, request_)
    assert not answer or b"Traceback" not in answer
    assert ask(server, "/").status == 200


def test_a_client_that_drips_its_request_is_given_up_in_time(tree):
    with ModuleServer(tree, header_timeout=0.5) as server:
        host, port = server.url.split("/")[2].split(":")
        with socket.create_connection((host, int(port)), timeout=LIMIT) as connection:
            started = time.monotonic()
            with pytest.raises(OSError, match=r"pipe|reset"):
                while time.monotonic() - started < LIMIT:
                    connection.sendall(b"G")
                    time.sleep(0.05)


def test_a_client_that_takes_nothing_is_given_up_in_time(tree):
    make_large = tree / "large" / "1.tar.gz"
    make_large.parent.mkdir()
    with make_large.open("wb") as file:
        file.truncate(64 << 20)
    ended = threading.Event()
    with ModuleServer(tree, body_timeout=0.5, log=lambda line: ended.set()) as server:
        host, port = server.url.split("/")[2].split(":")
        with socket.create_connection((host, int(port)), timeout=LIMIT) as connection:
            connection.sendall(f"GET /large/1{COMPRESSED} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            # The body has begun, and whoever sends it gives up.
            assert connection.recv(1, socket.MSG_PEEK) == b"H"
            assert ended.wait(LIMIT)
            taken = 0
            with suppress(ConnectionError):
                while piece := connection.recv(1 << 20):
                    taken += len(piece)
            assert taken < 64 << 20


def test_a_client_that_takes_no_page_is_given_up_in_time(tree):
    with ModuleServer(tree, header_timeout=0.5, body_timeout=0.5) as server:
        host, port = server.url.split("/")[2].split(":")
        with socket.create_connection((host, int(port)), timeout=LIMIT) as connection:
            # A response that fits into the buffers: nobody waits for it, but the connection.
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with suppress(ConnectionError):
                while connection.recv(1 << 16):
                    pass


def test_slow_clients_do_not_hold_up_others(tree):
    large = tree / "large" / "1.tar.gz"
    large.parent.mkdir()
    with large.open("wb") as file:
        file.truncate(64 << 20)
    with ModuleServer(tree) as server:
        host, port = server.url.split("/")[2].split(":")
        slow = [socket.create_connection((host, int(port)), timeout=LIMIT) for _ in range(100)]
        try:
            for connection in slow:
                connection.sendall(f"GET /large/1{COMPRESSED} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            for connection in slow:
                assert connection.recv(1, socket.MSG_PEEK) == b"H"
            # All of them are being answered now, and none goes on.
            assert ask(server, "/publisher/model/1" + COMPRESSED).status == 200
            assert ask(server, "/").status == 200
        finally:
            for connection in slow:
                connection.close()


def test_idle_clients_keep_nobody_out(tree):
    with ModuleServer(tree, header_timeout=10 * LIMIT, max_connections=20) as server:
        host, port = server.url.split("/")[2].split(":")
        idle = [socket.create_connection((host, int(port)), timeout=LIMIT) for _ in range(200)]
        try:
            assert ask(server, "/publisher/model/1" + COMPRESSED).status == 200
        finally:
            for connection in idle:
                connection.close()


def test_an_archive_that_is_replaced_while_it_is_sent_is_never_mixed(tree):
    path = tree / "swapped" / "1.tar.gz"
    path.parent.mkdir()
    bodies = [bytes([number]) * (8 << 20) for number in (1, 2)]
    digests = {hashlib.sha256(body).hexdigest() for body in bodies}
    path.write_bytes(bodies[0])
    stop = threading.Event()

    def swap() -> None:
        for number in itertools.cycle((1, 0)):
            if stop.is_set():
                return
            new = path.with_name("new")
            new.write_bytes(bodies[number])
            new.rename(path)

    with ModuleServer(tree) as server:
        swapper = threading.Thread(target=swap)
        swapper.start()
        try:
            for _ in range(10):
                answer = ask(server, "/swapped/1" + COMPRESSED)
                digest = hashlib.sha256(answer.body).hexdigest()
                assert digest in digests
                assert answer.headers["ETag"] == f'"{digest}"'
        finally:
            stop.set()
            swapper.join()


def test_an_archive_that_is_written_into_while_it_is_sent_ends_short(tree):
    path = tree / "overwritten" / "1.tar.gz"
    path.parent.mkdir()
    path.write_bytes(bytes(64 << 20))
    with ModuleServer(tree) as server:
        connection = http.client.HTTPConnection(server.url.split("/")[2], timeout=LIMIT)
        connection.request("GET", "/overwritten/1" + COMPRESSED)
        response = connection.getresponse()
        response.read(1000)
        time.sleep(0.05)
        with path.open("r+b") as file:
            file.seek(60 << 20)
            file.write(b"x" * (4 << 20))
        with pytest.raises(http.client.IncompleteRead):
            response.read()
        connection.close()


def test_an_archive_that_cannot_be_read_to_its_end_ends_short_and_without_a_second_head(server, tree, monkeypatch):
    (tree / "ready").mkdir()
    (tree / "ready" / "1.tar.gz").write_bytes(bytes(2 << 20))
    looked = itertools.count()
    working = Artifact.is_unchanged

    def is_unchanged(artifact: Artifact) -> bool:
        if next(looked) == 2:  # after the look before the head, and one piece
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return working(artifact)

    monkeypatch.setattr(Artifact, "is_unchanged", is_unchanged)
    connection = http.client.HTTPConnection(server.url.split("/")[2], timeout=LIMIT)
    connection.request("GET", "/ready/1" + COMPRESSED)
    with pytest.raises(http.client.IncompleteRead) as caught:
        connection.getresponse().read()
    connection.close()
    assert not caught.value.partial.strip(b"\0")


def test_a_module_is_packed_again_when_the_system_has_cleaned_up(tree, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with ModuleServer(tree) as server:
        first = ask(server, "/publisher/model/1" + COMPRESSED)
        (folder,) = (tmp_path / "temporary").iterdir()
        for archive in folder.iterdir():
            archive.unlink()
        assert ask(server, "/publisher/model/1" + COMPRESSED).body == first.body
        shutil.rmtree(folder)
        assert ask(server, "/publisher/model/1" + COMPRESSED).body == first.body
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("root", ["missing", "file", "module"])
def test_a_root_that_cannot_be_served_is_named(root, tmp_path):
    (tmp_path / "file").touch()
    make_module(tmp_path / "module")
    with pytest.raises(ConfigError, match=root) as caught:
        ModuleServer(tmp_path / root)
    assert root != "module" or str(tmp_path) in caught.value.hint


def test_a_port_that_is_taken_is_named(tree, server):
    port = int(server.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(ConfigError, match=str(port)):
        ModuleServer(tree, port=port)


def test_what_was_packed_is_removed_with_the_server(tree, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with ModuleServer(tree) as server:
        ask(server, "/publisher/model/1" + COMPRESSED)
        assert list(folder.iterdir())
    assert not list(folder.iterdir())


@pytest.mark.parametrize(("number", "options"), [(signal.SIGINT, []), (signal.SIGTERM, ["--json"])])
def test_the_command_says_where_and_ends_cleanly(number, options, tree):
    program = "import sys; from hubplug_hosting._commands import serve; serve(sys.argv[1:])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", program, tree, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        url = r"(http://127\.0\.0\.1:\d+/)"
        said = rf"Serving {re.escape(str(tree))} on {url} \(4 modules\); stop with Ctrl-C"
        if options:
            said = rf'{{"root": "{re.escape(str(tree))}", "url": "{url}", "modules": 4}}'
        line = process.stdout.readline()
        match = re.fullmatch(rf"{said}\n", line)
        assert match, line
        connection = http.client.HTTPConnection(match[1].split("/")[2], timeout=LIMIT)
        connection.request("GET", "/publisher/model/1" + COMPRESSED)
        assert connection.getresponse().read()[:2] == b"\x1f\x8b"
        process.send_signal(number)
        out, err = process.communicate()
        assert (process.returncode, out, err) == (0, "", "")
        connection.close()


def serve_until(root: Path, act: Callable[[str], None]) -> str:
    """What ``hubplug serve`` prints; ``act`` gets the URL while it runs."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "hubplug", "serve", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            act(first.split(" on ")[1].split()[0])
        finally:
            process.send_signal(signal.SIGTERM)
        return first + process.stdout.read()


def test_an_empty_tree_says_so_and_how_to_fill_it_and_what_is_added_is_served(module, tmp_path):
    root = tmp_path / "models"
    root.mkdir()

    def fill(url: str) -> None:
        with urllib.request.urlopen(url, timeout=LIMIT) as answer:
            assert b"There is no module here yet" in answer.read()
        (root / "publisher/model").mkdir(parents=True)
        pack_module(module, root / "publisher/model/1.tar.gz")
        with urllib.request.urlopen(f"{url}publisher/model/1{COMPRESSED}", timeout=LIMIT) as answer:
            assert answer.read() == (root / "publisher/model/1.tar.gz").read_bytes()

    said = serve_until(root, fill)
    assert "(0 modules)" in said
    assert f"{root} holds no module yet" in said
    assert f"hubplug publish DIRECTORY {root}/publisher/model/1" in said


def test_a_tree_with_modules_gives_no_advice(tree):
    said = serve_until(tree, lambda url: None)
    assert "no module yet" not in said
    assert len(said.splitlines()) == 1
