"""What a child process may use, and how its findings leave it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import IO, Any

from hubplug.types import Finding


def limit(limits: dict[str, int]) -> None:
    """Limits this process: ``RLIMIT_CPU`` (seconds), ``RLIMIT_FSIZE`` (bytes of a file), ... -> the most; lower ones stay."""
    try:
        import resource
    except ImportError:  # Windows: the timeout of the parent is all there is.
        return
    for name, wanted in {**limits, "RLIMIT_CORE": 0}.items():
        kind = getattr(resource, name, None)
        if kind is not None:
            _, hard = resource.getrlimit(kind)
            resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def answer(findings: Sequence[Finding], stream: IO[str]) -> None:
    """Writes findings as the parent reads them."""
    json.dump([_row(finding) for finding in findings], stream)


def _row(finding: Finding) -> dict[str, Any]:
    row = asdict(finding)
    row["tags"] = None if finding.tags is None else sorted(finding.tags)
    return row
