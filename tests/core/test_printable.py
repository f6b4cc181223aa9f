"""What comes from outside moves no terminal and forges no line: in errors, in logs and in what commands print."""

from __future__ import annotations

import ast
import io
import logging
import os
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

import hubplug
from hubplug.cli.main import hubplug as command
from hubplug.errors import HubplugError
from hubplug.shown.logs import logger
from hubplug.shown.terminal import painted, say
from hubplug.testing import archive_of, write_tiny_module

EVIL = "\x1b]0;title\x07\x1b[2J\u202egnp\u2066\x9b31m\r\nerror: forged"
PARTS = [Path(hubplug.__file__).parent, *(Path(__file__).parents[2] / "plugins").glob("hubplug_*")]


def is_harmless(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n")) and "\nerror: forged" not in text


@pytest.mark.parametrize("kind", [HubplugError, hubplug.errors.ArchiveError, hubplug.errors.CacheError])
def test_an_error_is_harmless_whoever_puts_text_into_it(kind: type[HubplugError]) -> None:
    error = kind(f"it says {EVIL}", hint=f"ask {EVIL}")
    assert is_harmless(str(error).replace("\nhint: ", " "))
    assert error.message.startswith("it says \\x1b]0;title")
    error.message = f"again: {EVIL}"
    assert is_harmless(error.message)
    assert kind("Grüße, 漢字: 100 %").message == "Grüße, 漢字: 100 %"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_a_line_of_a_log_is_harmless(level: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    log = logger("hubplug.of-a-test")
    assert logger("hubplug.of-a-test") is log
    getattr(log, level)("%s from %r, %d", EVIL, EVIL, 7)
    getattr(log, level)(EVIL)
    getattr(log, level)("plain %s", "text")
    assert [is_harmless(record.getMessage()) for record in caplog.records] == [True] * 3
    assert caplog.records[2].args == ("text",)


def test_what_is_said_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    say("a", EVIL, Path("b"))
    say(EVIL, err=True)
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 3
    assert captured.err.count("\n") == 1
    assert is_harmless(captured.out)
    assert is_harmless(captured.err)


def test_what_is_said_in_colours_is_harmless_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    say([painted(EVIL, "red"), EVIL], EVIL)
    said = capsys.readouterr().out
    assert said.count("\n") == 2
    assert is_harmless(said.replace("\x1b[31m", "", 1).replace("\x1b[0m", "", 1))


def test_nothing_logs_or_prints_around_that() -> None:
    """But for what programs read: JSON, YAML, paths, and what shells run."""
    around = []
    for path in [file for part in PARTS for file in part.rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called, given = ast.unparse(node.func), ast.unparse(node)
            if called == "click.echo" and not any(
                word in given
                for word in (
                    "json.dumps(",
                    "effective_config(",
                    "report(",
                    "as_json(",
                    ".path)",
                    "fspath(",
                    ".source())",
                )
            ):
                around.append(f"{path.name}: {given}")
            if called == "logging.getLogger" and not any(
                word in given for word in ("urllib3", "uvicorn", "__module__")
            ):
                around.append(f"{path.name}: {given}")
    assert sorted(around) == [
        "logs.py: logging.getLogger(name)",
        "terminal.py: click.echo(''.join((_shown(piece, colours) for piece in pieces)), err=err, color=colours)",
    ]


def archive_with(place: Path, name: str) -> Path:
    with tarfile.open(place / "m.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(write_tiny_module(place / "m"), arcname=".")
        tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    return place / "m.tar"


def hub_in(place: Path) -> hubplug.Hub:
    chain = ["cache", "file", "archive", "tf1"]
    return hubplug.Hub({"chain": chain, "plugins": {"cache": {"options": {"dir": str(place / "modules")}}}})


@pytest.mark.parametrize("name", [f"assets/{EVIL}", f".hubplug{EVIL}", f"../{EVIL}", f"assets/\u202e{'x' * 300}"])
def test_the_name_of_a_member_is_harmless(name: str, tmp_path: Path) -> None:
    with hub_in(tmp_path).activate():
        result = CliRunner().invoke(command, ["resolve", str(archive_with(tmp_path, name))])
    assert result.exit_code == 2
    assert is_harmless(result.output)


def test_the_mark_of_a_damaged_entry_is_harmless(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    archive = tmp_path / "m.tar.gz"
    archive.write_bytes(archive_of(write_tiny_module(tmp_path / "m")))
    hub = hub_in(tmp_path)
    entry = hub.resolve(str(archive)).path
    with hub.activate():
        for words in (["cache", "list"], ["explain", str(archive)], ["cache", "export", str(tmp_path / "a.tar")]):
            (entry / ".hubplug.damaged").write_text(EVIL)
            result = CliRunner().invoke(command, words)
            assert "title" in result.output
            assert is_harmless(result.output)
        assert hub.resolve(str(archive)).path == entry
    assert "title" in caplog.text
    assert all(is_harmless(record.getMessage()) for record in caplog.records)


def test_a_file_beside_an_entry_is_harmless(tmp_path: Path) -> None:
    archive = tmp_path / "m.tar.gz"
    archive.write_bytes(archive_of(write_tiny_module(tmp_path / "m")))
    hub = hub_in(tmp_path)
    entry = hub.resolve(str(archive)).path
    os.close(os.open(os.fsencode(entry) + b"/\x1b[31m\xff", os.O_CREAT | os.O_WRONLY))
    with hub.activate():
        result = CliRunner().invoke(command, ["cache", "verify"])
    assert result.exit_code == 1
    assert is_harmless(result.output)
