"""What every command says of itself: a whole sentence, options, an example that it takes, at 80 columns."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hubplug.cli.main import hubplug


def every_command(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from every_command(below, (*path, name))


COMMANDS = dict(every_command(hubplug))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_command_explains_itself_at_80_columns(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(hubplug, [*path, "--help"], terminal_width=80)
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= 80
    assert not re.search(r"[a-z]\.\.\.$", result.output, re.MULTILINE), "a sentence is cut"
    summary = COMMANDS[path].get_short_help_str(limit=1000)
    assert summary.endswith(".")
    assert "\n" not in summary


# What prints something for another program already, or lets one speak.
NO_JSON = {("bom",), ("completion",), ("config", "schema"), ("run",)}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_command_that_answers_has_json(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    answers = not isinstance(command, click.Group) or (command.invoke_without_command and path)
    has_json = any("--json" in param.opts for param in command.params)
    assert has_json == (bool(answers) and path not in NO_JSON)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_command_takes_its_own_examples(
    path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "handles.txt").touch()
    examples = re.findall(r"^  (.*hubplug .*)$", COMMANDS[path].epilog or "", re.MULTILINE)
    assert examples, "no example"
    for line in examples:
        (typed,) = re.findall(r"hubplug [^|><)\"']*", line)
        assert "COMMAND" in typed or takes(shlex.split(typed)[1:]), line


def takes(arguments: list[str]) -> bool:
    """Whether the parsers of the commands take these arguments; nothing is run."""
    command: click.Command = hubplug
    context = None
    while True:
        # A subcommand's own errors come from its parser; callbacks of eager options such as --help are in no example.
        context = command.make_context(command.name, list(arguments), parent=context)
        if not isinstance(command, click.Group) or not context._protected_args + context.args:
            return True
        name, below, arguments = command.resolve_command(context, context._protected_args + context.args)
        assert below is not None, name
        command = below
