"""Modules and SavedModels of TensorFlow 1 as ONNX. Imported without TensorFlow, which only converting needs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from hubplug.errors import ExportError, MissingDependencyError
from hubplug_convert._contract import Request, Runner

_NEEDED = ("onnx", "onnxruntime", "onnxruntime_extensions", "tf2onnx")


class ToOnnx:
    """A file ``SIGNATURE.onnx`` for each signature, and ``signatures.json``."""

    # The process that runs the result for the comparison has to be one as its users have it.
    runs_without_tensorflow = True

    def convert(self, request: Request, dest: Path) -> Sequence[str]:
        _keep_to_oneself()
        missing = [name for name in _NEEDED if find_spec(name) is None]
        if missing:
            raise MissingDependencyError(
                f"The target onnx needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed",
                hint="pip install 'hubplug[onnx]'",
            )
        try:
            import onnx
        except (
            AttributeError,
            ImportError,
        ) as error:  # it takes names of ml_dtypes that may be newer than TensorFlow's own
            raise ExportError(
                f"onnx cannot be imported: {error}",
                hint="TensorFlow before 2.19 comes with an ml_dtypes that is too old for it: pip install 'onnx<1.19'",
            ) from error
        del onnx
        from hubplug_convert._onnx.writing import write_all

        return write_all(request, dest)

    def open(self, request: Request, result: Path) -> Runner:
        _keep_to_oneself()
        from hubplug_convert._onnx.runner import OnnxRunner

        return OnnxRunner(result)


def _keep_to_oneself() -> None:
    """onnxruntime 1.29 and newer send what they see of models to their maker, unless this is there before they are imported."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
