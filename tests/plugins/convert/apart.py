"""Conversions in this process whose results run in one other process, which has no TensorFlow, for many of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.plugins.convert.in_process import HereWorkshop

_PROGRAM = """
import json, sys
from hubplug_convert import _child

for line in sys.stdin:
    try:
        answer = _child.do(json.loads(line))
    except Exception as error:
        answer = {"problem": _child.in_words(error)}
    assert "tensorflow" not in sys.modules
    print(json.dumps(answer), flush=True)
"""


class ResultProcess:
    """A process that runs results, one after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )

    def do(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer: Mapping[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        self._process.communicate()


class ApartWorkshop(HereWorkshop):
    """Asks a ``ResultProcess`` for what results give."""

    process: ResultProcess

    def _run(self, job: Mapping[str, Any], seconds: float) -> tuple[str | None, Mapping[str, Any]]:
        if job["do"] == "result":
            return None, self.process.do(self.whole(job, seconds))
        return super()._run(job, seconds)
