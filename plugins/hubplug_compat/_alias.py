"""An import that gives a module which is there already, under another name."""

from __future__ import annotations

import sys
from importlib.abc import Loader
from importlib.machinery import ModuleSpec as ImportSpec
from types import ModuleType


class AliasLoader(Loader):
    """Gives a module as it is."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def create_module(self, spec: ImportSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        # What a module puts into sys.modules in its own place is what its import gives.
        sys.modules[module.__name__] = self._module
        for name in list(sys.modules):  # what was imported from below it before
            parent, _, child = name.rpartition(".")
            if parent == module.__name__ and not hasattr(self._module, child):
                setattr(self._module, child, sys.modules[name])
