"""The command ``hubplug``: the core's subcommands, and those that plugins add through the group ``hubplug.commands``."""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hubplug.chain import build_chain
from hubplug.errors import ConfigError, HubplugError, PluginError
from hubplug.in_effect import current_hub, default_hub_anew
from hubplug.settings.config import environment_with, load_config
from hubplug.settings.plugins import installed_commands, load_entry_point, origin_of_plugin
from hubplug.shown.terminal import say
from hubplug.types import Handle, Plan

FORMAT = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="For people or for machines."
)

_INTERRUPTED = 128 + 2  # as a shell reports a process that SIGINT ended


class Commands(click.Group):
    """The core's subcommands and those of plugins; an error is two lines, not a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *installed_commands()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        offered = installed_commands().get(cmd_name, ())
        if command is not None or not offered:
            return command
        if len(offered) > 1:
            owners = " and by ".join(origin_of_plugin(entry_point) for entry_point in offered)
            raise PluginError(f"The command {cmd_name!r} is offered by {owners}", hint="uninstall all but one of them")
        loaded = load_entry_point(offered[0])
        if not isinstance(loaded, click.Command):
            raise PluginError(
                f"The command {cmd_name!r} ({offered[0].value}) of {origin_of_plugin(offered[0])} is a "
                f"{type(loaded).__name__}, expected a click.Command"
            )
        return loaded

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            try:
                command = self.get_command(ctx, name)
            except HubplugError as error:  # one broken distribution must not take the help away
                rows.append((name, f"(cannot be used: {error.message})"))
            else:
                rows.append((name, command.get_short_help_str(limit=200) if command else ""))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HubplugError as error:
            if ctx.params.get("traceback"):
                traceback.print_exception(error)
            print_error(error)
            ctx.exit(2)
        except KeyboardInterrupt:
            say("interrupted", err=True)
            ctx.exit(_INTERRUPTED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--config", metavar="FILE", help="The hubplug.yaml to use.")
@click.option("--chain", metavar="NAME", help="An alternative chain that it names.")
@click.option("--offline", is_flag=True, help="Open no socket.")
@click.option("--traceback", is_flag=True, help="With an error, print where in the code it arose. May show secrets.")
@click.version_option(package_name="hubplug")
@click.pass_context
def hubplug(ctx: click.Context, config: str | None, chain: str | None, offline: bool, traceback: bool) -> None:
    """Resolve, look at, pack and serve TensorFlow Hub modules."""
    if not (config or chain or offline):
        return
    load_config(config, chain=chain, offline=offline or None)
    said = {
        "HUBPLUG_CONFIG": config and str(Path(config).absolute()),
        "HUBPLUG_CHAIN": chain,
        "HUBPLUG_OFFLINE": offline and "1",
    }
    # The process's default, and not this thread's: a program that is run has threads and children, which ask too.
    ctx.with_resource(environment_with({name: value for name, value in said.items() if value}))
    ctx.with_resource(default_hub_anew())


@hubplug.command()
@click.argument("handle")
def resolve(handle: str) -> None:
    """Bring a module here and print the directory that holds it."""
    click.echo(current_hub().resolve(handle).path)


@hubplug.command()
@click.argument("handle")
@click.option(
    "--export", "exported", is_flag=True, help="Show who would put a module there that is exported to HANDLE."
)
@FORMAT
def explain(handle: str, exported: bool, form: str) -> None:
    """Show the way of a handle through the chain, without fetching anything."""
    answers = current_hub().explain_export(handle) if exported else current_hub().explain(handle)
    rows: list[dict[str, Any]] = [
        {
            "hook": answer.hook,
            "plugin": answer.member.name if answer.member else None,
            "plan": _in_words(answer.hook, answer.value),
            **({"url": answer.about} if answer.about else {}),
            "declined": [{"plugin": name, "reason": reason} for name, reason in answer.declined],
        }
        for answer in answers
    ]
    rows += [
        {"hook": "hubplug_auth", "plugin": answer.member.name, "plan": answer.value.credentials, "declined": []}
        for answer in answers
        if answer.member and getattr(answer.value, "credentials", None)
    ]
    if form == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        say("a local path: hubplug itself puts the module there, with one rename")
    for row in rows:
        about = (
            f"for {row['url']}: " if sum(other["hook"] == row["hook"] for other in rows) > 1 and "url" in row else ""
        )
        say(f"{row['hook'].removeprefix('hubplug_'):8} {row['plugin'] or '-'}: {about}{row['plan']}")
        for other in row["declined"]:
            say(f"{'':8} {other['plugin']} declined: {other['reason']}")


@hubplug.command()
@click.argument("handle")
@FORMAT
def show(handle: str, form: str) -> None:
    """Show a module's signatures, variables, assets and where it came from."""
    hub = current_hub()
    description = hub.use_spec(handle, lambda spec: spec.describe())
    if provenance := hub.resolve(handle).provenance:
        description = {**description, "location": provenance.location, "archive_sha256": provenance.archive_sha256}
    if form == "json":
        click.echo(json.dumps(description, indent=2))
        return
    say(*describe_in_words(description))


