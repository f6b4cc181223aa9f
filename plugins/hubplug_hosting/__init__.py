"""Publishes modules: ``hubplug pack`` makes archives that are the same everywhere, ``publish`` puts them into a tree, ``serve``
serves it, and ``site`` makes files of it.

A library and commands rather than a plugin of the chain: nothing here is asked when a handle is resolved.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hubplug_hosting._packing import PackedModule as PackedModule
    from hubplug_hosting._packing import pack_module as pack_module
    from hubplug_hosting._publishing import PublishedModule as PublishedModule
    from hubplug_hosting._publishing import publish_module as publish_module
    from hubplug_hosting._server import ModuleServer as ModuleServer
    from hubplug_hosting._site import WrittenSite as WrittenSite
    from hubplug_hosting._site import write_site as write_site

_HOMES = {
    "ModuleServer": "hubplug_hosting._server",
    "PackedModule": "hubplug_hosting._packing",
    "PublishedModule": "hubplug_hosting._publishing",
    "WrittenSite": "hubplug_hosting._site",
    "pack_module": "hubplug_hosting._packing",
    "publish_module": "hubplug_hosting._publishing",
    "write_site": "hubplug_hosting._site",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
