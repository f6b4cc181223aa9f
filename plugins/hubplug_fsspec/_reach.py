"""Gives up after seconds on a Google store that cannot be reached: its client alone looks for credentials for 20 s and then
repeats the request for half a minute, with no option to do less.

A store that can be reached is waited for, as long as its client goes on trying.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

from hubplug.errors import FetchError
from hubplug.urls import redact, scheme_of

T = TypeVar("T")

PATIENCE = 6.0
_PROBE_SECONDS = 6.0
_SCHEMES = ("gs", "gcs")


def within_reach(act: Callable[[], T], location: str, storage_options: Mapping[str, Any]) -> T:
    """What ``act`` gives, or its error; an error as soon as it is clear that its store cannot be reached.

    Args:
        act: The first thing that is asked of a store.
        location: What is asked for.
        storage_options: What its file system is made with.

    Raises:
        FetchError: After some seconds of silence no connection can be made either.
    """
    if scheme_of(location).lower() not in _SCHEMES:
        return act()
    call = _Call(act)
    if call.wait(PATIENCE):
        return call.result()
    address = _address(storage_options)
    if address is not None:
        probe = _Call(lambda: socket.create_connection(address, _PROBE_SECONDS).close())
        if (not probe.wait(_PROBE_SECONDS) or probe.error is not None) and not call.wait(0):
            reason = getattr(probe.error, "strerror", None) or probe.error or "no response"
            raise FetchError(
                f"{redact(location)}: the server cannot be reached: {address[0]}:{address[1]}: {reason}",
                hint="check the network, the name server and, where one is needed, the proxy; what is in the cache "
                "is available offline",
            )
    call.wait(None)
    return call.result()


class _Call(Generic[T]):
    """A function in a thread that no one has to wait for."""

    def __init__(self, act: Callable[[], T]) -> None:
        self._act = act
        self._done = threading.Event()
        self._value: T | None = None
        self.error: BaseException | None = None
        threading.Thread(target=self._run, name="hubplug-reach", daemon=True).start()

    def wait(self, seconds: float | None) -> bool:
        return self._done.wait(seconds)

    def result(self) -> T:
        if self.error is not None:
            raise self.error
        return cast("T", self._value)

    def _run(self) -> None:
        try:
            self._value = self._act()
        except BaseException as error:
            self.error = error
        finally:
            self._done.set()


def _address(storage_options: Mapping[str, Any]) -> tuple[str, int] | None:
    """Host and port of the store; None where that, or the way there, is not known."""
    if storage_options.get("session_kwargs") or getproxies().keys() & {"https", "all"}:
        return None  # it may be reached through a proxy only
    endpoint = storage_options.get("endpoint_url")
    if not endpoint:
        try:
            from gcsfs.core import _location  # with an emulator or another universe that the environment names

            endpoint = _location()
        except Exception:  # another version, or none: without it the client goes on as long as it will
            return None
    try:
        parts = urlsplit(str(endpoint))
        return (parts.hostname, parts.port or (80 if parts.scheme == "http" else 443)) if parts.hostname else None
    except ValueError:
        return None
