"""How an old program is run: by Python itself, in place of this process, with imports that ask hubplug first."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from hubplug.errors import HubplugError, MissingError

STARTUP = str(Path(__file__).resolve().parent / "_startup")


def find_problem(script: str) -> MissingError | None:
    """What keeps Python from running a file or a directory."""
    path = Path(script)
    if script != "-" and not path.exists():
        problem = "does not exist"
    elif path.is_dir() and not (path / "__main__.py").is_file():
        problem = "is a directory without __main__.py"
    else:
        return None
    return MissingError(f"{script} {problem}", hint="give the path of a Python program, or -m and a module's name")


def become(program: Sequence[str], *, tf1: bool) -> None:
    """Makes this process the Python that runs a program, with the options that this Python was started with.

    Args:
        program: What stands behind Python's own options: a path, ``-`` or ``-m`` and a name, and the arguments.
        tf1: Whether ``import tensorflow`` gives TensorFlow 1's API.

    Raises:
        HubplugError: This Python was told not to look for what it should import at its start.
    """
    options = interpreter_options(sys.orig_argv)
    letters = {letter for option in options if _is_cluster(option) for letter in option[1:]}
    if "S" in letters:
        raise HubplugError(
            "Python's option -S keeps `hubplug run` from standing in for tensorflow_hub", hint="leave it out"
        )
    environment = dict(os.environ)
    if letters & {"I", "E"}:
        # They would hide the variable with which the program's Python is told of us: do what they do without them.
        environment = {name: value for name, value in environment.items() if not name.startswith("PYTHON")}
        options = [option for option in map(_without_isolation, options) if option != "-"]
        if "I" in letters:
            options.append("-s" if sys.version_info < (3, 11) else "-sP")
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os.execve(
        sys.executable, [sys.executable, *options, *program], {**environment, **stand_in_variables(environment, tf1)}
    )


def stand_in_variables(environment: Mapping[str, str], tf1: bool) -> dict[str, str]:
    """The environment variables with which a Python of this installation stands in for tensorflow_hub."""
    others = [entry for entry in (environment.get("PYTHONPATH") or "").split(os.pathsep) if entry != STARTUP]
    path = os.pathsep.join([STARTUP, *others]) if others != [""] else STARTUP
    return {"PYTHONPATH": path, "HUBPLUG_RUN": sys.prefix, "HUBPLUG_RUN_TF1": "1" if tf1 else "0"}


def interpreter_options(command: Sequence[str]) -> list[str]:
    """Python's own options in a command: what stands before the program."""
    options: list[str] = []
    rest = iter(command[1:])
    for word in rest:
        if word == "--check-hash-based-pycs":
            options += [word, next(rest, "default")]
        elif not word.startswith("-") or word in ("-", "--"):
            break
        elif word.startswith("--"):
            options.append(word)
        else:
            taking = next((index for index, letter in enumerate(word) if letter in "mcWX"), None)
            if taking is not None and word[taking] in "mc":
                options += [word[:taking]] if taking > 1 else []
                break
            options.append(word)
            if taking == len(word) - 1:
                options.append(next(rest, ""))
    return options


def _is_cluster(option: str) -> bool:
    return option.startswith("-") and not option.startswith(("--", "-W", "-X"))


def _without_isolation(option: str) -> str:
    return option.replace("I", "").replace("E", "") if _is_cluster(option) else option


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


def keep_tensorflow_quiet() -> None:
    """Keeps what TensorFlow logs about the machine, on standard error, away from what the program says, but for its errors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _tensorflow_release() -> tuple[int, int] | None:
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            major, minor = version(name).split(".")[:2]
        except PackageNotFoundError:
            continue
        return int(major), int(minor)
    return None
