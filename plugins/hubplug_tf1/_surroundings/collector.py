"""Keeps Python's garbage collector out of the making of graphs.

Ops refer to each other and to their graph, and thousands of them are made at once, none of which is garbage. Looking for
garbage among them again and again took four tenths of the time of an application.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """No automatic collection inside, in any thread, if there was any before."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
