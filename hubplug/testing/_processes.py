"""Code in a fresh process where some packages cannot be imported, as on a machine that does not have them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

_BLOCKER = """
import importlib.abc, sys

class _Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        for blocked in {blocked!r}:
            if name == blocked or name.startswith(blocked + "."):
                raise ModuleNotFoundError(f"{{name}} is blocked in this process", name=name)

sys.meta_path.insert(0, _Blocker())
"""


def run_without(*packages: str, code: str, cwd: str | os.PathLike[str] | None = None, timeout: float = 600) -> str:
    """Runs code where packages cannot be imported: ``run_without("tensorflow", code="import my_plugin")``.

    Args:
        packages: Their import names.
        code: Python, run in a process of its own.
        cwd: Its working directory.
        timeout: In seconds.

    Returns:
        What it printed on standard output.

    Raises:
        AssertionError: It failed; with what it printed on standard error.
    """
    done = subprocess.run(
        [sys.executable, "-c", _BLOCKER.format(blocked=packages) + textwrap.dedent(code)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"exit status {done.returncode}\n{done.stderr}")
    return done.stdout
