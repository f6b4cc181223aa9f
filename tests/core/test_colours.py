"""Colours are for someone who looks: in a terminal, and not where NO_COLOR says so or a program reads."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = "from hubplug.cli.main import main; main(['plugins'])"
ERROR = "from hubplug.cli.main import main; main(['resolve', '/nowhere/at/all'])"


def in_terminal(program: str, folder: Path, **environment: str) -> bytes:
    """What a program writes that runs in a terminal."""
    ours, theirs = pty.openpty()
    variables = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "TERM")}
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={**variables, "TERM": "xterm", **environment},
    )
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 1 << 16):
            written += piece
    except OSError:  # how Linux says that the other side is closed
        pass
    finally:
        os.close(ours)
        process.wait(60)
    return written


def test_a_table_in_a_terminal_has_colours(tmp_path: Path) -> None:
    assert b"\x1b[1mNAME\x1b[0m" in in_terminal(PROGRAM, tmp_path)


def test_an_error_in_a_terminal_is_red_and_its_hint_is_not(tmp_path: Path) -> None:
    written = in_terminal(ERROR, tmp_path)
    assert b"\x1b[31merror:\x1b[0m /nowhere/at/all" in written
    assert b"\x1b[36mhint:\x1b[0m " in written


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_a_terminal_without_colours_gets_none(environment: dict[str, str], tmp_path: Path) -> None:
    for program in (PROGRAM, ERROR):
        assert b"\x1b" not in in_terminal(program, tmp_path, **environment)


def test_a_pipe_gets_colours_only_where_someone_insists(tmp_path: Path) -> None:
    def piped(**environment: str) -> bytes:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM],
            stdout=subprocess.PIPE,
            check=True,
            cwd=tmp_path,
            env={**os.environ, **environment},
        ).stdout

    assert b"\x1b" not in piped()
    assert b"\x1b[1mNAME" in piped(FORCE_COLOR="1")
    assert b"\x1b" not in piped(FORCE_COLOR="1", NO_COLOR="1")
