"""What TensorFlow's C++ writes on standard error while it is imported: its notes about the machine are left out, all else comes through.

TF_CPP_MIN_LOG_LEVEL says how much to write, but newer TensorFlows write the first of it all the same. Who leaves it out is another
process, so that the last words of one that ends there (a processor without AVX) are not lost. That process runs this file: standard
library only.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

_GRAVER = b"IWEF"
_USUAL = 2
_SECONDS = 5.0
_HEAD = re.compile(rb"(?:\d{4}-\d\d-\d\d [\d:.]+: ([IWEF])|([IWEF])\d{4} [\d:.]+ +\d+) \S+:\d+\] ")
_KNOWN = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR$"
    rb"|To enable the following instructions: "
    rb"|.*\] Unable to register cu\w+ factory: Attempting to register factory for plugin cu\w+ when one has already been registered$"
)


@contextmanager
def without_notes(level: str | None) -> Iterator[None]:
    """Leaves notes out of standard error, whoever writes there meanwhile.

    Args:
        level: What TF_CPP_MIN_LOG_LEVEL says: ``0`` leaves out nothing, ``1`` information, ``2`` warnings too; None: as ``2``.
    """
    least = _USUAL if level is None else int(level) if level.isdecimal() else 0
    if not least or not sys.executable:
        yield
        return
    try:
        own = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    # Not as a context manager, which would wait for what goes on in the background with the standard error of now.
    command = [sys.executable, "-I", "-S", __file__, str(least)]
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=own)
    assert reader.stdin is not None
    _flush()
    os.dup2(reader.stdin.fileno(), 2)
    reader.stdin.close()
    try:
        yield
    finally:
        _flush()
        os.dup2(own, 2)
        os.close(own)
        with suppress(subprocess.TimeoutExpired):
            reader.wait(_SECONDS)


def lines_without_notes(lines: Iterable[bytes], least: int) -> Iterator[bytes]:
    """The lines that are not TensorFlow's notes of less than a level."""
    for line in lines:
        head = _HEAD.match(line)
        grave = len(_GRAVER) if head is None else _GRAVER.index(head[1] or head[2])
        if grave >= least and not _KNOWN.match(line):
            yield line


def _flush() -> None:
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def main() -> None:
    """Copies standard input to standard error, without notes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in lines_without_notes(sys.stdin.buffer, int(sys.argv[1])):
        os.write(2, line)


if __name__ == "__main__":
    main()
