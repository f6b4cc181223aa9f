"""Which Hub is in effect: the one that a program activated, else the default one of the process, which is built here."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hubplug.files.locks import ForkLock
from hubplug.hub import ACTIVE, Hub
from hubplug.settings.config import environment_fingerprint
from hubplug.spec import ExportRequest

_SECONDS_TO_BUILD = 10.0


def current_hub() -> Hub:
    """The Hub in effect: the one activated here, else the default one.

    The default Hub is built at first use, and again when a ``TFHUB_*`` or ``HUBPLUG_*`` variable has changed, because old
    programs set them after the import.
    """
    active = ACTIVE.get()
    return _default.get() if active is None else active


class _HubInEffect:
    """Stands for the Hub that is in effect when it is asked: of specs that a program made without loading them."""

    def export(self, request: ExportRequest) -> None:
        current_hub().export(request)

    def __reduce__(self) -> str:
        return "hub_in_effect"


hub_in_effect = _HubInEffect()


@contextmanager
def default_hub_anew() -> Iterator[None]:
    """Makes the default Hub the one in effect, in this thread or task, and has it built from what is configured now."""
    token = ACTIVE.set(None)
    _default.forget()
    try:
        yield
    finally:
        ACTIVE.reset(token)


def put_first_in_default_hub(plugin: object) -> None:
    """Puts a plugin object before all others of the default Hub, for the rest of the process.

    For programs that registered resolvers with tensorflow_hub; others make a Hub of their own.
    """
    _default.put_first(plugin)


class _DefaultHub:
    """The default Hub of the process and the environment that it was built from."""

    def __init__(self) -> None:
        # Reentrant: a plugin that asks for the Hub that it is to be a part of is an error, and not a hang.
        self._lock = ForkLock()
        self._forking = threading.local()
        self._built: tuple[tuple[tuple[str, str], ...], Hub] | None = None
        self._first: tuple[object, ...] = ()

    def put_first(self, plugin: object) -> None:
        with self._lock:
            self._first = (plugin, *self._first)
            self._built = None

    def forget(self) -> None:
        with self._lock:
            self._built = None

    def wait_to_fork(self) -> None:
        """Waits for another thread to build the Hub: it may hold locks of Python's imports, which a child would wait for."""
        self._forking.waits = self._lock.acquire(timeout=_SECONDS_TO_BUILD)

    def has_forked(self) -> None:
        if self._forking.waits:
            self._lock.release()

    def get(self) -> Hub:
        fingerprint = environment_fingerprint()
        built = self._built
        if built is None or built[0] != fingerprint:
            with self._lock:
                built = self._built
                if built is None or built[0] != fingerprint:
                    built = self._built = (fingerprint, Hub(plugins=self._first))
        return built[1]


_default = _DefaultHub()
os.register_at_fork(
    before=_default.wait_to_fork, after_in_parent=_default.has_forked, after_in_child=_default.has_forked
)
