"""Prints what went wrong in a run of tox, from what ``tox run --result-json FILE`` wrote, in so few lines that they survive
in a log of which only the end is kept.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

MOST_LINES = 80
_REPORT = re.compile(r"^=+ (?:ERRORS|FAILURES) =+$", re.MULTILINE)  # where pytest begins to explain


def main(arguments: list[str]) -> None:
    """Prints each failed command with the part of its output that explains it."""
    failed = list(failed_commands(json.loads(Path(arguments[0]).read_text())))
    for environment, command, output in failed:
        print(f"\n##### {environment}: {command}")
        print("\n".join(explaining(output, MOST_LINES // len(failed))))


def failed_commands(result: dict) -> Iterator[tuple[str, str, str]]:
    """Environment, command and output of each command that failed."""
    for name, environment in result["testenvs"].items():
        for step in (*environment.get("setup", ()), *environment.get("test", ())):
            if step["retcode"]:
                yield name, shlex.join(step["command"]), f"{step['output']}\n{step['err']}".strip()


def explaining(output: str, most: int) -> list[str]:
    """At most about that many lines of an output: the first failure that pytest explains, and the end."""
    report = _REPORT.search(output)
    lines = (output[report.start() :] if report else output).splitlines()
    if len(lines) <= most:
        return lines
    end = most // 2 if report else most
    return [*lines[: most - end], "[...]", *lines[-end:]]


if __name__ == "__main__":
    main(sys.argv[1:])
