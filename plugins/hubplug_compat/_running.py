"""Runs an old program in this process as if tensorflow_hub, and if wanted TensorFlow 1, were installed."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from hubplug.errors import MissingError
from hubplug_compat._standing_in import install_as_tensorflow_hub


def prepare(script: str, arguments: Sequence[str], *, as_module: bool = False, tf1: bool = False) -> str | None:
    """Makes this process one in which an old program can run.

    Args:
        script: The path of a file or of a directory with ``__main__.py``, or the dotted name of a module.
        arguments: What the program finds behind its name in ``sys.argv``.
        as_module: Whether ``script`` is a module's name.
        tf1: Whether ``import tensorflow`` gives ``tensorflow.compat.v1`` with TensorFlow 2's behaviour off.

    Returns:
        A sentence about what the program may miss, or None.

    Raises:
        MissingError: There is no such script.
        StandingInError: The real tensorflow_hub is imported already.
    """
    if not as_module and (problem := _find_problem(Path(script))):
        raise MissingError(f"{script} {problem}", hint="give the path of a Python program, or -m and a module's name")
    advice = choose_keras()
    install_as_tensorflow_hub()
    if tf1:
        install_tensorflow_1()
    sys.argv = [script, *arguments]
    if as_module:
        sys.path.insert(0, "")
    elif Path(script).is_file():  # a directory is put there by running it
        sys.path.insert(0, str(Path(script).resolve().parent))
    return advice


def _find_problem(script: Path) -> str | None:
    if not script.exists():
        return "does not exist"
    if script.is_dir() and not (script / "__main__.py").is_file():
        return "is a directory without __main__.py"
    return None


def run_program(script: str, *, as_module: bool = False) -> None:
    """Runs a script as ``python SCRIPT`` does, or a module as ``python -m``."""
    if as_module:
        runpy.run_module(script, run_name="__main__", alter_sys=True)
    else:
        # Absolute, as ``__file__`` of a script is: programs look for their files beside it after a change of directory.
        runpy.run_path(os.path.abspath(script), run_name="__main__")


def choose_keras() -> str | None:
    """Makes ``tf.layers`` and ``tf.keras`` mean Keras 2, which programs for TensorFlow 1 were written for.

    Returns:
        What to install where that is not possible; None where it is.
    """
    release = _tensorflow_release()
    if release is None or release < (2, 16):
        return None
    if find_spec("tf_keras") is not None:
        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
        return None
    wanted = f"tf_keras~={release[0]}.{release[1]}.0"
    return (
        f"tf.layers and Keras 2 are not part of TensorFlow {release[0]}.{release[1]}; for them: pip install '{wanted}'"
    )


def install_tensorflow_1() -> None:
    """Makes ``import tensorflow`` give TensorFlow 1's API, with TensorFlow 2's behaviour off."""
    import tensorflow as tf

    if isinstance(tf, _TensorFlow1):
        return
    tf.compat.v1.disable_v2_behavior()
    sys.modules["tensorflow"] = _TensorFlow1(tf)


class _TensorFlow1(ModuleType):
    """``tensorflow`` with the names of ``tensorflow.compat.v1``, and the real module's for what that lacks."""

    def __init__(self, real: ModuleType) -> None:
        super().__init__(real.__name__, real.__doc__)
        self.__dict__.update(
            {name: getattr(real, name) for name in ("__file__", "__path__", "__spec__", "__loader__", "__package__")},
            _real=real,
        )

    def __getattr__(self, name: str) -> Any:
        real = self.__dict__["_real"]
        try:
            return getattr(real.compat.v1, name)
        except AttributeError:
            if name == "contrib":
                raise AttributeError(
                    "tf.contrib ended with TensorFlow 1.15; what the program uses of it has to be replaced"
                ) from None
            return getattr(real, name)

    def __dir__(self) -> list[str]:
        real = self.__dict__["_real"]
        return sorted({*dir(real), *dir(real.compat.v1)})


def _tensorflow_release() -> tuple[int, int] | None:
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            major, minor = version(name).split(".")[:2]
        except PackageNotFoundError:
            continue
        return int(major), int(minor)
    return None
