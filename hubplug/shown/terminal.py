"""How a command prints: whatever came from outside, a line is one line and moves no terminal; colours where someone looks."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Literal, TextIO

from hubplug.shown.words import printable

Colour = Literal["red", "green", "yellow", "cyan", "bold", "dim"]

_CODES: dict[Colour, str] = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}
# What a line on standard error begins with says how grave it is.
_BEGINNINGS: dict[str, Colour] = {"error:": "red", "warning:": "yellow", "hint:": "cyan"}


class Painted(str):
    """A piece of a line that has a colour where there are colours; for all else it is its text."""

    __slots__ = ("colour",)
    colour: Colour


def painted(text: object, colour: Colour) -> Painted:
    """A piece of a line in a colour; one that says nothing that the words do not say, too."""
    piece = Painted(text)
    piece.colour = colour
    return piece


def say(*lines: object, err: bool = False) -> None:
    """Prints lines; what would not print is escaped. For people: what a program reads is printed as it is.

    Args:
        lines: Each a value, or a list of pieces, of which some are ``painted``.
        err: Whether to print on standard error.
    """
    import click

    colours = has_colours(sys.stderr if err else sys.stdout)
    for line in lines:
        pieces = list(line) if isinstance(line, list) else [line]
        if err and len(pieces) == 1 and not isinstance(line, Painted):
            pieces = _with_painted_beginning(str(pieces[0]))
        click.echo("".join(_shown(piece, colours) for piece in pieces), err=err, color=colours)


def has_colours(stream: TextIO) -> bool:
    """Whether colours belong there: in a terminal that knows them. NO_COLOR takes them away, FORCE_COLOR gives them to files."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return os.environ.get("TERM") != "dumb" and stream.isatty()


def aligned(rows: Sequence[Iterable[object]]) -> list[list[object]]:
    """Rows as lines with aligned columns, for ``say``."""
    cells = [list(row) for row in rows]
    widths = [max(len(str(cell)) for cell in column) for column in zip(*cells, strict=True)]
    return [_padded(row, widths) for row in cells]


def _padded(row: Sequence[object], widths: Sequence[int]) -> list[object]:
    last = max((index for index, cell in enumerate(row) if str(cell)), default=0)
    line: list[object] = []
    for cell, width in zip(row[:last], widths, strict=False):
        line += [cell, " " * (width - len(str(cell)) + 2)]
    return [*line, row[last]]


def _with_painted_beginning(line: str) -> list[object]:
    beginning, space, rest = line.partition(" ")
    colour = _BEGINNINGS.get(beginning)
    return [line] if colour is None else [painted(beginning, colour), space, rest]


def _shown(piece: object, colours: bool) -> str:
    text = printable(str(piece))
    return f"\x1b[{_CODES[piece.colour]}m{text}\x1b[0m" if colours and isinstance(piece, Painted) else text
