"""The checks that read untrusted files, in a child process: whatever happens to it, the caller gets findings.

The child parses protocol buffers and checkpoints that may be made to hurt. It gets a cap on address space and processor
time before it reads the first byte, and is killed when it takes too long. A module that could not be checked has an
error among its findings: the check never fails open.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path

from hubplug.spec import ModuleSpec
from hubplug.types import Finding
from hubplug_signatures._answers import ask_child
from hubplug_signatures._running_ops import find_running_ops

_PROGRAM = "from hubplug_signatures._child import main; main()"


def check_files(
    spec: ModuleSpec, profile: str, *, allow_ops: Collection[str], timeout: float, memory_mib: int
) -> list[Finding]:
    """Checks the files of a module against ``complete`` or ``safe``.

    Args:
        spec: A spec with an attribute ``directory``, the local directory it was read from.
        profile: Which of the two.
        allow_ops: Op types that ``safe`` accepts.
        timeout: Seconds the child may take.
        memory_mib: MiB of address space the child may use.
    """
    directory = getattr(spec, "directory", None)
    if directory is None:
        said = "the module has no files here to check: it was made in this process, or is stored elsewhere"
        return [Finding(f"{profile}/not-checked", "error", said)]
    job = {
        "directory": os.fspath(Path(directory).resolve()),
        "profile": profile,
        "allow_ops": sorted(allow_ops),
        "memory_bytes": memory_mib << 20,
        "cpu_seconds": int(timeout) + 1,
    }
    if profile == "complete" and (running := find_running_ops()) is not None:
        job["running_ops"] = {"release": running.release, "names": sorted(running.names)}
    problem, findings = ask_child(_PROGRAM, json.dumps(job).encode(), timeout)
    if problem:
        findings = [Finding(f"{profile}/not-checked", "error", f"{directory} could not be checked: {problem}")]
    return findings
