"""A file system over another protocol, with real directories: WebHDFS, as a small name node on loopback speaks it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest

from hubplug.errors import AccessError, MissingError
from hubplug_fsspec import Fsspec
from tests.servers import Reply, Request, ScriptedServer, redirect


@pytest.fixture
def name_node(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a server, and the directory it serves; ``/private`` is forbidden."""
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    root = tmp_path / "hdfs"
    root.mkdir()

    def answer(request: Request) -> Reply:
        query = {key.lower(): values[0] for key, values in parse_qs(request.query).items()}
        name = unquote(request.path).removeprefix("/webhdfs/v1").strip("/")
        path = root / name
        if name.startswith("private"):
            return Reply(403, remote_exception("AccessControlException", f"no access to /{name}"))
        if not path.exists():
            return Reply(404, remote_exception("FileNotFoundException", f"/{name} does not exist"))
        if query["op"].upper() == "GETFILESTATUS":
            return Reply(200, json.dumps({"FileStatus": status(path, "")}).encode())
        if query["op"].upper() == "LISTSTATUS":
            found = [status(child, child.name) for child in sorted(path.iterdir())]
            return Reply(200, json.dumps({"FileStatuses": {"FileStatus": found}}).encode())
        if "redirected" not in query:
            return redirect(f"http://{request.header('Host')}{request.target}&redirected=1", 307)
        start = int(query.get("offset", 0))
        content = path.read_bytes()[start:]
        return Reply(200, content[: int(query.get("length", len(content)))])

    with ScriptedServer() as server:
        server.always(answer)
        yield f"webhdfs://{server.host}:{server.port}", root


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
