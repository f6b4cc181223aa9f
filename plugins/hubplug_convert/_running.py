"""Jobs for child processes: converting, and applying a model to all cases; a crash costs one case, and not the command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from time import monotonic
from typing import Any

from hubplug.errors import ExportError
from hubplug.processes.children import NUMERIC_SETTINGS, run_child
from hubplug_convert._cases import Case
from hubplug_convert._contract import Request
from hubplug_convert._values import pack_all, read_records, unpack_all, write_record

_PROGRAM = "from hubplug_convert._child import main; main()"
_MOST_CRASHES = 5


@dataclass
class Answer:
    """What a model said to a case.

    Attributes:
        outputs: By name; None where it refused, or crashed.
        refused: Why, in words.
        inexpressible: Why the inputs cannot even be given to it, in words.
        crashed: Whether the process ended.
        moving: The outputs that were others when the same inputs came again.
    """

    outputs: Mapping[str, Any] | None = None
    refused: str | None = None
    inexpressible: str | None = None
    crashed: bool = False
    moving: Sequence[str] = ()


@dataclass
class Answers:
    """What a model said to all cases.

    Attributes:
        by_case: By the number of the case.
        gradients: Signature -> variable -> gradient.
        no_gradients: Signature -> why there are none; None: the model cannot be asked.
    """

    by_case: dict[int, Answer] = field(default_factory=dict)
    gradients: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    no_gradients: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Workshop:
    """Where and how a conversion is run.

    Attributes:
        entry_point: Of the conversion; None where none is needed.
        request: What is converted.
        folder: For files that are no one else's business.
        timeout: Seconds for each process.
        memory_mib: MiB of data that each may use.
    """

    entry_point: EntryPoint | None
    request: Request
    folder: Path
    timeout: float
    memory_mib: int

    def freeze(self, graph: Path, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> None:
        """Makes a frozen graph the SavedModel that the request names.

        Raises:
            ExportError: It cannot be read, or has no such tensors.
        """
        job = {"do": "freeze", "graph": str(graph), "inputs": dict(inputs), "outputs": dict(outputs)}
        self._ask(job, f"{graph} cannot be read as a frozen graph")

    def convert(self, result: Path) -> list[str]:
        """Has the result written, and gives what the conversion says of it.

        Raises:
            ExportError: It cannot be converted.
        """
        said = self._ask({"do": "convert", "result": str(result)}, "The conversion failed")
        return [str(note) for note in said.get("notes", ())]

    def apply(self, side: str, result: Path, cases: Sequence[Case], gradients: Sequence[int]) -> Answers:
        """Applies the source or the result to all cases.

        Args:
            side: ``source`` or ``result``.
            result: Where the result is.
            cases: The inputs.
            gradients: The numbers of those for which gradients are wanted too.

        Raises:
            ExportError: It cannot be loaded, takes too long, or crashes again and again.
        """
        given, taken = self.folder / "cases", self.folder / f"answers-of-{side}"
        with open(given, "wb") as file:
            for case in cases:
                write_record(file, {"signature": case.signature, "inputs": pack_all(case.inputs)})
        taken.touch()
        job = {
            "do": side,
            "result": str(result),
            "cases": str(given),
            "answers": str(taken),
            "gradients": list(gradients),
        }
        found = Answers()
        until = monotonic() + self.timeout
        first, crashes = 0, 0
        while True:
            problem, said = self._run({**job, "first": first}, max(until - monotonic(), 0.001))
            begun = _read(taken, found)
            if problem is None and "problem" in said:
                raise ExportError(f"The {side} cannot be loaded: {said['problem']}", hint=said.get("hint"))
            if problem is None:
                found.no_gradients = said.get("gradients")
                return found
            crashes += 1
            if monotonic() >= until or begun < first or begun in found.by_case or crashes > _MOST_CRASHES:
                where = f" at {cases[begun].about!r} of signature {cases[begun].signature!r}" if begun >= first else ""
                raise ExportError(
                    f"The {side} could not be run{where}: {problem}",
                    hint="give it longer with --timeout or more with --memory, or leave signatures out with --signature",
                )
            found.by_case[begun] = Answer(refused=problem, crashed=True)
            first = begun + 1

    def _ask(self, job: Mapping[str, Any], what: str) -> Mapping[str, Any]:
        problem, said = self._run(job, self.timeout)
        if problem is None and "problem" not in said:
            return said
        hint = said.get("hint") if problem is None else "give it longer with --timeout, or more with --memory"
        raise ExportError(f"{what}: {problem or said['problem']}", hint=hint)

    def whole(self, job: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """A job with what all jobs of the conversion have."""
        request = self.request
        return {
            **job,
            "name": self.entry_point.name if self.entry_point else "",
            "value": self.entry_point.value if self.entry_point else "",
            "source": str(request.source),
            "format": request.format,
            "tags": sorted(request.tags),
            "signatures": list(request.signatures),
            "seconds": seconds,
            "memory_bytes": self.memory_mib << 20,
        }

    def _run(self, job: Mapping[str, Any], seconds: float) -> tuple[str | None, Mapping[str, Any]]:
        data = json.dumps(self.whole(job, seconds)).encode()
        problem, said = run_child(_PROGRAM, data, seconds, NUMERIC_SETTINGS)
        if problem is not None:
            return problem, {}
        with suppress(ValueError):
            answer = json.loads(said)
            if isinstance(answer, dict):
                return None, answer
        return "the process gave no answer", {}


def _read(path: Path, found: Answers) -> int:
    """Takes in what a child wrote; the number of the case that it began last."""
    begun = -1
    with open(path, "rb") as file:
        for record in read_records(file):
            if "begins" in record:
                begun = record["begins"]
            elif "gradients" in record:
                found.gradients[record["gradients"]] = unpack_all(record["by_variable"])
            elif "inexpressible" in record:
                found.by_case[record["case"]] = Answer(inexpressible=record["inexpressible"])
            elif "refused" in record:
                found.by_case[record["case"]] = Answer(refused=record["refused"])
            else:
                outputs = unpack_all(record["outputs"])
                found.by_case[record["case"]] = Answer(outputs=outputs, moving=record.get("moving", ()))
    return begun
