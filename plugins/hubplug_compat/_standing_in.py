"""What ``import tensorflow_hub`` and its submodules give once hubplug stands in for it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec as ImportSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import hubplug
from hubplug.errors import HubplugError
from hubplug_compat import _resolving
from hubplug_compat._finder import find_first

NAME = "tensorflow_hub"
# Programs compare tensorflow_hub.__version__ with the release that brought what they need.
API_LEVEL = "0.15.0"

_LATER = "hubplug does not offer it yet"
_SUBMODULES: Mapping[str, Sequence[str]] = {
    "config": (),
    "estimator": ("LatestModuleExporter", "register_module_for_export"),
    "feature_column": ("image_embedding_column", "sparse_text_embedding_column", "text_embedding_column"),
    "image_module_info_pb2": ("ImageModuleInfo",),
    "image_util": (
        "ImageModuleInfo",
        "attach_image_module_info",
        "get_expected_image_size",
        "get_num_image_channels",
    ),
    "module": ("Module", "eval_function_for_module", "load_module_spec"),
    "module_spec": ("ModuleSpec",),
    "module_v2": ("load", "resolve"),
    "native_module": ("add_signature", "attach_message", "create_module_spec"),
    "registry": ("resolver",),
    "resolver": ("Resolver", "tfhub_cache_dir"),
    "saved_model_module": ("create_module_spec_from_saved_model",),
    "tf_v1": (),
}


class StandingInError(HubplugError, ImportError):
    """hubplug cannot stand in for tensorflow_hub, or not for this part of it."""


def install_as_tensorflow_hub() -> None:
    """Makes ``import tensorflow_hub`` mean hubplug in this process; a second call does nothing.

    The absl flags that tensorflow_hub defines are defined with its first import, where absl is installed.

    Raises:
        StandingInError: The real tensorflow_hub is imported already. It is an ImportError.
    """
    imported = sys.modules.get(NAME)
    if isinstance(imported, StandIn):
        return
    if imported is not None:
        raise StandingInError(
            f"The real {NAME} is imported already (from {getattr(imported, '__file__', None)}), and objects of both would "
            "mix",
            hint=f"call hubplug.install_as_tensorflow_hub() before the first import of {NAME}",
        )
    find_first()


class StandIn(ModuleType):
    """``tensorflow_hub``, or one of its submodules, in terms of hubplug's public names."""

    def __init__(self, name: str, offers: Sequence[str]) -> None:
        super().__init__(name, f"hubplug, standing in for {name}")
        self.__all__ = list(offers)

    def __getattr__(self, name: str) -> Any:
        if name in self.__all__:
            return _resolving.Resolvers() if name == "resolver" else getattr(_home_of(name), name)
        if name.startswith("__"):  # what the import system asks for, and must not need TensorFlow
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if self.__name__ == f"{NAME}.tf_v1":
            return getattr(import_module("tensorflow.compat.v1"), name)
        raise AttributeError(
            f"module {self.__name__!r} has no attribute {name!r}: hubplug stands in for tensorflow_hub here, and "
            + (_LATER if name in ("KerasLayer", "text_embedding_column_v2") else "offers its public names only")
        )


def _home_of(name: str) -> ModuleType:
    return _resolving if name in ("Resolver", "tfhub_cache_dir") else hubplug


def stand_in_for(submodule: str) -> StandIn:
    """The stand-in for a submodule of tensorflow_hub.

    Raises:
        KeyError: There is none.
    """
    return StandIn(f"{NAME}.{submodule}", _SUBMODULES[submodule])


def find_stand_in(fullname: str) -> ImportSpec:
    """The way to the stand-in for ``tensorflow_hub`` or a part of it.

    Raises:
        StandingInError: hubplug has no such part.
    """
    submodule = fullname.partition(".")[2]
    if submodule and submodule not in _SUBMODULES:
        raise StandingInError(
            f"hubplug stands in for tensorflow_hub and has no part {fullname!r}",
            hint=f"import the public names from {NAME} itself; submodules there are: {', '.join(_SUBMODULES)}",
        )
    return ImportSpec(fullname, _StandInLoader(), is_package=not submodule)


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
        for submodule in _SUBMODULES:
            import_module(f"{NAME}.{submodule}")
        if find_spec("absl") is not None:
            from hubplug_compat._flags import define_flags

            define_flags()
