"""Where hubplug logs: whatever came from outside, a line of a log is one line and moves no terminal."""

from __future__ import annotations

import logging

from hubplug.shown.words import printable


def logger(name: str) -> logging.Logger:
    """The logger of a part of hubplug; what would not print is escaped in all that goes through it."""
    found = logging.getLogger(name)
    found.addFilter(_make_printable)
    return found


def _make_printable(record: logging.LogRecord) -> bool:
    try:
        text = record.getMessage()
    except Exception:  # a mistake in a call, of which logging itself says where it is
        return True
    if not text.isprintable():
        record.msg, record.args = printable(text), ()
    return True
