"""What all commands have in common, the core's and those of plugins: whole sentences in the help, examples, ``--json``, and what
the shell completes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from hubplug.errors import HubplugError

if TYPE_CHECKING:
    from hubplug.hub import Hub

F = TypeVar("F", bound=Callable[..., Any])
_JSON = "hubplug.json"


class Group(click.Group):
    """A command with subcommands, whose help lists each with a whole sentence."""

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


def example(*lines: str) -> str:
    """Examples as the ``epilog`` of a command; each line is typed as it is."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


def for_machines(*forms: str) -> Callable[[F], F]:
    """Options ``--format`` and ``--json``; the command takes what was chosen as ``form``.

    Args:
        forms: Forms that there are besides ``text`` and ``json``.
    """
    choices = click.Choice(["text", "json", *forms])
    full = click.option(
        "--format", "form", type=choices, default="text", callback=_form, help="For people or for machines."
    )
    short = click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_note_json,
        help="The same as --format json.",
    )
    return lambda command: full(short(command))


def current_hub() -> Hub:
    """The Hub in effect. What it needs is imported when a command runs: `hubplug --help` imports every command."""
    from hubplug import in_effect

    return in_effect.current_hub()


class Completed(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """A text of which the shell can complete what a Hub knows; any other is fine too."""

    name = "text"

    def __init__(self, known: Callable[[Hub], Iterable[str]], *, paths: bool = False) -> None:
        """
        Args:
            known: What there is.
            paths: Whether it may be a local path too.
        """
        self._known = known
        self._paths = paths

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from hubplug.hub import Hub
        from hubplug.settings.config import load_config

        given = ctx.find_root().params
        try:
            config = load_config(given.get("config"), chain=given.get("chain"), offline=given.get("offline") or None)
            found = sorted({text for text in self._known(Hub(config)) if text.startswith(incomplete)})
        except (HubplugError, OSError):  # the command itself will say so
            found = []
        if not found and self._paths:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(text) for text in found]


def known_by(attribute: str) -> Callable[[Hub], Iterable[str]]:
    """What the plugins of a chain say that they know, in an attribute or by a method of this name."""

    def known(hub: Hub) -> Iterable[str]:
        for member in hub.chain.members:
            values = getattr(member.plugin, attribute, ())
            yield from values() if callable(values) else values

    return known


def _known_handles(hub: Hub) -> Iterable[str]:
    from hubplug.pins import Pins

    yield from Pins.read(hub.config).modules
    yield from known_by("known_handles")(hub)


HANDLE = Completed(_known_handles, paths=True)
CHAIN = Completed(lambda hub: hub.config.chains)
PROFILE = Completed(known_by("profiles"))


def print_json(value: Any, *, one_line: bool = False) -> None:
    """Prints a value for a program; on one line if the command goes on, so that the program knows where it ends."""
    click.echo(json.dumps(value, indent=None if one_line else 2))


def _note_json(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_JSON] = True


def _form(ctx: click.Context, param: click.Parameter, value: str) -> str:
    return "json" if ctx.meta.get(_JSON) else value
