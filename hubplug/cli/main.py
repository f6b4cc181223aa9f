"""The command ``hubplug``: the core's subcommands, and those that plugins add through the group ``hubplug.commands``."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hubplug.cli.commands import CHAIN, HANDLE, Group, current_hub, example, for_machines, print_json
from hubplug.cli.completion import completion
from hubplug.cli.settings import config, plugins
from hubplug.errors import HubplugError, PluginError
from hubplug.settings.entry_points import installed_commands, load_entry_point, origin_of_plugin
from hubplug.shown.terminal import say

if TYPE_CHECKING:
    from hubplug.types import LocalModule

_INTERRUPTED = 128 + 2  # as a shell reports a process that SIGINT ended


class Commands(Group):
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


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=example("hubplug show https://models.example/publisher/model/1", "hubplug COMMAND --help"),
)
@click.option("--config", metavar="FILE", type=click.Path(), help="The hubplug.yaml to use.")
@click.option("--chain", metavar="NAME", type=CHAIN, help="An alternative chain that it names.")
@click.option("--offline", is_flag=True, help="Open no socket.")
@click.option("--traceback", is_flag=True, help="With an error, print where in the code it arose. May show secrets.")
@click.version_option(package_name="hubplug")
@click.pass_context
def hubplug(ctx: click.Context, config: str | None, chain: str | None, offline: bool, traceback: bool) -> None:
    """Resolve, look at, pack and serve TensorFlow Hub modules."""
    if not (config or chain or offline):
        return
    from hubplug.in_effect import default_hub_anew
    from hubplug.settings.config import environment_with, load_config

    load_config(config, chain=chain, offline=offline or None)
    said = {
        "HUBPLUG_CONFIG": config and str(Path(config).absolute()),
        "HUBPLUG_CHAIN": chain,
        "HUBPLUG_OFFLINE": offline and "1",
    }
    # The process's default, and not this thread's: a program that is run has threads and children, which ask too.
    ctx.with_resource(environment_with({name: value for name, value in said.items() if value}))
    ctx.with_resource(default_hub_anew())


@hubplug.command(
    epilog=example("hubplug resolve https://models.example/publisher/model/1", 'ls "$(hubplug resolve HANDLE)"')
)
@click.argument("handle", type=HANDLE)
@for_machines()
def resolve(handle: str, form: str) -> None:
    """Bring a module here and print the directory that holds it."""
    module = current_hub().resolve(handle)
    if form == "json":
        print_json(_as_json(module))
    else:
        click.echo(module.path)


@hubplug.command(
    epilog=example(
        "hubplug explain https://models.example/publisher/model/1",
        "hubplug explain --export gs://bucket/publisher/model/1",
    )
)
@click.argument("handle", type=HANDLE)
@click.option(
    "--export", "exported", is_flag=True, help="Show who would put a module there that is exported to HANDLE."
)
@for_machines()
def explain(handle: str, exported: bool, form: str) -> None:
    """Show the way of a handle through the chain, without fetching anything."""
    from hubplug.cli.describing import rows_of_way, way_in_words

    answers = current_hub().explain_export(handle) if exported else current_hub().explain(handle)
    rows = rows_of_way(answers)
    if form == "json":
        print_json(rows)
    elif rows:
        say(*way_in_words(rows))
    else:
        say("a local path: hubplug itself puts the module there, with one rename")


@hubplug.command(
    epilog=example(
        "hubplug show https://models.example/publisher/model/1",
        "hubplug show --json ./model | jq '.variants[].signatures'",
    )
)
@click.argument("handle", type=HANDLE)
@for_machines()
def show(handle: str, form: str) -> None:
    """Show a module's signatures, variables, assets and where it came from.

    Of a module that is not here, what a server of hubplug says of it; from any other server the module is downloaded.
    """
    from hubplug.cli.describing import describe_in_words
    from hubplug.cli.served import said_by_server

    hub = current_hub()
    description = said_by_server(hub, handle)
    if description is None:
        description = hub.use_spec(handle, lambda spec: spec.describe())
        if provenance := hub.resolve(handle).provenance:
            description = {**description, "location": provenance.location, "archive_sha256": provenance.archive_sha256}
    if form == "json":
        print_json(description)
        return
    say(*describe_in_words(description))


@hubplug.command(epilog=example("hubplug lock https://models.example/publisher/model/1"))
@click.argument("handles", nargs=-1, required=True, metavar="HANDLE...", type=HANDLE)
@for_machines()
def lock(handles: tuple[str, ...], form: str) -> None:
    """Fetch modules and pin their content in hubplug.lock."""
    pins = current_hub().pin(handles)
    count = len(pins.write().modules)
    if form == "json":
        print_json({"path": str(pins.path), "modules": count})
    else:
        say(f"{pins.path}: {count} {'module' if count == 1 else 'modules'} pinned")


@hubplug.command(
    epilog=example("hubplug fetch https://models.example/publisher/model/1", "hubplug fetch --locked --json")
)
@click.argument("handles", nargs=-1, metavar="[HANDLE...]", type=HANDLE)
@click.option("--locked", is_flag=True, help="Fetch everything that hubplug.lock lists, and nothing that differs.")
@for_machines()
def fetch(handles: tuple[str, ...], locked: bool, form: str) -> None:
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
    fetched = []
    for handle in wanted:
        fetched.append(module := hub.resolve(handle))
        if form == "text":
            say(f"{module.path}  {module.handle.original}")
    if form == "json":
        print_json([_as_json(module) for module in fetched])


for command in (completion, config, plugins):
    hubplug.add_command(command)


def _as_json(module: LocalModule) -> dict[str, Any]:
    recorded = module.provenance
    return {
        "handle": str(module.handle.original),
        "path": str(module.path),
        "location": recorded.location if recorded else None,
        "archive_sha256": recorded.archive_sha256 if recorded else None,
    }


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
