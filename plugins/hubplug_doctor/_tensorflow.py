"""Which TensorFlow and Keras are found, and whether they fit; looked at in a child process, since a broken one ends its process."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from hubplug.processes.children import NUMERIC_SETTINGS, run_child

_LOWEST = (2, 15)
_KERAS_3 = (2, 16)
_SECONDS = 180.0
_DISTRIBUTIONS = ("tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-macos", "tf-nightly")
_PROGRAM = """
import json, os, sys
from importlib.util import find_spec
answer = os.dup(1)
os.dup2(2, 1)  # what libraries print is not the answer
if find_spec("tensorflow") is None:
    found = None
else:
    import tensorflow as tf
    found = {"version": tf.__version__, "place": os.path.dirname(tf.__file__), "keras": tf.keras.__version__}
os.write(answer, json.dumps(found).encode())
"""


def look_at_tensorflow() -> dict[str, Any]:
    """What there is, and under ``problems`` what does not fit."""
    installed = {name: there for name in (*_DISTRIBUTIONS, "keras", "tf-keras") if (there := _version(name))}
    problem, answer = run_child(_PROGRAM, b"", _SECONDS, (*NUMERIC_SETTINGS, "KERAS_"))
    found: dict[str, Any] | None = None
    if problem is None:
        try:
            found = json.loads(answer)
        except ValueError:
            problem = "its import printed something else than its version"
    problems = find_problems(installed, found)
    if problem is not None:
        problems.insert(0, f"TensorFlow cannot be imported: {problem}")
    return {"found": found, "installed": installed, "problems": problems}


def find_problems(installed: dict[str, str], found: dict[str, Any] | None) -> list[str]:
    """What does not fit among versions of TensorFlow, Keras and tf_keras.

    Args:
        installed: Versions by distribution.
        found: What an import gave: ``version`` and ``keras``; None: there is no TensorFlow.
    """
    problems = []
    both = [name for name in _DISTRIBUTIONS if name in installed]
    if len({installed[name] for name in both}) > 1:
        problems.append(
            f"{' and '.join(both)} are the same package in two versions: uninstall all of them, and install one"
        )
    if found is None:
        return problems
    release = _release(found["version"])
    if release < _LOWEST:
        problems.append(
            f"TensorFlow {found['version']} is older than 2.15: pip install --upgrade {both[0] if both else 'tensorflow'}"
        )
    legacy = installed.get("tf-keras")
    wanted = f"tf_keras~={release[0]}.{release[1]}.0"
    if legacy is not None and _release(legacy) != release:
        problems.append(f"tf_keras {legacy} is not for TensorFlow {found['version']}: pip install '{wanted}'")
    if legacy is None and release >= _KERAS_3:
        problems.append(
            f"programs for TensorFlow 1 need Keras 2, and TensorFlow {found['version']} has Keras {found['keras']}: "
            f"pip install '{wanted}'"
        )
    return problems


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
