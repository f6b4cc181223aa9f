"""Which system calls a program makes, and what it does when one of them fails or is its last."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

MUTATING = (
    "mkdir", "mkdirat", "openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat", "renameat2", "unlink",
    "unlinkat", "rmdir", "flock", "fchmod", "chmod", "ftruncate", "link", "symlink", "utimensat",
)  # fmt: skip
_LINE = re.compile(r"(?:\d+ +)?(?P<name>\w+)\((?P<rest>.*)")


@dataclass(frozen=True)
class Call:
    """A system call.

    Attributes:
        name: ``rename``, ...
        ordinal: Which call of that name it was, from 1.
        text: Its arguments and result, descriptors with their paths.
    """

    name: str
    ordinal: int
    text: str

    @property
    def failed(self) -> bool:
        return " = -1 E" in self.text


def need_strace() -> None:
    """Skips the test where strace is missing or may not trace."""
    if sys.platform != "linux" or shutil.which("strace") is None:
        pytest.skip("needs strace")
    if subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace here")


def record(command: Sequence[str], log: Path, names: Sequence[str] = MUTATING) -> list[Call]:
    """Runs a program to its end and returns its calls in their order."""
    done = _run(command, log, ["-y", "-s", "0", "-e", f"trace={','.join(_known(names))}"])
    assert done.returncode == 0, done.stdout + done.stderr
    counts: Counter[str] = Counter()
    calls = []
    for line in log.read_text(errors="replace").splitlines():
        if match := _LINE.fullmatch(line):
            counts[match["name"]] += 1
            calls.append(Call(match["name"], counts[match["name"]], match["rest"]))
    return calls


def injected(command: Sequence[str], log: Path, call: Call, what: str) -> subprocess.CompletedProcess[str]:
    """Runs a program whose given call fails or kills it: ``what`` is ``error=ENOSPC``, ``signal=SIGKILL``, ..."""
    return _run(command, log, ["-e", f"trace={call.name}", "-e", f"inject={call.name}:{what}:when={call.ordinal}"])


def changes(calls: Sequence[Call], root: Path) -> list[Call]:
    """The calls that change something below a directory."""
    return [
        call
        for call in calls
        if str(root) in call.text and not call.failed and (call.name != "openat" or "O_CREAT" in call.text)
    ]


def _run(command: Sequence[str], log: Path, options: Sequence[str]) -> subprocess.CompletedProcess[str]:
    # The same start each time, so that the n-th call of a name is the same call.
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    return subprocess.run(
        ["strace", "-f", "-o", str(log), *options, *command],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


def _known(names: Sequence[str]) -> list[str]:
    # A leading ? lets strace pass over a call that this architecture does not have.
    return [f"?{name}" for name in names]
