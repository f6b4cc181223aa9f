"""``hubplug plugins`` and ``hubplug config``: what is installed, and what is in effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hubplug.cli.commands import Group, current_hub, example, for_machines, print_json
from hubplug.errors import ConfigError, HubplugError
from hubplug.shown.terminal import aligned, painted, say


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog=example("hubplug plugins", "hubplug plugins --json", "hubplug plugins new corp_models"),
)
@for_machines()
@click.pass_context
def plugins(ctx: click.Context, form: str) -> None:
    """List the installed plugins, the hooks they implement, and which are in the chain."""
    if ctx.invoked_subcommand is not None:
        return
    from hubplug.settings.config import load_config
    from hubplug.settings.inventory import inventory, inventory_of_parts

    problem = None
    try:
        hub = current_hub()
        rows = inventory(hub.config, hub.chain.members)
    except HubplugError as error:
        problem = error
        rows = inventory_of_parts(load_config())
    if form == "json":
        print_json(rows)
    else:
        say(*_table(rows))
    if problem is not None:
        raise problem


@plugins.command("new", epilog=example("hubplug plugins new corp_models"))
@click.argument("name")
@for_machines()
def plugins_new(name: str, form: str) -> None:
    """Write a plugin project: a working plugin, its packaging and passing tests."""
    from hubplug.cli.scaffold import write_project

    folder = write_project(name, Path.cwd())
    if form == "json":
        print_json({"path": str(folder)})
        return
    say(f"{folder}: written; now: cd {name} && pip install . pytest && pytest")


@click.group(cls=Group, epilog=example("hubplug config show", "hubplug config check"))
def config() -> None:
    """Look at the configuration in effect."""


@config.command("show", epilog=example("hubplug config show", "hubplug --config ci.yaml config show"))
@for_machines()
def config_show(form: str) -> None:
    """Print which file is read and what is in effect, without secrets."""
    from hubplug.settings.inventory import effective_config, effective_settings

    hub = current_hub()
    if form == "json":
        print_json(effective_settings(hub.config, hub.chain.members))
    else:
        click.echo(effective_config(hub.config, hub.chain.members), nl=False)


@config.command("check", epilog=example("hubplug config check", "hubplug --config ci.yaml config check"))
@for_machines()
def config_check(form: str) -> None:
    """Check the configuration and every plugin that it names, in the alternative chains too.

    Exit status 2 if something in it is wrong.
    """
    from hubplug.chain import build_chain
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
    names = [member.name for member in hub.chain.members]
    warnings = [
        f"plugins.{member.name}: {lack}"
        for member in hub.chain.members
        for lack in getattr(member.plugin, "find_problems", list)()
    ]
    if form == "json":
        print_json({"read_from": hub.config.where, "chain": names, "warnings": warnings})
        return
    say(*(f"warning: {warning}" for warning in warnings), err=True)
    say(f"{hub.config.where}: {'valid, with warnings' if warnings else 'fine'}; chain: {', '.join(names)}")


@config.command("schema", epilog=example("hubplug config schema > hubplug.schema.json"))
def config_schema() -> None:
    """Print the JSON Schema of hubplug.yaml with the plugins that are installed here."""
    from hubplug.settings.inventory import config_schema as schema

    print_json(schema())


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[object]:
    """Rows as a table; what is wrong with a plugin stands below it, where it has room."""
    cells: list[tuple[object, ...]] = [
        tuple(painted(title, "bold") for title in ("NAME", "DISTRIBUTION", "IN THE CHAIN", "HOOKS"))
    ]
    for row in rows:
        place = painted(f"{row['place']}, broken", "red") if row["problem"] else row["place"]
        hooks = ", ".join(hook.removeprefix("hubplug_") for hook in row["hooks"])
        cells.append((row["name"], row["distribution"], place, hooks))
    yield from aligned(cells)
    for row in rows:
        if row["problem"]:
            yield [painted(f"{row['name']}:", "red"), f" {row['problem']}"]
