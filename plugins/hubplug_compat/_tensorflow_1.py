"""What ``import tensorflow``, and every form of an import below it, gives under ``hubplug run --tf1``: TensorFlow 1's API."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec as ImportSpec
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any

from hubplug_compat._alias import AliasLoader
from hubplug_compat._quiet import QuietLoader

NAME = "tensorflow"
# What TensorFlow is made of, beside its API.
_UNMAPPED = frozenset({"_api", "compiler", "core", "dtensor", "include", "python", "security", "tools", "tsl"})


def find_tensorflow_1(fullname: str, path: Sequence[str] | None) -> ImportSpec | None:
    """The way to a module under its name of TensorFlow 1; None where it is found as usual."""
    if fullname == NAME:
        real = PathFinder.find_spec(NAME)
        if real is None or real.loader is None:
            return None
        real.loader = _MappingLoader(real.loader)
        return real
    mapped = sys.modules.get(NAME)
    if not isinstance(mapped, TensorFlow1):  # TensorFlow is still importing itself
        return None
    if not is_mapped(fullname):
        return None
    if fullname.split(".")[1] == "contrib":
        from hubplug_compat._contrib import find_contrib

        return find_contrib(fullname)
    module = mapped.find_module(fullname)
    if module is not None:
        return ImportSpec(fullname, AliasLoader(module))
    return PathFinder.find_spec(fullname, list(mapped.directories_of(fullname)))


def is_mapped(fullname: str) -> bool:
    """Whether a module's name has another meaning in TensorFlow 1."""
    return fullname.startswith(f"{NAME}.") and fullname.split(".")[1] not in _UNMAPPED


def find_legacy_layers(fullname: str) -> ImportSpec | None:
    """The way to the layers of TensorFlow 1, which TensorFlow's own ``python.layers`` looks for where they no longer are."""
    keras, _, rest = fullname.partition(".")
    try:
        return ImportSpec(fullname, AliasLoader(import_module(f"{keras}.src.{rest}")))
    except ModuleNotFoundError:
        return None


class TensorFlow1(ModuleType):
    """``tensorflow`` with the names of ``tensorflow.compat.v1``, and the real module's for what that lacks."""

    def __init__(self, real: ModuleType) -> None:
        super().__init__(real.__name__, real.__doc__)
        names = ("__file__", "__path__", "__spec__", "__loader__", "__package__", "__version__", "compat")
        self.__dict__.update({name: getattr(real, name) for name in names}, _real=real)

    def __getattr__(self, name: str) -> Any:
        if name == "contrib":
            return import_module(f"{NAME}.contrib")
        real = self.__dict__["_real"]
        try:
            return getattr(real.compat.v1, name)
        except AttributeError:
            return getattr(real, name)

    def __dir__(self) -> list[str]:
        real = self.__dict__["_real"]
        return sorted({*dir(real), *dir(real.compat.v1), "contrib"})

    def find_module(self, fullname: str) -> ModuleType | None:
        """The module that stands under a name in TensorFlow 1's API, or else in the real one's."""
        for top in (self, self.__dict__["_real"]):
            found: Any = top
            for part in fullname.split(".")[1:]:
                found = getattr(found, part, None)
            if isinstance(found, ModuleType):
                return found
        return None

    def directories_of(self, fullname: str) -> Iterator[str]:
        """Where the real package would have a module that is not part of the API."""
        between = fullname.split(".")[1:-1]
        # Where Keras is missing, TensorFlow puts None in its place.
        return (os.path.join(directory, *between) for directory in self.__dict__["_real"].__path__ if directory)


class _MappingLoader(QuietLoader):
    """Imports the real TensorFlow, switches TensorFlow 2's behaviour off and puts TensorFlow 1's names in front."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        real = sys.modules[NAME]
        _let_keras_have(real)
        real.compat.v1.disable_v2_behavior()
        sys.modules[NAME] = mapped = TensorFlow1(real)
        for name in list(sys.modules):  # TensorFlow 2's modules, under the names that have another meaning now
            if is_mapped(name) and mapped.find_module(name) is not None:
                del sys.modules[name]


def _let_keras_have(real: Any) -> None:
    """Lets Keras 3, which imports TensorFlow a second time when it first needs it, do so while that is the real one."""
    lazy = getattr(sys.modules.get("keras.src.utils.module_utils"), "tensorflow", None)
    if lazy is not None and lazy.__version__ != real.__version__:  # asking for anything imports it
        raise ImportError(f"Keras found another TensorFlow than {real.__file__}")
