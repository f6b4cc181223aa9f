"""Conversions that run in this process: for tests of many models, each of which would take seconds to start processes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from hubplug_convert import _child
from hubplug_convert._running import Workshop
from hubplug_convert._sources import describe, generate_cases
from hubplug_convert._verifying import Verification, verify


class HereWorkshop(Workshop):
    def _run(self, job: Mapping[str, Any], seconds: float) -> tuple[str | None, Mapping[str, Any]]:
        try:
            answer = _child.do(self.whole(job, seconds))
        except Exception as error:
            answer = {"problem": _child.in_words(error)}
        said: Mapping[str, Any] = json.loads(json.dumps(answer))
        return None, said


def convert_here(
    source: Path, result: Path, folder: Path, value: str, workshop_type: type[Workshop] = HereWorkshop, **options: Any
) -> tuple[list[str], Verification]:
    """Converts a directory and compares the two; the notes and what was found."""
    request, variant = describe(source, options.get("tags", ()), options.get("signatures", ()))
    workshop = workshop_type(EntryPoint("here", value, "hubplug.conversions"), request, folder, 600.0, 1 << 20)
    result.mkdir()
    notes = workshop.convert(result)
    return notes, verify(workshop, result, generate_cases(request, variant, {}))
