"""What is said at the end of a run of tox that failed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "tools" / "show_failures.py"


def step(retcode: int, *command: str, output: str = "", err: str = "") -> dict[str, object]:
    return {"command": command, "output": output, "err": err, "retcode": retcode}


def shown(tmp_path: Path, **environments: dict[str, object]) -> list[str]:
    (tmp_path / "result.json").write_text(json.dumps({"testenvs": environments}))
    command = [sys.executable, str(PROGRAM), str(tmp_path / "result.json")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_commands_that_failed_are_shown_and_no_others(tmp_path: Path) -> None:
    lines = shown(
        tmp_path,
        fine={"setup": [step(0, "pip", "install", output="noise")], "test": [step(0, "pytest", output="noise")]},
        broken={"setup": [step(1, "pip", "install", "no such", err="ERROR: No matching distribution\n")]},
        red={"test": [step(0, "ruff", output="noise"), step(2, "mypy", output="a.py:1: error\nFound 1 error")]},
        skipped={},
    )
    assert lines == [
        "",
        "##### broken: pip install 'no such'",
        "ERROR: No matching distribution",
        "",
        "##### red: mypy",
        "a.py:1: error",
        "Found 1 error",
    ]


def test_of_a_long_output_the_first_explanation_and_the_end_are_shown(tmp_path: Path) -> None:
    dots = ["....."] * 500
    report = ["=== FAILURES ===", "the first", *["more"] * 500, "=== short test summary info ===", "FAILED a::b - why"]
    lines = shown(
        tmp_path,
        a={"test": [step(1, "pytest", output="\n".join(dots + report))]},
        b={"test": [step(1, "x", output="\n".join(dots))]},
    )
    assert len(lines) < 95
    start = lines.index("##### a: pytest")
    assert lines[start + 1 : start + 3] == ["=== FAILURES ===", "the first"]
    assert "FAILED a::b - why" in lines
    assert lines[-1] == "....."
