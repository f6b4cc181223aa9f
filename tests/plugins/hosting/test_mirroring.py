"""`hubplug mirror`: modules saved from real servers become a tree that can be served, and a run goes on where one was killed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import hubplug
from hubplug.cli.main import hubplug as command
from hubplug.files.owners import owned_name
from hubplug.testing import Reply, ScriptedServer

Run = Callable[..., Result]
PUBLISHED = ["/team/one/1", "/team/one/2", "/other/two/1"]


@pytest.fixture
def origin(tiny_archive: bytes) -> Iterator[ScriptedServer]:
    """A server that has three modules."""
    with ScriptedServer() as server:
        for path in PUBLISHED:
            server.on(path, Reply(body=tiny_archive))
        yield server


@pytest.fixture
def run(make_hub: Callable[..., hubplug.Hub]) -> Run:
    hub = make_hub()

    def run(*arguments: object, **others: str) -> Result:
        with hub.activate():
            result = CliRunner().invoke(command, ["mirror", *map(str, arguments)], **others)  # type: ignore[arg-type]
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


def _files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_modules_are_saved_where_a_server_finds_them(origin: ScriptedServer, run: Run, tmp_path: Path) -> None:
    result = run(*map(origin.url, PUBLISHED), tmp_path / "m")
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(f"{tmp_path / 'm'}: 3 saved, 0 there already, 0 could not be had\n")
    names = [path.removeprefix("/") for path in PUBLISHED]
    kinds = (".tar.gz", ".provenance.json", ".md")
    assert set(_files(tmp_path / "m")) == {name + kind for name in names for kind in kinds}


def test_what_was_saved_is_a_module_with_its_provenance(
    origin: ScriptedServer, run: Run, tiny_archive: bytes, tmp_path: Path
) -> None:
    handle = origin.url("/team/one/1?key=canary")
    origin.on("/team/one/1?key=canary", Reply(body=tiny_archive))
    assert run(handle, tmp_path / "m").exit_code == 0
    archive = tmp_path / "m/team/one/1.tar.gz"
    recorded = json.loads((tmp_path / "m/team/one/1.provenance.json").read_text())
    assert recorded["handle"] == origin.url("/team/one/1?key=***")
    assert recorded["source_archive_sha256"] == hashlib.sha256(tiny_archive).hexdigest()
    assert recorded["archive"] == {
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "size": archive.stat().st_size,
    }
    assert "saved_model.pb" in {file["path"] for file in recorded["files"]}
    spec = hubplug.Hub().load_spec(str(archive))
    assert recorded["description"]["variants"][0]["signatures"].keys() == spec.signatures().keys()
    page = (tmp_path / "m/team/one/1.md").read_text()
    assert page.startswith("# team/one/1\n")
    assert "| `default` | input |" in page
    assert recorded["archive"]["sha256"] in page
    assert not [name for name, data in _files(tmp_path / "m").items() if b"canary" in data]


def test_what_is_there_is_not_asked_for_again(origin: ScriptedServer, run: Run, tmp_path: Path) -> None:
    handles = [origin.url(path) for path in PUBLISHED]
    run(*handles[:2], tmp_path / "m")
    before, asked = _files(tmp_path / "m"), len(origin.requests)
    result = run(*handles, "--json", tmp_path / "m")
    assert [row["state"] for row in json.loads(result.stdout)] == ["there", "there", "saved"]
    assert {request.path.partition("?")[0] for request in origin.requests[asked:]} == {"/other/two/1"}
    assert before.items() <= _files(tmp_path / "m").items()


def test_what_cannot_be_had_is_told_and_ends_nothing(origin: ScriptedServer, run: Run, tmp_path: Path) -> None:
    gone = origin.url("/team/gone/1")
    result = run(gone, origin.url("/team/one/1"), "./local", tmp_path / "m")
    assert result.exit_code == 1
    assert f"error: {gone}: " in result.stderr
    assert "(404)" in result.stderr
    assert "error: ./local: ./local is on this machine already\nhint: make its archive with" in result.stderr
    assert result.stdout.endswith(": 1 saved, 0 there already, 2 could not be had\n")
    rows = json.loads(run(gone, origin.url("/team/one/1"), "--json", tmp_path / "m").stdout)
    assert [(row["state"], row["path"]) for row in rows] == [("failed", None), ("there", "team/one/1.tar.gz")]


def test_handles_come_from_a_file_and_from_standard_input(origin: ScriptedServer, run: Run, tmp_path: Path) -> None:
    text = f"# ours\n\n{origin.url('/team/one/1')}\n  {origin.url('/team/one/2')}  \n{origin.url('/team/one/1')}\n"
    (tmp_path / "list").write_text(text)
    assert "2 saved" in run("--from", tmp_path / "list", tmp_path / "m").stdout
    assert "2 there already" in run("--from", "-", tmp_path / "m", input=text).stdout
    assert run(tmp_path / "m").exit_code == 2
    (tmp_path / "list").write_bytes(b"\xff")
    assert "is not UTF-8 text" in run("--from", tmp_path / "list", tmp_path / "m").stderr


@pytest.mark.parametrize("name", ["1.tar.gz", "1.provenance.json", "1.md", "1"])
def test_nothing_that_someone_else_put_there_is_touched(
    name: str, origin: ScriptedServer, run: Run, tmp_path: Path
) -> None:
    place = tmp_path / "m/team/one" / name
    place.parent.mkdir(parents=True)
    place.write_text("mine")
    result = run(origin.url("/team/one/1"), tmp_path / "m")
    assert result.exit_code == 1
    assert f"{place} is there already, and was not made from" in result.stderr
    assert _files(tmp_path / "m") == {f"team/one/{name}": b"mine"}


def test_two_servers_with_one_path_do_not_mix(
    origin: ScriptedServer, run: Run, tiny_archive: bytes, tmp_path: Path
) -> None:
    assert run(origin.url("/team/one/1"), tmp_path / "m").exit_code == 0
    before = _files(tmp_path / "m")
    with ScriptedServer() as other:
        other.on("/team/one/1", Reply(body=tiny_archive))
        assert run(other.url("/team/one/1"), tmp_path / "m").exit_code == 1
        assert other.requests == []
    assert _files(tmp_path / "m") == before


def test_an_archive_that_was_changed_is_told(origin: ScriptedServer, run: Run, tmp_path: Path) -> None:
    run(origin.url("/team/one/1"), tmp_path / "m")
    with open(tmp_path / "m/team/one/1.tar.gz", "ab") as file:
        file.write(b"x")
    result = run(origin.url("/team/one/1"), tmp_path / "m")
    assert result.exit_code == 1
    assert "hint: it was changed: remove it, and run this again" in result.stderr


@pytest.mark.parametrize("missing", [["1.tar.gz"], ["1.tar.gz", "1.md"]])
def test_a_run_that_was_killed_between_two_files_is_taken_up(
    missing: list[str], origin: ScriptedServer, run: Run, tmp_path: Path
) -> None:
    run(origin.url("/team/one/1"), tmp_path / "m")
    whole = (tmp_path / "m/team/one/1.tar.gz").read_bytes()
    for name in missing:
        (tmp_path / "m/team/one" / name).unlink()
    (tmp_path / "m/team/one" / owned_name(".1", "partial").replace(str(os.getpid()), "999999999")).mkdir()
    assert "1 saved" in run(origin.url("/team/one/1"), tmp_path / "m").stdout
    assert (tmp_path / "m/team/one/1.tar.gz").read_bytes() == whole


def test_a_run_that_is_killed_leaves_only_whole_modules_and_the_next_one_gets_the_rest(
    origin: ScriptedServer, run: Run, tmp_path: Path
) -> None:
    handles = [origin.url(path) for path in PUBLISHED]
    program = "from hubplug.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "mirror", "--jobs", "1", *handles, str(tmp_path / "m")],
        env={**os.environ, "TFHUB_CACHE_DIR": str(tmp_path / "killed")},
        stdout=subprocess.DEVNULL,
    )
    first = tmp_path / "m/team/one/1.tar.gz"
    while not first.exists() and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    asked = len(origin.requests)
    assert run(*handles, tmp_path / "m").exit_code == 0
    assert "/team/one/1" not in {request.path.partition("?")[0] for request in origin.requests[asked:]}
    for path in PUBLISHED:
        archive = tmp_path / "m" / f"{path[1:]}.tar.gz"
        recorded = json.loads((tmp_path / "m" / f"{path[1:]}.provenance.json").read_text())
        assert hashlib.sha256(archive.read_bytes()).hexdigest() == recorded["archive"]["sha256"]
    assert list((tmp_path / "m").rglob(".*")) == []
