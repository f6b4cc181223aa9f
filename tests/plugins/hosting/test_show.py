"""`hubplug show` of a module that is on a server and not here: what the server says, where nothing has to be proved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import hubplug
from hubplug.cli.main import hubplug as command
from hubplug.testing import Reply, ScriptedServer
from hubplug_hosting import ModuleServer

DOWNLOAD = "tf-hub-format=compressed"
HONEST: dict[str, Any] = {
    "version": "1",
    "archive": {"size": 7, "sha256": "ab" * 32},
    "module": {
        "format": "TF1 Hub format",
        "variants": [
            {
                "tags": [],
                "signatures": {
                    "default": {
                        "inputs": {"x": {"dtype": "float32", "shape": [None, 2], "kind": "dense"}},
                        "outputs": {},
                    }
                },
            }
        ],
    },
}


def show(*arguments: str, fine: bool = True, **settings: Any) -> Result:
    with hubplug.Hub(settings or None).activate():
        result = CliRunner().invoke(command, ["show", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert (result.exit_code == 0) is fine, result.output
    return result


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def served(tree: Path, log: list[str]) -> Iterator[ModuleServer]:
    with ModuleServer(tree, log=log.append) as server:
        yield server


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


def test_a_module_on_a_server_is_shown_without_being_downloaded(served: ModuleServer, log: list[str]) -> None:
    handle = f"{served.url}publisher/model/10"
    lines = show(handle).output.splitlines()
    assert lines[0] == f"as the server says; not downloaded: {handle}"
    assert "    input  'x'  float32  [None, 2]  dense" in lines
    assert len(log) == 1
    assert DOWNLOAD not in log[0]
    hubplug.resolve(handle)
    known = show(handle).output.splitlines()
    assert "not downloaded" not in known[0]
    assert set(known) - set(lines) <= {line for line in known if line.startswith(("directory:", "location:"))}


def test_a_program_reads_who_says_so(served: ModuleServer, log: list[str]) -> None:
    handle = f"{served.url}publisher/model"
    said = json.loads(show(handle, "--json").output)
    assert (said["said_by"], said["version"]) == (handle, "10")
    hubplug.resolve(handle)
    known = json.loads(show(handle, "--json").output)
    assert "said_by" not in known
    for key in known.keys() - {"directory", "location"}:
        assert said[key] == known[key], key


@pytest.mark.parametrize("pinned_by", ["the handle", "the lock file", "locked: true"])
def test_of_what_is_pinned_nothing_is_believed(
    pinned_by: str, served: ModuleServer, log: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    handle, settings = f"{served.url}publisher/model/10", {"version": 1}
    if pinned_by == "the handle":
        said = json.loads(show(handle, "--json").output)
        handle += f"#sha256={said['archive_sha256']}"
    else:
        monkeypatch.setenv("HUBPLUG_LOCK", str(tmp_path / "hubplug.lock"))
        hubplug.in_effect.current_hub().pin([handle]).write()
        monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "empty"))
        if pinned_by == "locked: true":
            settings["locked"] = True
    log.clear()
    assert "not downloaded" not in show(handle, **settings).output
    assert len(log) == 1
    assert DOWNLOAD in log[0]


def test_a_module_that_has_to_keep_profiles_is_downloaded(served: ModuleServer, log: list[str]) -> None:
    handle = f"{served.url}publisher/model/10"
    shown = show(handle, version=1, validate={f"{served.url}publisher/": ["complete"]})
    assert "not downloaded" not in shown.output
    other = show(f"{served.url}publisher/plain", version=1, validate={"https://elsewhere.example/": ["complete"]})
    assert "not downloaded" in other.output


def test_offline_no_server_is_asked(served: ModuleServer, log: list[str]) -> None:
    result = show(f"{served.url}publisher/model/10", fine=False, version=1, offline=True)
    assert "hubplug is offline" in result.stderr
    assert not log


def _with(path: str, value: Any) -> dict[str, Any]:
    """What an honest server says, with something else in one place."""
    said = json.loads(json.dumps(HONEST))
    *above, last = path.split(".")
    inner = said
    for key in above:
        inner = inner[int(key) if key.isdecimal() else key]
    inner[last] = value
    return said


X = "module.variants.0.signatures.default.inputs.x"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404, body=b"nothing"),
        Reply(body=b"<!doctype html><title>A hub</title>", headers={"Content-Type": "text/html"}),
        Reply(body=b"\x1f\x8b\x08\x00" * 100),
        Reply(body=b'{"module": ' * 100_000),
        Reply(body=b'{"module": {"format": "\xff"}}'),
        Reply(body=b" " * (5 << 20)),
        *(
            Reply(body=json.dumps(said).encode())
            for said in (
                [],
                {"models": []},
                {"problem": "it is being looked at; ask again"},
                _with("module", {"problem": "it cannot be read"}),
                _with("module.variants", []),
                _with("module.variants", [{"tags": ["a"] * 2_000, "signatures": {}}]),
                _with("module.format", 7),
                _with("module.format", "x" * 5_000),
                _with(f"{X}.shape", [-1]),
                _with(f"{X}.shape", [10**40]),
                _with(f"{X}.kind", "\x1b[31m"),
                _with("archive.sha256", "none"),
                _with("archive.size", "7"),
            )
        ),
    ],
    ids=lambda reply: f"{reply.status} {bytes(reply.body)[:70].decode('latin-1')!r}",
)
def test_whatever_else_a_server_answers_the_module_is_downloaded(
    reply: Reply, scripted: ScriptedServer, tiny_archive: bytes
) -> None:
    scripted.on("/m/1", lambda request: Reply(body=tiny_archive) if DOWNLOAD in request.query else reply)
    assert "not downloaded" not in show(scripted.url("/m/1")).output
    assert len(scripted.requests) == 2


def test_what_a_server_says_moves_no_terminal(scripted: ScriptedServer) -> None:
    said = _with("module.format", "\x1b[2J\nerror: \u202eevil")
    scripted.on("/m/1", Reply(body=json.dumps(said).encode()))
    lines = show(scripted.url("/m/1")).output.splitlines()
    assert r"format: \x1b[2J\nerror: \u202eevil" in lines


def test_a_token_in_a_url_is_not_shown(scripted: ScriptedServer) -> None:
    scripted.on("/m/1", Reply(body=json.dumps(HONEST).encode()))
    for form in ("--json", "--format=text"):
        assert "canary" not in show(scripted.url("/m/1").replace("://", "://user:canary@"), form).output


def test_a_url_that_names_an_archive_is_asked_for_once(scripted: ScriptedServer, tiny_archive: bytes) -> None:
    scripted.on("/m/1.tar.gz", Reply(body=tiny_archive))
    show(scripted.url("/m/1.tar.gz"))
    assert len(scripted.requests) == 1


def test_where_the_server_is_down_a_mirror_has_the_module(scripted: ScriptedServer, tiny_archive: bytes) -> None:
    scripted.on("/m/1", Reply(body=tiny_archive))
    down = "http://127.0.0.1:9/"
    options = {"prefixes": [down], "mirrors": [scripted.url("/")], "retries": 0}
    assert "not downloaded" not in show(f"{down}m/1", version=1, plugins={"http": {"options": options}}).output
