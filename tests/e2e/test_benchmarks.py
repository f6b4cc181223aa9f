"""The benchmarks of resolving and fetching run; what they measure is nobody's business in a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).resolve().parents[2] / "benchmarks" / "run.py"


def test_the_fetching_benchmark_prints_a_table_and_writes_every_figure(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(RUN), "--workloads", "fetching", "--only-hubplug", "--megabytes", "1", "--json", "f.json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "f.json").read_text())["figures"]
    assert {"start", "again", "download", "herd"} <= set(figures)
    assert "8 processes, one handle: downloads" in done.stdout


def test_the_benchmark_of_the_start_prints_a_ratio() -> None:
    script = RUN.with_name("start.py")
    done = subprocess.run([sys.executable, str(script), "--runs", "1"], capture_output=True, text=True, check=True)
    assert "ratio" in done.stdout
