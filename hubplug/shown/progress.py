"""How a transfer shows that it is alive: a bar where a person watches, log lines elsewhere.

A person watches when standard error is a terminal or the program runs in a notebook. Nothing is shown before the first
byte has moved, so a module that is already here stays silent.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hubplug.files.locks import ForkLock
from hubplug.shown.logs import logger
from hubplug.urls import redact

if TYPE_CHECKING:
    from tqdm import tqdm

_LOG = logger("hubplug")
_SECONDS_BETWEEN_LINES = 10.0
# tqdm cuts the end of a line that is too long: "100%|##| 1023M/1023M [00:59<01:00, 1023kB/s]", and ": " before it.
_COLUMNS_OF_NUMBERS = 54
_SHORTEST_NAME = 12


class Progress:
    """One transfer, of one file or of many at once; its methods may be called from several threads."""

    def __init__(
        self,
        name: str,
        total: int | None = None,
        *,
        force: bool = False,
        seconds_between_lines: float = _SECONDS_BETWEEN_LINES,
        unit: str = "bytes",
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """Prepares to show a transfer; shows nothing yet.

        Args:
            name: What is transferred; a URL is redacted.
            total: Number of bytes, where it is known.
            force: Whether to draw a bar although no one seems to be watching.
            seconds_between_lines: How often a line is logged where no bar is drawn.
            unit: What is counted, if not bytes.
            tell: Who gets the lines; None: the log.
        """
        self.name = redact(name)
        self._total = total
        self._as_bar = force or _is_watched()
        self._bar: tqdm[Any] | None = None
        self._done = 0
        self._seconds_between_lines = seconds_between_lines
        self._unit = unit
        self._tell = tell or partial(_LOG.info, "%s")
        self._started = self._last_line = time.monotonic()
        self._lines = 0
        self._closed = False
        self._lock = ForkLock()

    def advance(self, size: int) -> None:
        """Counts ``size`` more bytes."""
        with self._lock:
            if self._closed:
                return
            self._done += size
            if self._as_bar:
                self._draw(size)
            elif time.monotonic() - self._last_line >= self._seconds_between_lines:
                self._log("so far")

    def expect(self, total: int | None) -> None:
        """Says how many bytes there will be, when that becomes known only later."""
        with self._lock:
            self._total = total
            if self._bar is not None:
                self._bar.total = total

    def close(self) -> None:
        """Ends the bar, or logs a last line if there were lines before."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._bar is not None:
                self._bar.close()
            elif self._lines:
                self._log("at the end")

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _draw(self, size: int) -> None:
        if self._bar is None:
            from tqdm import tqdm

            width, columns, rows = _size_of_terminal()
            self._bar = tqdm(
                desc=_shortened(self.name, width - _COLUMNS_OF_NUMBERS) if width else self.name,
                total=self._total,
                unit="B" if self._unit == "bytes" else f" {self._unit}",
                unit_scale=self._unit == "bytes",
                unit_divisor=1024,
                file=sys.stderr,
                ncols=columns,
                nrows=rows,
            )
        self._bar.update(size)

    def _log(self, when: str) -> None:
        now = time.monotonic()
        self._last_line = now
        self._lines += 1
        rate = self._done / max(now - self._started, 1e-9)
        known = f" of {self._total:,} ({self._done / self._total:.0%})" if self._total else ""
        line = f"{self.name}: {self._done:,}{known} {self._unit} {when}, {rate:,.0f} {self._unit}/s"
        if self._total and self._done < self._total:
            line += f", {(self._total - self._done) / rate:,.0f} s left"
        self._tell(line)


class Silent(Progress):
    """What is too small to be shown."""

    def advance(self, size: int) -> None:
        pass


def progress(name: str, total: int | None = None, *, force: bool = False) -> Progress:
    """Shows a transfer::

        with progress("https://example.com/m/1", total) as bar:
            bar.advance(len(data))

    Args:
        name: What is transferred; a URL is redacted.
        total: Number of bytes, where it is known.
        force: Whether to draw a bar although no one seems to be watching (``TFHUB_DOWNLOAD_PROGRESS``).
    """
    return Progress(name, total, force=force)


def _is_watched() -> bool:
    try:
        if sys.stderr is not None and sys.stderr.isatty():
            return True
    except ValueError:  # standard error is closed
        return False
    return _in_notebook()


def _size_of_terminal() -> tuple[int | None, int | None, int | None]:
    """The width of the terminal, and what to tell tqdm of columns and rows.

    That is nothing, but for a terminal that claims to have no columns, on which it would show nothing.
    """
    try:
        columns, rows = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return None, None, None
    return (columns, None, None) if columns and rows else (80, 80, 24)


def _shortened(name: str, columns: int) -> str:
    """A name that leaves room for the numbers; its end tells modules apart."""
    columns = max(columns, _SHORTEST_NAME)
    return name if len(name) <= columns else f"...{name[3 - columns :]}"


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    if ipython is None or "ipykernel" not in sys.modules:
        return False
    shell = ipython.get_ipython()
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})


def _free_tqdm_in_child() -> None:
    """Takes the lock around all bars away from a thread that is not there."""
    std = sys.modules.get("tqdm.std")
    kind: Any = getattr(std, "TqdmDefaultWriteLock", None)
    if kind is None or not isinstance(std.tqdm.get_lock(), kind):  # type: ignore[union-attr]
        return
    if kind.th_lock.acquire(blocking=False):
        kind.th_lock.release()
    else:
        kind.th_lock = threading.RLock()
        kind.mp_lock = None  # its copy here counts one acquisition too many, so that we would never release it
        std.tqdm.set_lock(kind())  # type: ignore[union-attr]


os.register_at_fork(after_in_child=_free_tqdm_in_child)
