"""No damaged index of a checkpoint ends the process: what hubplug accepts, TensorFlow reads or refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def run_trials(directory: Path, first: int, last: int) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.plugins.format.index_trials", str(directory), str(first), str(last)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    said = done.stderr[-2000:]
    assert done.returncode == 0, f"trial {(directory / 'trial').read_text()} ended with {done.returncode}: {said}"
    counts: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return counts


@pytest.mark.usefixtures("programs_of_tensorflow_2")
def test_damaged_indexes_do_not_end_the_process(tmp_path: Path) -> None:
    counts = run_trials(tmp_path, 0, 300)
    assert counts["trials"] == 300
    # Some changes are no damage, or are found when values are read: those are what TensorFlow is given.
    assert 10 < counts["accepted"] < 150


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_many_damaged_indexes_do_not_end_the_process(tmp_path: Path) -> None:
    number = int(os.environ.get("HUBPLUG_TEST_INDEXES", "20000"))
    print(run_trials(tmp_path, 1000, 1000 + number))
