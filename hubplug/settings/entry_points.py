"""Which plugins and commands distributions offer, and their import. Light, since every command begins with it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any

from hubplug.errors import PluginError

GROUP = "hubplug"
COMMANDS_GROUP = "hubplug.commands"


def distribution_name(entry_point: EntryPoint) -> str:
    """The distribution that offers a plugin, in lower case."""
    return _name_and_version(entry_point.dist)[0].lower() if entry_point.dist else ""


def origin_of_plugin(entry_point: EntryPoint) -> str:
    """``name version`` of the distribution that offers a plugin."""
    return " ".join(_name_and_version(entry_point.dist)) if entry_point.dist else "an unknown distribution"


@cache
def _name_and_version(distribution: Distribution) -> tuple[str, str]:
    # Each access to one of them reads and parses the distribution's metadata anew.
    metadata = distribution.metadata
    return metadata["Name"], metadata["Version"]


def installed_plugins() -> Mapping[str, Sequence[EntryPoint]]:
    """Every plugin that an installed distribution offers, by name; two entries where two distributions offer it."""
    return _by_name(GROUP)


def installed_commands() -> Mapping[str, Sequence[EntryPoint]]:
    """Every subcommand that an installed distribution offers, by name."""
    return _by_name(COMMANDS_GROUP)


def load_entry_point(entry_point: EntryPoint, named_in: str | None = None) -> Any:
    """Imports what an entry point names.

    Args:
        entry_point: What a distribution offers.
        named_in: The configuration whose chain names it; None: it comes by itself, or is a command.

    Raises:
        PluginError: It cannot be imported; says which distribution it came from and how to go on without it.
    """
    try:
        return entry_point.load()
    except Exception as error:
        missing = f"pip install {error.name}" if isinstance(error, ModuleNotFoundError) and error.name else None
        kind, way_out = "plugin", "mend or uninstall the distribution"
        if entry_point.group == COMMANDS_GROUP:
            kind = "command"
        elif named_in is not None:
            way_out = f"mend the distribution, or take {entry_point.name} out of the chain"
        else:
            way_out += f", or leave it out: HUBPLUG_DISABLE_PLUGINS={entry_point.name}"
        raise PluginError(
            f"{named_in + ': chain: the' if named_in else 'The'} {kind} {entry_point.name!r} ({entry_point.value}) of "
            f"{origin_of_plugin(entry_point)} cannot be imported: {type(error).__name__}: {error}",
            hint=f"{missing}; or {way_out}" if missing else way_out,
        ) from error


@cache
def _scan(group: str, path: tuple[str, ...]) -> dict[str, tuple[EntryPoint, ...]]:
    found: dict[str, dict[str, EntryPoint]] = {}
    for entry_point in entry_points(group=group):
        # An editable install beside a wheel of the same distribution offers everything twice.
        found.setdefault(entry_point.name, {}).setdefault(distribution_name(entry_point), entry_point)
    return {name: tuple(offered.values()) for name, offered in found.items()}


def _by_name(group: str) -> Mapping[str, Sequence[EntryPoint]]:
    return _scan(group, tuple(sys.path))
