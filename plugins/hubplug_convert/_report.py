"""What ``hubplug convert`` says of a conversion, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hubplug_convert._comparing import FORMULA
from hubplug_convert._verifying import GRADIENT_TOLERANCE, SignatureReport, Verification

_MOST_PROBLEMS = 20
_FINITE = "not compared (--finite): inputs with infinities, NaN, or numbers near the largest"


@dataclass
class Report:
    """A conversion and what became of it."""

    source: str
    source_format: str
    target: str
    result: str
    finite: bool = False
    notes: Sequence[str] = ()
    verification: Verification = field(default_factory=Verification)

    @property
    def is_kept(self) -> bool:
        """Whether the result is the same as the source, and was put in its place."""
        return not self.verification.problems


def as_text(report: Report) -> Iterator[str]:
    """The report in lines."""
    found = report.verification
    for name, about in found.signatures.items():
        largest = max((output.largest_difference for output in about.outputs.values()), default=0.0)
        yield (
            f"signature {name!r}: {_count(about.compared, 'call')} compared, outputs "
            f"{', '.join(about.outputs) or 'none'}; largest difference {largest:.3g}"
        )
        for said, refused in (
            ("neither takes", about.refused_by_both),
            ("the source does not take, but the result does", about.refused_by_source_only),
            ("the target cannot express", about.not_expressible),
        ):
            if refused:
                yield f"  {said}: {_shortened(refused)}"
        if about.gradients:
            yield f"  gradients: {about.gradients}"
    for note in (*report.notes, *([_FINITE] if report.finite else [])):
        yield f"note: {note}"
    for problem in found.problems[:_MOST_PROBLEMS]:
        yield f"problem: {problem}"
    if len(found.problems) > _MOST_PROBLEMS:
        yield f"problem: and {len(found.problems) - _MOST_PROBLEMS} more; --json lists them all"
    if report.is_kept:
        yield f"{report.result}: written; it gives what {report.source} gives ({FORMULA})"
    else:
        yield f"{report.result}: not written, since it is not the same as {report.source} ({FORMULA})"
        if found.extreme_problems == len(found.problems):
            yield "hint: only infinities, NaN and numbers near the largest differ; if your inputs never have them, --finite leaves them out"


def as_json(report: Report) -> str:
    """The report as JSON."""
    found = report.verification
    return json.dumps(
        {
            "source": report.source,
            "source_format": report.source_format,
            "target": report.target,
            "result": report.result,
            "written": report.is_kept,
            "tolerance": FORMULA,
            "gradient_tolerance": GRADIENT_TOLERANCE,
            "signatures": {name: _plain(about) for name, about in found.signatures.items()},
            "finite": report.finite,
            "problems": found.problems,
            "notes": list(report.notes),
        },
        indent=2,
    )


def _plain(about: SignatureReport) -> dict[str, Any]:
    return {
        "calls_compared": about.compared,
        "refused_by_both": about.refused_by_both,
        "refused_by_source_only": about.refused_by_source_only,
        "not_expressible": about.not_expressible,
        "outputs": {key: _number(output.largest_difference) for key, output in about.outputs.items()},
        "gradients": about.gradients,
    }


def _number(value: float) -> float | str:
    return value if value < float("inf") else "infinite"


def _shortened(items: Sequence[str]) -> str:
    first = "; ".join(item[:160] for item in items[:2])
    return first + (f"; and {len(items) - 2} more" if len(items) > 2 else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
