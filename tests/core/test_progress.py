"""Progress: a bar where somebody watches, log lines elsewhere, nothing where nothing moves."""

from __future__ import annotations

import fcntl
import logging
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading

import pytest

from hubplug.shown.progress import Progress, progress


def test_a_forced_bar_shows_name_total_and_rate(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("https://me:canary@example.com/m?token=canary", 4 << 20, force=True) as bar:
        for _ in range(4):
            bar.advance(1 << 20)
    out, err = capsys.readouterr()
    assert out == ""
    assert "https://example.com/m?token=***: 100%" in err
    assert "4.00M/4.00M" in err
    assert "B/s" in err
    assert "canary" not in err


def test_nothing_is_shown_while_nothing_moves(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with progress("m", 100, force=True):
        pass
    with progress("m", 100):
        pass
    assert capsys.readouterr() == ("", "")
    assert caplog.text == ""


def test_without_a_terminal_lines_are_logged_now_and_then(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hubplug")
    with Progress("m", 4000, seconds_between_lines=0.0) as bar:
        bar.advance(1000)
        bar.advance(3000)
    lines = [record.getMessage() for record in caplog.records]
    assert capsys.readouterr() == ("", "")
    assert len(lines) == 3
    assert lines[0].startswith("m: 1,000 of 4,000 (25%) bytes so far, ")
    assert re.fullmatch(r"m: 4,000 of 4,000 \(100%\) bytes at the end, [0-9,]+ bytes/s", lines[2])


def test_a_short_transfer_logs_no_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with progress("m", 10) as bar:
        bar.advance(10)
    assert caplog.text == ""


def test_an_unknown_total_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hubplug")
    with Progress("m", seconds_between_lines=0.0) as bar:
        bar.advance(1000)
    assert caplog.records[0].getMessage().startswith("m: 1,000 bytes so far, ")


def test_a_total_may_become_known_later(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("m", force=True) as bar:
        bar.expect(2048)
        bar.advance(1024)
        bar.expect(4096)
        bar.advance(3072)
    assert "4.00k/4.00k" in capsys.readouterr().err


def test_many_threads_share_one_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("m", 8000, force=True) as bar:
        threads = [threading.Thread(target=lambda: [bar.advance(1) for _ in range(1000)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    bars = [line for line in re.split(r"[\r\n]+", capsys.readouterr().err) if line]
    assert "100%" in bars[-1]
    assert "7.81k/7.81k" in bars[-1]


def test_a_closed_bar_stays_closed(capsys: pytest.CaptureFixture[str]) -> None:
    bar = progress("m", 100, force=True)
    bar.advance(50)
    bar.close()
    bar.close()
    capsys.readouterr()
    bar.advance(50)
    assert capsys.readouterr() == ("", "")


def drawn_on_a_terminal(program: str, columns: int) -> str:
    """What a program writes to a terminal of so many columns as its standard error."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {"PYTHONPATH": ":".join(sys.path), "TERM": "xterm"}
    subprocess.run([sys.executable, "-c", program], stderr=theirs, check=True, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while more := os.read(ours, 1 << 16):
            shown += more
    except OSError:  # Linux reports the end of a terminal so
        pass
    os.close(ours)
    return shown.decode()


def test_a_terminal_gets_a_bar_without_asking() -> None:
    program = "from hubplug.shown.progress import progress\nwith progress('m', 2048) as bar: bar.advance(2048)"
    assert "2.00k/2.00k" in drawn_on_a_terminal(program, 80)


@pytest.mark.parametrize("columns", [72, 80, 120])
def test_a_bar_has_room_for_speed_and_time_left_whatever_the_name(columns: int) -> None:
    program = """
from hubplug.shown.progress import progress
with progress("https://hub.example.com/publisher/a-name-that-is-long/and-goes-on-for-ever/text-embedding/1", 1 << 30) as bar:
    for _ in range(4):
        bar.advance(1023 << 18)
        bar._bar.refresh()
"""
    lines = [line for line in re.split(r"[\r\n]+", drawn_on_a_terminal(program, columns)) if line.strip()]
    assert len(lines) >= 4
    for line in lines:
        assert re.search(r"text-embedding/1: +\d+%\|", line) or columns < 80, line
        assert re.search(r"/1: +\d+%\|.*1\.00G \[\d\d:\d\d<[\d?:]+, +[\d?.]+[kMGT]?B/s\]", line), line


def test_a_notebook_gets_a_bar_without_asking() -> None:
    # What a kernel of Jupyter offers to find out; a kernel itself is too much for this test.
    program = """
import sys
from types import SimpleNamespace
shell = SimpleNamespace(config={"IPKernelApp": {}})
sys.modules["ipykernel"] = SimpleNamespace()
sys.modules["IPython"] = SimpleNamespace(get_ipython=lambda: shell)
from hubplug.shown.progress import progress
with progress("m", 2048) as bar:
    bar.advance(2048)
"""
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, check=True, env=environment)
    assert b"2.00k/2.00k" in done.stderr


def test_importing_it_does_not_import_tqdm() -> None:
    program = "import sys, hubplug.shown.progress as p\nwith p.progress('m') as bar: bar.advance(5)\nassert 'tqdm' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})
