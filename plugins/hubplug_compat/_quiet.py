"""The import of TensorFlow under ``hubplug run``, without what it notes about the machine."""

from __future__ import annotations

import os
from importlib.abc import Loader
from importlib.machinery import ModuleSpec as ImportSpec
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any

from hubplug.processes.notes import without_notes


def find_tensorflow() -> ImportSpec | None:
    """The way to TensorFlow; None where it is not found as usual."""
    spec = PathFinder.find_spec("tensorflow")
    if spec is not None and spec.loader is not None:
        spec.loader = QuietLoader(spec.loader)
    return spec


class QuietLoader(Loader):
    """Imports as another loader does, and steps aside; what TensorFlow notes meanwhile is left out of standard error."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def create_module(self, spec: ImportSpec) -> ModuleType | None:
        module: ModuleType | None = self._real.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._real
        with without_notes(os.environ.get("TF_CPP_MIN_LOG_LEVEL")):
            self._real.exec_module(module)
