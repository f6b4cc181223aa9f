"""What TensorFlow's C++ notes while it is imported is left out of standard error; errors and what others write come through."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hubplug.processes.notes import lines_without_notes

OLD = "2024-05-02 10:11:12.123456: {} tensorflow/core/util/port.cc:113] oneDNN custom operations are on."
NEW = "{}0000 00:00:1795309947.858342   30374 port.cc:153] oneDNN custom operations are on."
NOTES = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    *(form.format(level) for form in (OLD, NEW) for level in "IW"),
    "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow with the appropriate compiler flags.",
    "E0000 00:00:1.2   7 cuda_fft.cc:477] Unable to register cuFFT factory: Attempting to register factory for plugin cuFFT when one "
    "has already been registered",
]
ERRORS = [form.format(level) for form in (OLD, NEW) for level in "EF"]
OF_OTHERS = ["", "I am here", "WARNING:root:of the program", "2024-05-02 10:11:12: I say", "I0000 is a name", "\xff"]


def kept(lines: list[str], least: int) -> list[str]:
    given = [f"{line}\n".encode("latin-1") for line in lines]
    return [line.decode("latin-1").rstrip("\n") for line in lines_without_notes(given, least)]


def test_notes_are_told_from_errors_and_from_what_others_write() -> None:
    assert kept([*NOTES, *ERRORS, *OF_OTHERS], 2) == [*ERRORS, *OF_OTHERS]
    assert kept([form.format("W") for form in (OLD, NEW)], 1) == [form.format("W") for form in (OLD, NEW)]
    assert kept(ERRORS, 3) == [form.format("F") for form in (OLD, NEW)]


def program(inside: str, level: str | None = None) -> list[str]:
    """A process that leaves out notes while it does something."""
    text = f"""
        import os, subprocess, sys
        from hubplug.processes.notes import without_notes
        print("before", file=sys.stderr)
        with without_notes({level!r}):
            os.write(2, {NOTES[1].encode()!r} + b"\\n")
            {inside}
        print("after", file=sys.stderr)
    """
    return [sys.executable, "-c", textwrap.dedent(text)]


def written(inside: str, level: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(program(inside, level), capture_output=True, text=True, timeout=60, check=False)


def test_the_order_stays_and_nothing_of_the_program_is_lost() -> None:
    assert written("print('mine', file=sys.stderr)").stderr.splitlines() == ["before", "mine", "after"]
    assert written("print('mine', end='', file=sys.stderr)").stderr == "before\nmineafter\n"


def test_who_asks_for_everything_gets_it() -> None:
    assert written("pass", "0").stderr.splitlines() == ["before", NOTES[1], "after"]


@pytest.mark.parametrize("end", ["os.abort()", "os._exit(3)", "raise SystemExit(3)"])
def test_the_last_words_of_a_process_that_ends_there_are_shown(end: str) -> None:
    done = written(f"os.write(2, {ERRORS[-1].encode()!r} + b'\\n'); {end}")
    assert done.returncode != 0
    assert done.stderr.splitlines() == ["before", ERRORS[-1]]


def test_what_goes_on_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    sleeping = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(40)'], stdout=2)"
    with (tmp_path / "said").open("wb") as said:
        subprocess.run(program(sleeping), stderr=said, timeout=30, check=True)
    assert (tmp_path / "said").read_text() == "before\nafter\n"
