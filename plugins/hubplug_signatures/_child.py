"""The program of the child process that reads a module's files: a job on standard input, findings on standard output."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from hubplug.processes.limits import limit
from hubplug.types import Finding
from hubplug_signatures._answers import answer


def main() -> None:
    """Checks one directory, within the limits of the job."""
    job = json.load(sys.stdin)
    limit({"RLIMIT_AS": job["memory_bytes"], "RLIMIT_CPU": job["cpu_seconds"], "RLIMIT_FSIZE": 0})
    try:
        findings = _check(Path(job["directory"]), job["profile"], frozenset(job["allow_ops"]), job.get("running_ops"))
    except MemoryError:
        findings = [
            Finding(
                f"{job['profile']}/not-checked",
                "error",
                f"checking takes more than the {job['memory_bytes'] >> 20} MiB that it may use",
            )
        ]
    answer(findings, sys.stdout)


def _check(
    directory: Path, profile: str, allow_ops: frozenset[str], running_ops: dict[str, Any] | None
) -> list[Finding]:
    if profile == "complete":
        from hubplug_signatures._complete import check_directory
        from hubplug_signatures._running_ops import RunningOps

        running = RunningOps(running_ops["release"], frozenset(running_ops["names"])) if running_ops else None
        return check_directory(directory, running)
    from hubplug_signatures._scan import scan_directory

    return scan_directory(directory, allow_ops)


if __name__ == "__main__":
    main()
