"""The page of commands, from what ``hubplug --help`` is made of."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc

import click

from hubplug.cli.main import hubplug


def all_commands() -> str:
    """A section for each command: how it is called, what it does, its options."""
    return "\n".join("\n".join(section(context)) for context in every_command())


def every_command(command: click.Command = hubplug, parent: click.Context | None = None) -> Iterator[click.Context]:
    """A context for a command and each of its subcommands."""
    context = click.Context(command, info_name=command.name, parent=parent)
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None, name
            if not below.hidden:
                yield from every_command(below, context)


def section(context: click.Context) -> Iterator[str]:
    """The lines about one command."""
    command = context.command
    yield f"## `{context.command_path}`" if context.parent else "## `hubplug` itself"
    yield ""
    yield "```text"
    yield f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}"
    yield "```"
    yield ""
    for text in filter(None, (command.help, command.epilog)):
        yield from _paragraphs(text)
    options = [
        parameter for parameter in command.params if isinstance(parameter, click.Option) and not parameter.hidden
    ]
    if options:
        yield from ["| option | |", "|---|---|"]
    for option in options:
        record = option.get_help_record(context)
        assert record is not None, option.name
        yield f"| `{_cell(record[0])}` | {_cell(record[1])} |"
    yield ""


def _paragraphs(text: str) -> Iterator[str]:
    """Help text as Markdown: click's mark for text that is not to be wrapped makes a block of it."""
    for paragraph in cleandoc(text).split("\n\n"):
        unwrapped = paragraph.lstrip().startswith("\b")
        lines = paragraph.replace("\b", "").strip("\n").splitlines()
        yield from ["```text", *lines, "```", ""] if unwrapped else [*lines, ""]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
