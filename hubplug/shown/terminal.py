"""How a command prints: whatever came from outside, a line is one line and moves no terminal."""

from __future__ import annotations

from hubplug.shown.words import printable


def say(*lines: object, err: bool = False) -> None:
    """Prints lines; what would not print is escaped. For people: what a program reads is printed as it is."""
    import click

    for line in lines:
        click.echo(printable(str(line)), err=err)
