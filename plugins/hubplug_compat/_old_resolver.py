"""Resolvers as programs registered them with tensorflow_hub's registry, given to a Hub with one adapter line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hubplug.hookspecs import RunCache, hookimpl
from hubplug.types import Handle, LocalModule, Plan, Source


class ResolverLike(Protocol):
    """What tensorflow_hub's registry took."""

    def is_supported(self, handle: str) -> bool: ...

    def __call__(self, handle: str) -> str: ...


class OldResolver:
    """A plugin made from an object with ``is_supported(handle)`` and ``__call__(handle)``::

    hub = hubplug.Hub(plugins=[hubplug.OldResolver(my_resolver)])
    """

    def __init__(self, resolver: ResolverLike, *, network: bool = True) -> None:
        """Adapts a resolver.

        Args:
            resolver: Returns the path of a directory, and does its own caching.
            network: Whether it may open sockets: then it is not called when offline.
        """
        self._resolver = resolver
        self._network = network

    @hookimpl
    def hubplug_resolve(self, handle: Handle) -> Source | None:
        if not self._resolver.is_supported(handle.text):
            return None
        return _OldSource(handle, handle.text, resolver=self._resolver)

    @hookimpl
    def hubplug_cache(self, source: Source) -> Plan[RunCache] | None:
        # Its own sources only: it may support handles that another plugin has resolved before it was asked.
        if not isinstance(source, _OldSource) or source.resolver is not self._resolver:
            return None

        def run(produce: Any) -> LocalModule:
            return LocalModule(Path(self._resolver(source.handle.text)), source.handle)

        return Plan(f"ask {type(self._resolver).__name__}", run, network=self._network)


@dataclass(frozen=True, eq=False, repr=False)
class _OldSource(Source):
    """A source that only an old resolver can bring."""

    resolver: ResolverLike | None = None
