"""What is left of ``tf.contrib``, which ended with TensorFlow 1.15: what tf_slim and TensorFlow itself have under other names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec as ImportSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from hubplug_compat._alias import AliasLoader
from hubplug_compat._standing_in import StandingInError

_V1 = "tensorflow.compat.v1"
# Where the names of a part are now; slim is tf_slim itself.
_HOMES: Mapping[str, Sequence[str]] = {
    "framework": ("tf_slim.ops.arg_scope", "tf_slim.ops.variables", "tf_slim.ops.framework_ops"),
    "layers": ("tf_slim.layers",),
    "lookup": ("hubplug_compat._contrib_lookup",),
    "losses": ("tf_slim.losses",),
    "metrics": ("tf_slim.metrics",),
    "training": ("tf_slim.training.training", "tf_slim.training.evaluation", "tf_slim.evaluation"),
}
_FRAMEWORK_IN_TENSORFLOW: Mapping[str, str] = {
    **dict.fromkeys(["CriticalSection", "argsort", "assert_scalar", "is_tensor", "nest", "sort"], _V1),
    **dict.fromkeys(["init_from_checkpoint", "list_variables", "load_checkpoint", "load_variable"], f"{_V1}.train"),
    **dict.fromkeys(["assert_same_float_dtype", "is_non_decreasing", "is_strictly_increasing"], f"{_V1}.debugging"),
}


def find_contrib(fullname: str) -> ImportSpec:
    """The way to ``tensorflow.contrib`` or a part of it.

    Raises:
        ModuleNotFoundError: Nothing has an equal of this part.
        StandingInError: tf_slim has, and is not installed.
    """
    parts = fullname.split(".")[2:]
    if not parts:
        return ImportSpec(fullname, AliasLoader(Contrib(fullname)))
    if parts[0] == "slim":
        _demand_slim(fullname)
        name = ".".join(["tf_slim", *parts[1:]])
        if find_spec(name) is not None:
            return ImportSpec(fullname, AliasLoader(import_module(name)))
    elif len(parts) == 1 and parts[0] in _HOMES:
        return ImportSpec(fullname, AliasLoader(Part(fullname, _HOMES[parts[0]])))
    raise ModuleNotFoundError(_ended(fullname), name=fullname)


class Contrib(ModuleType):
    """``tf.contrib``."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "what is left of tf.contrib")
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return import_module(f"{self.__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{self.__name__}.{name}":
                raise
            raise AttributeError(str(error)) from None


class Part(ModuleType):
    """One part of ``tf.contrib``, whose names are looked up when they are used."""

    def __init__(self, name: str, homes: Sequence[str]) -> None:
        super().__init__(name, f"{name} in terms of {', '.join(homes)}")
        self.__path__: list[str] = []
        self._homes = homes

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self.__name__.endswith(".framework") and name in _FRAMEWORK_IN_TENSORFLOW:
            return getattr(import_module(_FRAMEWORK_IN_TENSORFLOW[name]), name)
        for home in self._homes:
            if home.startswith("tf_slim"):
                _demand_slim(f"{self.__name__}.{name}")
            module = import_module(home)
            if name in getattr(module, "__all__", ()) or (not hasattr(module, "__all__") and hasattr(module, name)):
                return getattr(module, name)
        raise AttributeError(_ended(f"{self.__name__}.{name}"))


def _demand_slim(fullname: str) -> None:
    if find_spec("tf_slim") is None:
        raise StandingInError(
            f"{_as_programs_write(fullname)} ended with TensorFlow 1.15, and tf_slim, which may have it, is not installed",
            hint="pip install 'hubplug[tf1]'",
        )


def _ended(fullname: str) -> str:
    return (
        f"{_as_programs_write(fullname)} ended with TensorFlow 1.15, and nothing here is equivalent to it: replace it in the "
        "program"
    )


def _as_programs_write(fullname: str) -> str:
    return fullname.replace("tensorflow", "tf", 1)
