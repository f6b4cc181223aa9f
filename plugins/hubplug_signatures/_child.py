"""The program of the child process that reads a module's files: a job on standard input, findings on standard output."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hubplug.types import Finding


def main() -> None:
    """Checks one directory, within the limits of the job."""
    job = json.load(sys.stdin)
    _limit(job["memory_bytes"], job["cpu_seconds"])
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
    json.dump([_row(finding) for finding in findings], sys.stdout)


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


def _limit(memory_bytes: int, cpu_seconds: int) -> None:
    try:
        import resource
    except ImportError:  # Windows: the timeout of the parent is all there is.
        return
    for kind, wanted in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (limit, hard))


def _row(finding: Finding) -> dict[str, Any]:
    row = asdict(finding)
    row["tags"] = None if finding.tags is None else sorted(finding.tags)
    return row


if __name__ == "__main__":
    main()
