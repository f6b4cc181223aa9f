"""Applying the signatures of a module, in a child process with limits: the module's program never runs in this one."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence

from hubplug.processes.children import NUMERIC_SETTINGS
from hubplug.spec import ModuleSpec
from hubplug.types import Finding
from hubplug_signatures._answers import ask_child

_PROGRAM = "from hubplug_signatures._running_child import main; main()"


def run_profiles(spec: ModuleSpec, profiles: Sequence[str], *, timeout: float, memory_mib: int) -> list[Finding]:
    """Applies the signatures of profiles to generated inputs; see ``hubplug_signatures._running``.

    Args:
        spec: A module whose static checks found no error.
        profiles: Names of common signatures.
        timeout: Seconds that all of them together may take.
        memory_mib: MiB of data that the child may use.
    """
    job = {"profiles": list(profiles), "seconds": timeout, "memory_bytes": memory_mib << 20}
    try:
        data = pickle.dumps({**job, "spec": spec, "working_directory": os.path.abspath(os.curdir)})
    except Exception as error:  # Whatever a plugin's spec raises.
        problem: str | None = f"the spec cannot be sent to another process: {type(error).__name__}: {error}"
        findings: list[Finding] = []
    else:
        problem, findings = ask_child(_PROGRAM, data, timeout, NUMERIC_SETTINGS)
    if problem:
        said = f"the signatures could not be applied: {problem}"
        findings = [Finding(f"{name}/not-checked", "error", said) for name in profiles]
    return findings
