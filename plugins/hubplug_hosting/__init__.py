"""Publishes modules: ``hubplug pack`` makes archives that are the same everywhere, ``hubplug serve`` serves a tree of them.

A library and two commands rather than a plugin of the chain: nothing here is asked when a handle is resolved.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hubplug_hosting._packing import PackedModule as PackedModule
    from hubplug_hosting._packing import pack_module as pack_module
    from hubplug_hosting._server import ModuleServer as ModuleServer

_HOMES = {
    "ModuleServer": "hubplug_hosting._server",
    "PackedModule": "hubplug_hosting._packing",
    "pack_module": "hubplug_hosting._packing",
}

__all__ = ["ModuleServer", "PackedModule", "pack_module"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
