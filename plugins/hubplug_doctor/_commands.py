"""``hubplug doctor``: exit status 0 when nothing is wrong, 1 otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from hubplug.cli.commands import HANDLE, example, for_machines, print_json
from hubplug.shown.terminal import aligned, painted, say

_DEEPER = "  "


@click.command(
    epilog=example(
        "hubplug doctor",
        "hubplug doctor https://models.example/publisher/model/1",
        "hubplug doctor --json > doctor.json",
    )
)
@click.argument("handles", nargs=-1, metavar="[HANDLE...]", type=HANDLE)
@for_machines()
@click.pass_context
def doctor(ctx: click.Context, handles: tuple[str, ...], form: str) -> None:
    """Say on one page what a support ticket needs: versions, configuration, caches, credentials, TensorFlow.

    Nothing is fetched, and nothing on the page is a secret: of variables and credentials there is the name, and whether it
    is set. Of each HANDLE it says whether and how it would be resolved. Exit status 1 if something is wrong.
    """
    # Not at the top: `hubplug --help` loads this file.
    from hubplug_doctor._looking import look

    page = look(handles)
    if form == "json":
        print_json(page)
    else:
        for title, about in page.items():
            if about or title == "problems":
                say(painted(title.upper(), "bold"), *_lines(title, about), "")
    ctx.exit(int(bool(page["problems"])))


def _lines(title: str, about: Any) -> Iterator[object]:
    if title == "problems":
        yield from ([_DEEPER, painted(problem, "red")] for problem in about)
        if not about:
            yield [_DEEPER, painted("none", "green")]
    elif title == "plugins":
        rows = [(row["place"], row["name"], row["distribution"], "broken" if row["problem"] else "") for row in about]
        yield from ([_DEEPER, *line] for line in aligned(rows))
    elif title == "handles":
        for row in about:
            state = painted("cannot be used", "red") if row["problem"] else painted("can be resolved", "green")
            yield [f"{_DEEPER}{row['handle']}: ", state]
            yield from (f"{_DEEPER * 2}{step}" for step in row["way"])
    else:
        yield from _nested(about, _DEEPER)


def _nested(value: Any, indent: str) -> Iterator[object]:
    """Plain values as lines; what is empty is left out, and problems have a section of their own."""
    if not isinstance(value, Mapping):
        yield from (f"{indent}{item}" for item in value)
        return
    for key, item in value.items():
        if item in (None, "", [], {}) or key == "problems":
            continue
        name = str(key).replace("_", " ") if str(key).isidentifier() and str(key).islower() else key
        if isinstance(item, Mapping) or (isinstance(item, list) and any(isinstance(one, Mapping) for one in item)):
            yield f"{indent}{name}:"
            yield from _nested(item, indent + _DEEPER)
        else:
            shown = ", ".join(map(str, item)) if isinstance(item, (list, tuple)) else item
            yield f"{indent}{name}: {shown}"
