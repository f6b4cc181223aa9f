"""The benchmark runs; what it measures is nobody's business in a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SMALL = ["--files", "2", "--rows", "50", "--turns", "1", "--workers", "1"]


def test_the_benchmark_of_files_compares_with_a_plain_loop(tmp_path: Path) -> None:
    kinds = ["files", "rows", "record batches"]
    command = [sys.executable, str(ROOT / "benchmarks" / "beam_files.py"), *SMALL, "--kinds", *kinds]
    done = subprocess.run([*command, "--json", str(tmp_path / "figures.json")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(json.loads((tmp_path / "figures.json").read_text())) == {"loop session", *kinds, "1 workers"}
