"""What ``import tensorflow_hub`` and its submodules give once hubplug stands in for it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec as ImportSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import hubplug
from hubplug.errors import HubplugError
from hubplug_compat import _resolving
from hubplug_compat._names import OFFERED, instead_of

NAME = "tensorflow_hub"
# Programs compare tensorflow_hub.__version__ with the release that brought what they need.
API_LEVEL = "0.15.0"


class StandingInError(HubplugError, ImportError):
    """hubplug cannot stand in for tensorflow_hub, or not for this part of it."""


class StandIn(ModuleType):
    """``tensorflow_hub``, or one of its submodules, in terms of hubplug's public names."""

    def __init__(self, name: str, offers: Sequence[str]) -> None:
        super().__init__(name, f"hubplug, standing in for {name}")
        self.__all__ = list(offers)

    def __getattr__(self, name: str) -> Any:
        if name in self.__all__:
            return _resolving.Resolvers() if name == "resolver" else getattr(_home_of(name), name)
        said = f"module {self.__name__!r} has no attribute {name!r}"
        if name.startswith("__"):  # what the import system asks for, and must not need TensorFlow
            raise AttributeError(said)
        if self.__name__ == f"{NAME}.tf_v1":
            return getattr(import_module("tensorflow.compat.v1"), name)
        dotted = f"{self.__name__}.{name}".partition(".")[2]
        raise AttributeError(f"{said}: hubplug stands in for {NAME} here; instead there is: {instead_of(dotted)}")


def _home_of(name: str) -> ModuleType:
    return _resolving if name in ("Resolver", "tfhub_cache_dir") else hubplug


def stand_in_for(submodule: str) -> StandIn:
    """The stand-in for a submodule of tensorflow_hub.

    Raises:
        KeyError: There is none.
    """
    made = StandIn(f"{NAME}.{submodule}", OFFERED[submodule])
    if "__version__" in made.__all__:
        made.__version__ = API_LEVEL  # type: ignore[attr-defined]
    return made


def find_stand_in(fullname: str) -> ImportSpec:
    """The way to the stand-in for ``tensorflow_hub`` or a part of it.

    Raises:
        StandingInError: hubplug has no such part.
    """
    submodule = fullname.partition(".")[2]
    if submodule and submodule not in OFFERED:
        raise StandingInError(
            f"hubplug stands in for {NAME} and has no part {fullname!r}", hint=f"there is: {instead_of(submodule)}"
        )
    # All of them are packages: `from tensorflow_hub.resolver import X` comes here for an X that is not there.
    return ImportSpec(fullname, _StandInLoader(), is_package=True)


class _StandInLoader(Loader):
    def create_module(self, spec: ImportSpec) -> ModuleType:
        submodule = spec.name.partition(".")[2]
        if submodule:
            return stand_in_for(submodule)
        return StandIn(NAME, [name for name in hubplug.__all__ if not name.startswith("Hub")])

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ != NAME:
            return
        module.__version__ = API_LEVEL  # type: ignore[attr-defined]
        for submodule in OFFERED:
            import_module(f"{NAME}.{submodule}")
        if find_spec("absl") is not None:
            from hubplug_compat._flags import define_flags

            define_flags()
