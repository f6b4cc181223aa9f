"""Whether the result of a conversion is what the source is: both are applied to the same inputs, and compared."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hubplug_convert._cases import Case
from hubplug_convert._comparing import compare
from hubplug_convert._contract import Ragged, Sparse
from hubplug_convert._running import Answer, Answers, Workshop

# Gradients are sums over everything, in an order that is nobody's promise.
GRADIENT_TOLERANCE = 1e-4
_DEFINITIONS = (".pb", ".pbtxt", ".json", ".onnx", ".tflite")


@dataclass
class OutputReport:
    """One output: the largest difference, and whether any number of it was finite."""

    largest_difference: float = 0.0
    is_finite: bool = False


@dataclass
class SignatureReport:
    """One signature: how many cases were compared, which inputs the source does not take, and which the target cannot express."""

    compared: int = 0
    refused_by_both: list[str] = field(default_factory=list)
    refused_by_source_only: list[str] = field(default_factory=list)
    not_expressible: list[str] = field(default_factory=list)
    outputs: dict[str, OutputReport] = field(default_factory=dict)
    gradients: str | None = None


@dataclass
class Verification:
    """What was found.

    Attributes:
        signatures: By name.
        problems: Why the result is not kept, in sentences; none: it is the same.
        extreme_problems: How many of them are of extreme inputs alone.
    """

    signatures: dict[str, SignatureReport] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    extreme_problems: int = 0


def verify(workshop: Workshop, result: Path, cases: Sequence[Case]) -> Verification:
    """Applies source and result to all cases.

    Raises:
        ExportError: One of them cannot be run.
    """
    source = workshop.apply("source", result, cases, _firsts(cases))
    asked = {
        case.signature: number
        for number, case in enumerate(cases)
        if case.signature in source.gradients and number in _firsts(cases)
    }
    made = workshop.apply("result", result, cases, list(asked.values()))
    found = Verification({name: SignatureReport() for name in workshop.request.signatures})
    found.problems += _find_ways_back(workshop.request.source, result)
    for number, case in enumerate(cases):
        before = len(found.problems)
        _compare_case(found, case, source.by_case[number], made.by_case[number])
        found.extreme_problems += case.is_extreme * (len(found.problems) - before)
    for name, about in found.signatures.items():
        _judge(found, name, about, [source.by_case[n] for n, case in enumerate(cases) if case.signature == name])
        if source.no_gradients is not None and made.no_gradients is not None:
            about.gradients = _compare_gradients(found, name, source, made)
    return found


def _find_ways_back(source: Path, result: Path) -> Iterator[str]:
    """The source is there while both are compared: what leads back to it would work now, and not when it is gone."""
    # Names of other files may stand in stack traces, where the source lies in a directory with code.
    names = {
        os.fsencode(place / part) + b"/" for place in (source, source.resolve()) for part in ("assets", "variables")
    }
    for path in sorted(result.rglob("*")):
        if path.is_symlink() or (path.suffix in _DEFINITIONS and any(name in path.read_bytes() for name in names)):
            yield f"{path.relative_to(result)} of the result refers to files of the source, {source}"


def _firsts(cases: Sequence[Case]) -> list[int]:
    found: dict[str, int] = {}
    for number, case in enumerate(cases):
        found.setdefault(case.signature, number)
    return list(found.values())


def _compare_case(found: Verification, case: Case, source: Answer, made: Answer) -> None:
    about = found.signatures[case.signature]
    where = f"signature {case.signature!r}, {case.about}"
    if made.inexpressible is not None:
        about.not_expressible.append(f"{case.about}: {made.inexpressible}")
        return
    if source.outputs is None:
        refused = about.refused_by_both if made.outputs is None else about.refused_by_source_only
        refused.append(f"{case.about}: {source.refused}")
        return
    for key in source.moving:
        said = f"signature {case.signature!r}, output {key!r}: the source gives other values each time"
        if not any(problem.startswith(said) for problem in found.problems):
            found.problems.append(f"{said} (first seen with {case.about}), so it cannot be compared")
    if made.outputs is None:
        how = "the process of the result crashed" if made.crashed else "the result refuses what the source takes"
        if not source.moving:
            found.problems.append(f"{where}: {how}: {made.refused}")
        return
    about.compared += case.has_values
    for key, value in source.outputs.items():
        report = about.outputs.setdefault(key, OutputReport())
        if key in source.moving:
            continue
        if key not in made.outputs:
            found.problems.append(f"{where}: the result has no output {key!r}, only {', '.join(sorted(made.outputs))}")
            continue
        difference = compare(value, made.outputs[key])
        report.largest_difference = max(report.largest_difference, difference.largest)
        report.is_finite = report.is_finite or _is_finite(value)
        if difference.said is not None:
            found.problems.append(
                f"{where}: output {key!r} {difference.said}; largest difference {difference.largest:.3g}; "
                f"inputs: {shown_inputs(case.inputs)}"
            )


def _judge(found: Verification, name: str, about: SignatureReport, answers: Sequence[Answer]) -> None:
    if any(answer.moving for answer in answers):
        return
    if not about.compared:
        reason = next((answer.refused for answer in answers if answer.refused), "no inputs were tried")
        found.problems.append(
            f"signature {name!r} could not be verified: the source takes none of the generated inputs ({reason}); "
            "give real ones with --example"
        )
    for key, report in about.outputs.items():
        if about.compared and not report.is_finite:
            found.problems.append(
                f"signature {name!r}, output {key!r}: no generated input led to a finite number, so nothing was compared; "
                "give real ones with --example"
            )


def _compare_gradients(found: Verification, name: str, source: Answers, made: Answers) -> str:
    if name not in source.gradients:
        return f"none in the source ({(source.no_gradients or {}).get(name, 'not asked')})"
    expected = source.gradients[name]
    if not expected:
        return "the source has no trainable variables that its outputs depend on"
    if name not in made.gradients:
        reason = (made.no_gradients or {}).get(name, "it gave none")
        found.problems.append(f"signature {name!r}: the source has gradients, and the result has none: {reason}")
        return "missing"
    largest = 0.0
    for variable, gradient in expected.items():
        if variable not in made.gradients[name]:
            found.problems.append(f"signature {name!r}: variable {variable!r} has no gradient in the result")
            continue
        got = made.gradients[name][variable]
        difference = _gradient_difference(gradient, got)
        largest = max(largest, difference)
        if not difference <= GRADIENT_TOLERANCE:
            found.problems.append(
                f"signature {name!r}: the gradient of variable {variable!r} is another one in the result; largest difference "
                f"{difference:.3g} of its largest number"
            )
    return f"equal for {len(expected)} variables; largest difference {largest:.3g}"


def _gradient_difference(source: Any, result: Any) -> float:
    if hasattr(source, "dense_shape") or source.shape != result.shape:
        return float("inf")
    a, b = np.asarray(source, np.float64), np.asarray(result, np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(all="ignore"):
        apart = np.where(same, 0.0, np.abs(a - b))
        size = np.abs(a[np.isfinite(a)]).max(initial=0.0)
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0) / (1 + size))


def _is_finite(value: Any) -> bool:
    while isinstance(value, (Sparse, Ragged)):
        value = value.values
    return value.dtype.kind not in "fc" or bool(np.isfinite(value).any())


def shown_inputs(inputs: Mapping[str, Any]) -> str:
    """The inputs of a call, cut to what fits in a message."""
    shown = []
    for key, value in list(inputs.items())[:4]:
        inner = value
        while isinstance(inner, (Sparse, Ragged)):
            inner = inner.values
        first = [repr(item)[:40] for item in np.ravel(inner)[:3].tolist()]
        more = ", ..." if np.size(inner) > len(first) else ""
        shown.append(f"{key} = [{', '.join(first)}{more}] of shape {list(np.shape(inner))}")
    return "; ".join(shown + ["..."] * (len(inputs) > 4)) or "none"
