"""Resolvers as programs registered them with tensorflow_hub's registry, given to a Hub with one adapter line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from hubplug.hookspecs import hookimpl
from hubplug.types import Handle, LocalModule, Plan, Source


class ResolverLike(Protocol):
    """What tensorflow_hub's registry took."""

    def is_supported(self, handle: str) -> bool: ...

    def __call__(self, handle: str) -> str: ...


class OldResolver:
    """A plugin made from an object with ``is_supported(handle)`` and ``__call__(handle)``::

    hub = hubplug.Hub(plugins=[hubplug.OldResolver(my_resolver)])
    """

    def __init__(self, resolver: ResolverLike) -> None:
        """Adapts ``resolver``, which returns the path of a directory and does its own caching."""
        self._resolver = resolver

    @hookimpl
    def hubplug_resolve(self, handle: Handle) -> Source | None:
        if not self._resolver.is_supported(handle.text):
            return None
        return Source(handle, handle.text)

    @hookimpl
    def hubplug_cache(self, source: Source) -> Plan[LocalModule] | None:
        if not self._resolver.is_supported(source.handle.text):
            return None

        def run(produce: Any) -> LocalModule:
            return LocalModule(Path(self._resolver(source.handle.text)), source.handle)

        return Plan(f"ask {type(self._resolver).__name__}", run)
