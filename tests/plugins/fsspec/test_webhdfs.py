"""A file system over another protocol, with real directories: WebHDFS, as a small name node on loopback speaks it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from hubplug.errors import AccessError, MissingError
from hubplug_fsspec import Fsspec


@pytest.fixture
def name_node(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a server, and the directory it serves; ``/private`` is forbidden."""
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    root = tmp_path / "hdfs"
    root.mkdir()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {key.lower(): values[0] for key, values in parse_qs(parts.query).items()}
            name = unquote(parts.path).removeprefix("/webhdfs/v1").strip("/")
            path = root / name
            if name.startswith("private"):
                self.answer(403, remote_exception("AccessControlException", f"no access to /{name}"))
            elif not path.exists():
                self.answer(404, remote_exception("FileNotFoundException", f"/{name} does not exist"))
            elif query["op"].upper() == "GETFILESTATUS":
                self.answer(200, json.dumps({"FileStatus": status(path, "")}).encode())
            elif query["op"].upper() == "LISTSTATUS":
                found = [status(child, child.name) for child in sorted(path.iterdir())]
                self.answer(200, json.dumps({"FileStatuses": {"FileStatus": found}}).encode())
            elif "redirected" not in query:
                self.send_response(307)
                self.send_header("Location", f"http://{self.headers['Host']}{self.path}&redirected=1")
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                start = int(query.get("offset", 0))
                content = path.read_bytes()[start:]
                self.answer(200, content[: int(query.get("length", len(content)))])

        def answer(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"webhdfs://127.0.0.1:{server.server_address[1]}", root
        server.shutdown()
        thread.join()


def status(path: Path, suffix: str) -> dict[str, Any]:
    kind = "DIRECTORY" if path.is_dir() else "FILE"
    size = 0 if path.is_dir() else path.stat().st_size
    return {"pathSuffix": suffix, "type": kind, "length": size, "modificationTime": path.stat().st_mtime_ns // 10**6}


def remote_exception(name: str, message: str) -> bytes:
    return json.dumps({"RemoteException": {"exception": name, "message": message}}).encode()


def test_a_tree_and_an_archive_arrive_from_hdfs(name_node: tuple[str, Path], bring: Callable[..., Any]) -> None:
    url, root = name_node
    (root / "team" / "m" / "variables").mkdir(parents=True)
    (root / "team" / "m" / "saved_model.pb").write_bytes(b"graph")
    (root / "team" / "m" / "variables" / "variables.index").write_bytes(bytes(range(256)) * 5000)
    (root / "team" / "m.tar.gz").write_bytes(b"archive" * 1000)
    assert bring(Fsspec(), f"{url}/team/m") == {
        "saved_model.pb": b"graph",
        "variables/variables.index": bytes(range(256)) * 5000,
    }
    assert bring(Fsspec(), f"{url}/team/m.tar.gz") == b"archive" * 1000


def test_what_is_missing_or_forbidden_on_hdfs_is_called_that(
    name_node: tuple[str, Path], bring: Callable[..., Any]
) -> None:
    url, _ = name_node
    with pytest.raises(MissingError, match=f"{url}/nothing does not exist"):
        bring(Fsspec(), f"{url}/nothing")
    with pytest.raises(AccessError, match=f"{url}/private/m: access was refused"):
        bring(Fsspec(), f"{url}/private/m")
