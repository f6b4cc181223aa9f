"""Findings for people, for programs, and for the code-scanning pages of hosting services (SARIF 2.1.0)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from hubplug.shown.terminal import Colour, painted
from hubplug.types import Finding
from hubplug_signatures._rules import all_rules

_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
# What a reference to a URI may hold as it is.
_URI = "%/:?=&~+!$,;'@()*#"
_COLOURS: dict[str, Colour] = {"error": "red", "warning": "yellow", "note": "cyan"}
_ORDER = {"error": 0, "warning": 1, "note": 2}


def report(findings: Sequence[Finding], subject: str, form: str, module: str | None = None) -> str:
    """The findings about a subject, for programs: in one of the forms ``json`` and ``sarif``.

    Args:
        findings: Errors, warnings and notes.
        subject: What was looked at: a redacted handle, or words with several.
        form: Which form.
        module: The redacted handle of the module that has the findings; None: the subject.
    """
    ordered = _ordered(findings)
    if form == "json":
        return json.dumps(_as_json(ordered, subject), indent=2)
    return json.dumps(_as_sarif(ordered, quote(module or subject, safe=_URI)), indent=2)


def in_words(findings: Sequence[Finding], subject: str) -> Iterator[object]:
    """The findings about a subject, for people."""
    for finding in _ordered(findings):
        place = _place(finding)
        said = f" {finding.rule}: {place}{': ' if place else ''}{finding.message}"
        yield [painted(f"{finding.level}:", _COLOURS[finding.level]), said]
    counts: Counter[str] = Counter(finding.level for finding in findings)
    summary = ", ".join(
        f"{counts[level]} {level}{'s' if counts[level] != 1 else ''}" for level in _ORDER if counts[level]
    )
    yield f"{subject}: {summary or 'no findings'}"


def _ordered(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: _ORDER[finding.level])


def _as_json(findings: Sequence[Finding], subject: str) -> dict[str, Any]:
    return {
        "subject": subject,
        "errors": sum(finding.level == "error" for finding in findings),
        "warnings": sum(finding.level == "warning" for finding in findings),
        "findings": [
            {
                "rule": finding.rule,
                "level": finding.level,
                "message": finding.message,
                "tags": None if finding.tags is None else sorted(finding.tags),
                "signature": finding.signature,
                "where": finding.where,
            }
            for finding in findings
        ],
    }


def _as_sarif(findings: Sequence[Finding], uri: str) -> dict[str, Any]:
    rules = sorted({finding.rule for finding in findings})
    return {
        "$schema": _SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "hubplug", "rules": [_described(rule) for rule in rules]}},
                "results": [
                    {
                        "ruleId": finding.rule,
                        "ruleIndex": rules.index(finding.rule),
                        "level": finding.level,
                        "message": {"text": finding.message},
                        "locations": [
                            {
                                "physicalLocation": {"artifactLocation": {"uri": uri}},
                                "logicalLocations": [{"fullyQualifiedName": _place(finding) or "module"}],
                            }
                        ],
                    }
                    for finding in findings
                ],
            }
        ],
    }


def _described(rule: str) -> dict[str, Any]:
    meaning = all_rules().get(rule)  # a third party's plugin has rules of its own
    return {"id": rule, **({"shortDescription": {"text": meaning.replace("`", "")}} if meaning else {})}


def _place(finding: Finding) -> str:
    parts = []
    if finding.tags is not None:
        parts.append(f"graph variant {sorted(finding.tags)}")
    if finding.signature is not None:
        parts.append(f"signature {finding.signature!r}")
    return ", ".join(parts)
