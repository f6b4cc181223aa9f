"""Modules applied to more data than one machine holds, on Apache Beam: ``ApplyToFiles``, ``ModuleHandler`` and ``hubplug apply``.

A block of rows is the unit of work, and a file the unit of the pipeline: rows one by one cost Beam more than a small module
costs. Nothing here schedules, queues or retries; that is the runner's.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hubplug.errors import needs

if TYPE_CHECKING:
    from hubplug_beam._applying import FailedRow as FailedRow
    from hubplug_beam._applying import Shard as Shard
    from hubplug_beam._handler import ArrowModuleHandler as ArrowModuleHandler
    from hubplug_beam._handler import Failure as Failure
    from hubplug_beam._handler import ModuleHandler as ModuleHandler
    from hubplug_beam._handler import keyed as keyed
    from hubplug_beam._parts import Part as Part
    from hubplug_beam._transform import ApplyToFiles as ApplyToFiles

_HOMES = {
    "ApplyToFiles": "_transform",
    "Part": "_parts",
    "Shard": "_applying",
    "FailedRow": "_applying",
    "ModuleHandler": "_handler",
    "ArrowModuleHandler": "_handler",
    "Failure": "_handler",
    "keyed": "_handler",
}

__all__ = ["ApplyToFiles", "ArrowModuleHandler", "FailedRow", "Failure", "ModuleHandler", "Part", "Shard", "keyed"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needs("apache_beam", "beam"):
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
