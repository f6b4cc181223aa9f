"""Conversions of a third party, whose source is a module that halves and adds two, and whose result is a file with numbers."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hubplug_convert import NotExpressibleError


class Runner:
    def __init__(self, about: dict[str, Any]) -> None:
        self._about = about

    def run(self, signature: str, inputs: Any) -> Any:
        x = inputs["x"]
        if self._about.get("aborts_on_nan") and np.isnan(x).any():
            os.abort()
        if self._about.get("refuses_empty") and not x.size:
            raise ValueError("an empty batch\nand more lines")
        if self._about.get("random"):
            x = x + np.random.default_rng().random(x.shape, np.float32)
        factor = self._about["factor"] if (np.abs(x) > 1e30).any() else self._about.get("ordinary", 0.5)
        value = (x * np.float32(factor) + np.float32(2)).astype(self._about.get("dtype", "float32"))
        return {self._about.get("output", "default"): value}


class Conversion:
    source: ClassVar[dict[str, Any]] = {"factor": 0.5}
    result: ClassVar[dict[str, Any]] = {"factor": 0.5}

    def convert(self, request: Any, dest: Path) -> list[str]:
        (dest / "numbers.json").write_text(json.dumps(self.result))
        return ["It is a toy."]

    def open_source(self, request: Any) -> Runner:
        assert request.format == "tf1-hub"
        return Runner(self.source)

    def open(self, request: Any, result: Path) -> Runner:
        return Runner(json.loads((result / "numbers.json").read_text()))


class Good(Conversion):
    pass


class WrongForLargeOnes(Conversion):
    result: ClassVar[dict[str, Any]] = {"factor": 0.5001}


class WrongByLittle(Conversion):
    result: ClassVar[dict[str, Any]] = {"factor": 0.5, "ordinary": 0.50005}


class WrongDtype(Conversion):
    result: ClassVar[dict[str, Any]] = {"factor": 0.5, "dtype": "float64"}


class WithoutTheOutput(Conversion):
    result: ClassVar[dict[str, Any]] = {"factor": 0.5, "output": "other"}


class Random(Conversion):
    source: ClassVar[dict[str, Any]] = {"factor": 0.5, "random": True}


class RefusesTheEmptyBatch(Conversion):
    result: ClassVar[dict[str, Any]] = {"factor": 0.5, "refuses_empty": True}


class AnswersWhatTheSourceRefuses(Conversion):
    source: ClassVar[dict[str, Any]] = {"factor": 0.5, "refuses_empty": True}


class Crashes(Conversion):
    result: ClassVar[dict[str, Any]] = {"factor": 0.5, "aborts_on_nan": True}


class SourceCrashes(Conversion):
    source: ClassVar[dict[str, Any]] = {"factor": 0.5, "aborts_on_nan": True}


class RefersToTheSource(Conversion):
    def convert(self, request: Any, dest: Path) -> list[str]:
        (dest / "more.json").write_text(str(request.source / "assets" / "vocab.txt"))
        return super().convert(request, dest)


class SaysWhatWasImported(Conversion):
    def convert(self, request: Any, dest: Path) -> list[str]:
        super().convert(request, dest)
        return [f"tensorflow_text is imported: {'tensorflow_text' in sys.modules}"]


class CannotConvert(Conversion):
    def convert(self, request: Any, dest: Path) -> list[str]:
        (dest / "half.json").write_text("{}")
        raise ValueError("no rule for the op Frobnicate")


class WritesNothing(Conversion):
    def convert(self, request: Any, dest: Path) -> list[str]:
        return []


class Waits(Conversion):
    def convert(self, request: Any, dest: Path) -> list[str]:
        import time

        (dest / "half.json").write_text("{}")
        (request.source.parent / "waiting").touch()
        time.sleep(600)
        return []


class Unfinished:
    def convert(self, request: Any, dest: Path) -> None: ...


class WithoutTensorFlow(Conversion):
    runs_without_tensorflow = True


class NotWithoutTensorFlow(Conversion):
    runs_without_tensorflow = True

    def open(self, request: Any, result: Path) -> Runner:
        sys.modules.setdefault("tensorflow", sys)  # as an import of it would
        return super().open(request, result)


class CannotExpressNaN(Conversion):
    class _Runner(Runner):
        def run(self, signature: str, inputs: Any) -> Any:
            if np.isnan(inputs["x"]).any():
                raise NotExpressibleError("there is no NaN in it")
            return super().run(signature, inputs)

    def open(self, request: Any, result: Path) -> Runner:
        return self._Runner(self.result)