@hubplug.group(invoke_without_command=True)
@FORMAT
@click.pass_context
def plugins(ctx: click.Context, form: str) -> None:
    """List the installed plugins, the hooks they implement, and which are in the chain."""
    if ctx.invoked_subcommand is not None:
        return
    from hubplug.settings.inventory import inventory, inventory_of_parts

    problem = None
    try:
        hub = current_hub()
        rows = inventory(hub.config, hub.chain.members)
    except HubplugError as error:
        problem = error
        rows = inventory_of_parts(load_config())
    if form == "json":
        click.echo(json.dumps(rows, indent=2))
    else:
        say(*aligned([("NAME", "DISTRIBUTION", "IN THE CHAIN", "HOOKS"), *_cells(rows)]))
    if problem is not None:
        raise problem


@plugins.command("new")
@click.argument("name")
def plugins_new(name: str) -> None:
    """Write a plugin project: a working plugin, its packaging and passing tests."""
    from hubplug.cli.scaffold import write_project

    folder = write_project(name, Path.cwd())
    say(f"{folder}: written; now: cd {name} && pip install . pytest && pytest")


@hubplug.group()
def config() -> None:
    """Look at the configuration in effect."""


@config.command("show")
def config_show() -> None:
    """Print which file is read and what is in effect, without secrets."""
    from hubplug.settings.inventory import effective_config

    hub = current_hub()
    click.echo(effective_config(hub.config, hub.chain.members), nl=False)


@config.command("check")
def config_check() -> None:
    """Check the configuration and every plugin that it names, in the alternative chains too."""
    from hubplug.settings.inventory import find_profile_error

    hub = current_hub()
    if problem := find_profile_error(hub.config, hub.chain.members):
        raise problem
    for name, chain in hub.config.chains.items():
        try:
            built = build_chain(replace(hub.config, chain=chain))
            if problem := find_profile_error(hub.config, built.members):
                raise problem
        except HubplugError as error:
            raise ConfigError(f"The chain {name!r} cannot be used: {error.message}", hint=error.hint) from error
    for member in hub.chain.members:
        for lack in getattr(member.plugin, "find_problems", list)():
            say(f"warning: plugins.{member.name}: {lack}", err=True)
    say(f"{hub.config.where}: fine; chain: {', '.join(member.name for member in hub.chain.members)}")


