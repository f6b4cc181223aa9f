"""Findings on their way from a child process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import IO, Any

from hubplug.processes.children import run_child
from hubplug.types import Finding


def answer(findings: Sequence[Finding], stream: IO[str]) -> None:
    """Writes findings as the parent reads them."""
    json.dump([_row(finding) for finding in findings], stream)


def ask_child(
    program: str, job: bytes, timeout: float, environment: tuple[str, ...] = ()
) -> tuple[str | None, list[Finding]]:
    """Runs a program that answers with findings; see ``run_child``.

    Returns:
        A problem in words, or None; and the findings.
    """
    problem, said = run_child(program, job, timeout, environment)
    if problem is not None:
        return problem, []
    try:
        return None, [_finding(row) for row in json.loads(said)]
    except (ValueError, TypeError, KeyError, RecursionError):
        return "the process gave no result", []


def _row(finding: Finding) -> dict[str, Any]:
    row = asdict(finding)
    row["tags"] = None if finding.tags is None else sorted(finding.tags)
    return row


def _finding(row: dict[str, Any]) -> Finding:
    tags = row.pop("tags", None)
    return Finding(**row, tags=None if tags is None else frozenset(tags))
