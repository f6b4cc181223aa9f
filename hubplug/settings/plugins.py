"""From entry points to one chain of plugin instances.

A chain is an ordered list; list order is call order for every hook. Plugins are loaded by name, only those that the
chain names. A plugin that is named and cannot be had is an error: authentication and validation never fail open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint
from typing import Any

from hubplug.errors import ConfigError, HubplugError, PluginError
from hubplug.settings.config import DEFAULT, EVERY_OTHER, Config, environment_switch, expand
from hubplug.settings.config import environment_value as _environment_value
from hubplug.settings.entry_points import (
    GROUP,
    distribution_name,
    installed_plugins,
    load_entry_point,
    origin_of_plugin,
)
from hubplug.settings.members import Member, find_misfit
from hubplug.settings.options import find_declaration_error, find_option_error, missing_options
from hubplug.settings.trust import refuse_untrusted_options
from hubplug.shown.redaction import scrub, scrub_foreign, secrets_in, showable_cause
from hubplug.shown.words import nearest

DISTRIBUTION = "hubplug"
_SWITCH_OFF = "HUBPLUG_DISABLE_PLUGIN_AUTOLOAD"


def make_members(config: Config) -> Iterator[tuple[str, Member | HubplugError]]:
    """Makes the plugins of the effective chain one after the other.

    Returns:
        The name of each, and the plugin or the error that says why it cannot be had.
    """
    installed = installed_plugins()
    last: dict[type[Any], str] = {}
    for name in effective_names(config, installed):
        try:
            member = _make_member(config, name, installed, last)
            yield name, find_misfit(member) or member
        except HubplugError as error:
            yield name, error


def _make_member(
    config: Config,
    name: str,
    installed: Mapping[str, Sequence[EntryPoint]],
    last: dict[type[Any], str],
) -> Member:
    settings = config.plugin(name)
    entry_point = _entry_point(config, name, settings.use, installed)
    kind = load_entry_point(entry_point, named_in=config.where if name in config.chain else None)
    _refuse_no_class(kind, entry_point)
    _refuse_declarations(kind, entry_point)
    origin = origin_of_plugin(entry_point)
    options, overrides = _effective_options(config, name, kind, settings.options, origin, is_reached=kind not in last)
    _refuse_unreachable(config, name, kind, options, last)
    plugin = _construct(config, name, kind, options, entry_point)
    return Member(name, plugin, origin, overrides)


def effective_names(config: Config, installed: Mapping[str, Sequence[EntryPoint]]) -> list[str]:
    """The chain with the third-party plugins that come by themselves put in their place, and without the disabled ones.

    Raises:
        ConfigError: A disabled plugin is neither in a chain nor installed: a misspelt name would leave it active.
    """
    used = {config.plugin(name).use for name in config.chain if name != EVERY_OTHER}
    third_party = sorted(
        (distribution_name(entry_point), name)
        for name, offered in installed.items()
        for entry_point in offered
        if distribution_name(entry_point) != DISTRIBUTION and name not in used
    )
    others = list(dict.fromkeys(name for _, name in third_party))
    names: list[str] = []
    if config.autoload and EVERY_OTHER not in config.chain and not environment_switch(_SWITCH_OFF):
        names.extend(others)
    for name in config.chain:
        names.extend(others if name == EVERY_OTHER else [name])
    for name in config.disabled:
        if name not in {*names, *installed, *config.plugins}:
            raise ConfigError(
                f"{config.where}: disabled: no plugin {name!r} is in the chain or installed",
                hint=f"{nearest(name, sorted({*names, *installed}))}; it is a list of HUBPLUG_DISABLE_PLUGINS too",
            )
    return [name for name in names if name not in config.disabled]


def _entry_point(config: Config, name: str, use: str, installed: Mapping[str, Sequence[EntryPoint]]) -> EntryPoint:
    key_path = f"plugins.{name}.use" if name in config.plugins and use != name else "chain"
    offered = installed.get(use, ())
    if not offered:
        hint = f"{nearest(use, installed)}; install the distribution that offers it, or take it out of the chain"
        if use in DEFAULT["chain"]:
            hint = "install hubplug again: its entry points (entry_points.txt of its dist-info) are older than its code"
        raise ConfigError(f"{config.where}: {key_path}: no plugin {use!r} is installed", hint=hint)
    if len(offered) > 1:
        raise PluginError(
            f"{config.where}: {key_path}: the plugin {use!r} is offered by "
            + " and by ".join(origin_of_plugin(entry_point) for entry_point in offered),
            hint="uninstall all but one of them",
        )
    return offered[0]


def _effective_options(
    config: Config, name: str, kind: Any, options: Mapping[str, Any], origin: str, *, is_reached: bool
) -> tuple[dict[str, Any], dict[str, str]]:
    """Options from the file, with references expanded, under what the environment says; and which variables did."""
    refuse_untrusted_options(config, name, kind, options)
    effective = dict(expand(options, f"{config.where}: plugins.{name}.options"))
    overrides: dict[str, str] = {}
    # Where a class says which instance answers for everything, the variables are that instance's.
    applies = not hasattr(kind, "takes_everything") or (is_reached and kind.takes_everything(effective))
    for option, variable in getattr(kind, "environment", {}).items():
        value = _environment_value(variable)
        if value is not None and applies:
            effective[option] = value
            overrides[option] = variable
    if error := find_option_error(kind, effective, options):
        place, problem, hint = f"plugins.{name}.options.{error.path}", error.problem, error.hint
        if error.path in missing_options(kind, effective):  # of a plugin that may have come by itself
            problem = f"the plugin of {origin} requires this option"
            hint = f"set {place} in hubplug.yaml, or leave the plugin out: HUBPLUG_DISABLE_PLUGINS={name}"
        elif variable := overrides.get(error.path):
            problem, hint = (
                f"{problem} (the environment variable {variable} says so)",
                f"correct {variable}, or unset it",
            )
        raise ConfigError(f"{config.where}: {place}: {problem}", hint=hint)
    return effective, overrides


def _refuse_declarations(kind: type[Any], entry_point: EntryPoint) -> None:
    if (problem := find_declaration_error(kind)) is not None:
        raise PluginError(
            f"The plugin {entry_point.name!r} ({entry_point.value}) of {origin_of_plugin(entry_point)} {problem[0]}",
            hint=f"a mistake in the plugin, which its author has to mend: {problem[1]}",
        )


def _refuse_unreachable(
    config: Config, name: str, kind: type[Any], options: Mapping[str, Any], last: dict[type[Any], str]
) -> None:
    """Refuses an instance that would never be asked, if its class says in ``takes_everything(options)`` which one is the last.

    Args:
        last: By class the first instance that answers for everything; it is put in here.
    """
    if not hasattr(kind, "takes_everything"):
        return
    if kind.takes_everything(options):
        last.setdefault(kind, name)
    elif kind in last:
        raise ConfigError(
            f"{config.where}: chain: {name!r} stands after {last[kind]!r}, which answers for everything, so it would never "
            "be asked",
            hint=f"put {name} before {last[kind]}",
        )


def _refuse_no_class(kind: Any, entry_point: EntryPoint) -> None:
    if not isinstance(kind, type):
        raise PluginError(
            f"The plugin {entry_point.name!r} ({entry_point.value}) of {origin_of_plugin(entry_point)} is a "
            f"{type(kind).__name__}, and an entry point of the group {GROUP!r} names a class",
            hint="name the class in the entry point: module:Class",
        )


def refuse_options_of_no_plugin(config: Config, installed: Mapping[str, Sequence[EntryPoint]]) -> None:
    """A misspelt name in the section ``plugins`` would leave its credentials or rules out without a word."""
    if config.chain in config.chains.values():
        return  # the names of the chain that this one replaced are not known any more
    named = {*config.chain, *(name for chain in config.chains.values() for name in chain)}
    for name, settings in config.plugins.items():
        if name not in named and settings.use not in installed:
            raise ConfigError(
                f"{config.where}: plugins.{name}: no chain names it, and no plugin {settings.use!r} is installed",
                hint=nearest(name, sorted({*named, *installed} - {EVERY_OTHER})),
            )


def _construct(config: Config, name: str, kind: Any, options: Mapping[str, Any], entry_point: EntryPoint) -> object:
    secrets = secrets_in(options, config.plugin(name).options)
    try:
        return kind(**options)
    except ConfigError as error:
        message, hint = scrub(error.message, secrets), error.hint and scrub(error.hint, secrets)
        raise ConfigError(f"{config.where}: plugins.{name}.options: {message}", hint=hint) from showable_cause(
            error, secrets
        )
    except Exception as error:
        raise PluginError(
            f"The plugin {name!r} ({entry_point.value}) of {origin_of_plugin(entry_point)} cannot be made from its options "
            f"{sorted(options)}: {type(error).__name__}: {scrub_foreign(str(error), secrets)}",
            hint=f"look at plugins.{name}.options in {config.where}",
        ) from showable_cause(error, secrets)