@config.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of hubplug.yaml with the plugins that are installed here."""
    from hubplug.settings.inventory import config_schema as schema

    click.echo(json.dumps(schema(), indent=2))


@hubplug.command()
@click.argument("handles", nargs=-1, required=True, metavar="HANDLE...")
def lock(handles: tuple[str, ...]) -> None:
    """Fetch modules and pin their content in hubplug.lock."""
    pins = current_hub().pin(handles)
    count = len(pins.write().modules)
    say(f"{pins.path}: {count} {'module' if count == 1 else 'modules'} pinned")


@hubplug.command()
@click.argument("handles", nargs=-1, metavar="[HANDLE...]")
@click.option("--locked", is_flag=True, help="Fetch everything that hubplug.lock lists, and nothing that differs.")
def fetch(handles: tuple[str, ...], locked: bool) -> None:
    """Fill the cache with modules, for a container or a machine without a network."""
    from hubplug.pins import Pins

    hub = current_hub()
    wanted = list(handles)
    if locked:
        pins = Pins.read(hub.config)
        if not pins.present:
            raise HubplugError(f"There is no {pins.path}", hint="write it with `hubplug lock HANDLE...`")
        wanted.extend(handle for handle in pins.modules if handle not in wanted)
    if not wanted:
        raise click.UsageError("name handles, or give --locked")
    for handle in wanted:
        say(f"{hub.resolve(handle).path}  {handle}")


def describe_in_words(description: Mapping[str, Any]) -> list[str]:
    """A module's description as lines for a terminal."""
    lines = [
        f"{key.replace('_', ' ')}: {_plain_words(value)}"
        for key, value in description.items()
        if key != "variants" and value not in (None, {}, [])
    ]
    for variant in description.get("variants", ()):
        lines.append(f"graph variant {variant['tags']}" + ("" if variant["tags"] else " (inference)"))
        for name, signature in variant["signatures"].items():
            lines.append(f"  signature {name!r}")
            for side in ("inputs", "outputs"):
                rows = [
                    (f"    {side[:-1]}", repr(key), info["dtype"], info["shape"], info["kind"])
                    for key, info in signature[side].items()
                ]
                lines.extend(aligned(rows) if rows else [f"    no {side}"])
    return lines


def _plain_words(value: Any) -> str:
    if isinstance(value, Mapping):
        if value.get("problem"):  # it says why numbers are missing
            value = {key: item for key, item in value.items() if item is not None}
        return ", ".join(f"{key} {_plain_words(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(_plain_words(item) for item in value)
    if value is None:
        return "unknown"
    return f"{value:,}" if isinstance(value, int) else str(value)


def aligned(rows: Sequence[Iterable[object]]) -> list[str]:
    """Rows as lines with aligned columns."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _cells(rows: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (row["name"], row["distribution"], row["state"], ", ".join(h.removeprefix("hubplug_") for h in row["hooks"]))
        for row in rows
    ]


def print_error(error: HubplugError) -> None:
    """The two lines of an error, on standard error."""
    say(f"error: {' '.join(error.message.split())}", err=True)
    if error.hint:
        say(f"hint: {' '.join(error.hint.split())}", err=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; exit status 2 for an error of hubplug or a full disk, 130 after Ctrl-C."""
    try:
        hubplug(args=None if arguments is None else list(arguments), prog_name="hubplug")
    except HubplugError as error:
        print_error(error)
        sys.exit(2)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        # What standard output could not take is still in its buffer: flushing it at the exit would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        print_error(HubplugError(f"Cannot write: {error.strerror}", hint="make room where the output goes"))
        sys.exit(2)


def _in_words(hook: str, value: Any) -> str:
    if value is None:
        return "unsigned requests" if hook == "hubplug_auth" else "no plugin answers"
    if isinstance(value, Handle):
        return f"{'exported' if hook == 'hubplug_publish' else 'redirected'} to {value}"
    if hook == "hubplug_resolve" and isinstance(value, Plan):
        return f"would {value.what}"
    if hook == "hubplug_resolve":
        return f"it is used in place: {value}" if value.in_place else f"it lives at {value}"
    if hook == "hubplug_cache":
        return f"{'hit' if value.hit else 'miss'}: {value.what}"
    if hook == "hubplug_auth":
        problem = getattr(value, "hubplug_problem", None)
        return f"{getattr(value, 'hubplug_rule', type(value).__name__)}{f', but {problem}' if problem else ''}"
    return str(value.what)
