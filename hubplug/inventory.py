"""What there is: installed plugins, the effective configuration, and its JSON Schema."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

from hubplug.chain import hooks_of_class
from hubplug.config import DEFAULT
from hubplug.errors import PluginError
from hubplug.hub import Hub
from hubplug.manager import installed_plugins, load_entry_point, origin_of_plugin
from hubplug.options import options_schema
from hubplug.redaction import without_secrets
from hubplug.tree import Limits
from hubplug.urls import redact


def inventory(hub: Hub) -> list[dict[str, Any]]:
    """Every member of the chain and every other installed plugin, one row each.

    Returns:
        Rows with ``name``, ``distribution``, ``state`` (its place in the chain, or why it is not in it) and ``hooks``.
    """
    rows: list[dict[str, Any]] = []
    used = set()
    for place, member in enumerate(hub.chain.members, 1):
        used.add(hub.config.plugin(member.name).use)
        rows.append(
            {
                "name": member.name,
                "distribution": member.distribution,
                "state": str(place),
                "hooks": hub.chain.hooks_of(member),
            }
        )
    for name, offered in sorted(installed_plugins().items()):
        if name not in used:
            rows.extend(_outside(hub, name, entry_point) for entry_point in offered)
    return rows


def effective_config(hub: Hub) -> str:
    """The configuration in effect as YAML, with secrets replaced and references unexpanded.

    What the environment says over it stands in comments at its head.
    """
    import yaml

    config = hub.config
    content = {
        "version": DEFAULT["version"],
        "chain": [member.name for member in hub.chain.members],
        "chains": {name: list(chain) for name, chain in config.chains.items()},
        "offline": config.offline,
        "locked": config.locked,
        "server_schemes": list(config.server_schemes),
        "limits": dict(config.limits),
        "validate": {redact(prefix): list(profiles) for prefix, profiles in config.validate.items()},
        "plugins": {
            name: {"use": plugin.use, "options": without_secrets(plugin.options)}
            for name, plugin in config.plugins.items()
        },
    }
    head = [f"# read from {config.where}"]
    head += [
        f"# {variable} sets plugins.{member.name}.options.{option}"
        for member in hub.chain.members
        for option, variable in member.overrides.items()
    ]
    return "\n".join(head) + "\n" + yaml.safe_dump(content, sort_keys=False, width=100)


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


def _outside(hub: Hub, name: str, entry_point: EntryPoint) -> dict[str, Any]:
    hooks: list[str] = []
    try:
        kind = load_entry_point(entry_point)
        hooks = hooks_of_class(kind)
        state = f"no: {hub.config.where} does not name it"
    except PluginError as error:
        state = f"no: {error.message}"
    return {"name": name, "distribution": origin_of_plugin(entry_point), "state": state, "hooks": hooks}
