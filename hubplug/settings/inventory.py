"""What there is: installed plugins, the effective configuration, and its JSON Schema."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint
from typing import Any

from hubplug.errors import ConfigError, HubplugError, PluginError
from hubplug.files.tree import Limits
from hubplug.settings.config import DEFAULT, Config
from hubplug.settings.entry_points import installed_plugins, load_entry_point, origin_of_plugin
from hubplug.settings.members import Member, hooks_of_class
from hubplug.settings.options import options_schema
from hubplug.settings.plugins import make_members
from hubplug.shown.redaction import without_secrets
from hubplug.shown.words import nearest
from hubplug.urls import redact


def inventory(config: Config, members: Sequence[Member]) -> list[dict[str, Any]]:
    """Every member of the chain and every other installed plugin, one row each.

    Returns:
        Rows with ``name``, ``distribution``, ``place`` (in the chain; ``no`` if it is not in it), ``state`` (the same with its
        reason), ``problem`` (what is wrong with it, or None) and ``hooks``.
    """
    return _rows(config, [(member.name, member) for member in members])


def inventory_of_parts(config: Config) -> list[dict[str, Any]]:
    """The same rows where no Hub can be made: what is wrong with a plugin that cannot be used is its problem."""
    return _rows(config, list(make_members(config)))


def find_profile_error(config: Config, members: Sequence[Member]) -> ConfigError | None:
    """Says which profile in the section ``validate`` no plugin of the chain knows.

    Returns:
        None when all are known, or when a plugin that validates does not say what it knows (its attribute ``profiles``).
    """
    validating = [member for member in members if "hubplug_validate" in hooks_of_class(type(member.plugin))]
    known: set[str] = set()
    for member in validating:
        profiles = getattr(member.plugin, "profiles", None)
        if profiles is None:
            return None
        known.update(profiles)
    for prefix, profiles in config.validate.items():
        for profile in profiles:
            if profile not in known:
                asked = ", ".join(member.name for member in validating) or "no plugin"
                return ConfigError(
                    f"{config.where}: validate.{redact(prefix)}: no plugin of the chain knows the profile {profile!r} "
                    f"(asked: {asked})",
                    hint=nearest(profile, sorted(known)),
                )
    return None


def effective_config(config: Config, members: Sequence[Member]) -> str:
    """The configuration in effect as YAML, with secrets replaced and references unexpanded.

    What the environment says over it stands in comments at its head.
    """
    import yaml

    content = effective_settings(config, members)
    head = [f"# read from {content.pop('read_from')}"]
    head += [f"# {variable} sets {option}" for option, variable in content.pop("set_by_environment").items()]
    return "\n".join(head) + "\n" + yaml.safe_dump(content, sort_keys=False, width=100)


def effective_settings(config: Config, members: Sequence[Member]) -> dict[str, Any]:
    """The configuration in effect, with secrets replaced and references unexpanded, and where it comes from."""
    return {
        "read_from": config.where,
        "set_by_environment": {
            f"plugins.{member.name}.options.{option}": variable
            for member in members
            for option, variable in member.overrides.items()
        },
        "version": DEFAULT["version"],
        "chain": [member.name for member in members],
        "chains": {name: list(chain) for name, chain in config.chains.items()},
        "offline": config.offline,
        "locked": config.locked,
        "disabled": list(config.disabled),
        "server_schemes": list(config.server_schemes),
        "limits": dict(config.limits),
        "validate": {redact(prefix): list(profiles) for prefix, profiles in config.validate.items()},
        "plugins": {
            name: {"use": plugin.use, "options": without_secrets(plugin.options)}
            for name, plugin in config.plugins.items()
        },
    }


def config_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of hubplug.yaml, with the options of every plugin that is installed here."""
    names = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    by_use = []
    for name, offered in sorted(installed_plugins().items()):
        try:
            options = options_schema(load_entry_point(offered[0]))
        except PluginError:
            options = {"type": "object"}
        by_use.append((name, options))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hubplug.yaml",
        "type": "object",
        "required": ["version"],
        "additionalProperties": False,
        "properties": {
            "version": {"const": DEFAULT["version"]},
            "chain": names,
            "chains": {"type": "object", "additionalProperties": names},
            "offline": {"type": "boolean", "default": False},
            "locked": {"type": "boolean", "default": False},
            "disabled": names,
            "server_schemes": names | {"default": list(DEFAULT["server_schemes"])},
            "limits": options_schema(Limits),
            "validate": {"type": "object", "additionalProperties": names},
            "plugins": {
                "type": "object",
                "properties": {
                    name: {
                        "$ref": "#/$defs/plugin",
                        "if": {"not": {"required": ["use"]}},
                        "then": {"properties": {"options": options}},
                    }
                    for name, options in by_use
                },
                "additionalProperties": {"$ref": "#/$defs/plugin", "required": ["use"]},
            },
        },
        "$defs": {
            "plugin": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"use": {"enum": [name for name, _ in by_use]}, "options": {"type": "object"}},
                "allOf": [
                    {
                        "if": {"properties": {"use": {"const": name}}, "required": ["use"]},
                        "then": {"properties": {"options": options}},
                    }
                    for name, options in by_use
                ],
            }
        },
    }


def _rows(config: Config, members: Sequence[tuple[str, Member | HubplugError]]) -> list[dict[str, Any]]:
    rows = [_inside(config, place, name, made) for place, (name, made) in enumerate(members, 1)]
    used = {config.plugin(name).use for name, _ in members}
    for name, offered in sorted(installed_plugins().items()):
        if name not in used:
            rows.extend(_outside(config, name, entry_point) for entry_point in offered)
    return rows


def _inside(config: Config, place: int, name: str, made: Member | HubplugError) -> dict[str, Any]:
    if isinstance(made, Member):
        return _row(name, made.distribution, str(place), hooks_of_class(type(made.plugin)))
    offered = installed_plugins().get(config.plugin(name).use, ())
    origin = " and ".join(origin_of_plugin(entry_point) for entry_point in offered) or "-"
    return _row(name, origin, str(place), problem=made.message)


def _outside(config: Config, name: str, entry_point: EntryPoint) -> dict[str, Any]:
    origin = origin_of_plugin(entry_point)
    try:
        hooks = hooks_of_class(load_entry_point(entry_point))
    except PluginError as error:
        return _row(name, origin, "no", problem=error.message)
    return _row(name, origin, "no", hooks, why=f"{config.where} does not name it")


def _row(
    name: str, distribution: str, place: str, hooks: Sequence[str] = (), *, why: str = "", problem: str | None = None
) -> dict[str, Any]:
    state = f"{place}{', but' if place != 'no' else ''}: {problem}" if problem else f"{place}: {why}" if why else place
    return {
        "name": name,
        "distribution": distribution,
        "place": place,
        "state": state,
        "problem": problem,
        "hooks": list(hooks),
    }
