"""The benchmark of serving runs, and every archive that it gets is right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "serving.py"


def test_the_serving_benchmark_prints_its_figures(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--modules", "4", "--clients", "4", "--mebibytes", "1"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "4 of 4 archives right" in done.stdout
    assert "page beside 100 who take nothing" in done.stdout
