"""``hubplug mirror``."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import click

from hubplug.cli.commands import HANDLE, current_hub, example, for_machines, print_json
from hubplug.errors import ConfigError
from hubplug.shown.terminal import painted, say

_MOST_JOBS = 8


@click.command(
    epilog=example(
        "hubplug mirror https://models.example/publisher/model/1 ./mirror",
        "hubplug mirror --from handles.txt --json ./mirror > report.json",
        "hubplug serve ./mirror",
    )
)
@click.argument("handles", nargs=-1, metavar="[HANDLE...]", type=HANDLE)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--from",
    "listed",
    type=click.File(encoding="utf-8", lazy=True),
    metavar="FILE",
    help="A file with one handle in each line; - stands for standard input.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, _MOST_JOBS),
    default=2,
    show_default=True,
    help="How many modules are saved at once.",
)
@for_machines()
@click.pass_context
def mirror(
    ctx: click.Context, handles: tuple[str, ...], directory: Path, listed: TextIO | None, jobs: int, form: str
) -> None:
    """Save modules while their servers still answer, as a tree that can be served.

    DIR/publisher/model/1.tar.gz is the module of https://models.example/publisher/model/1; 1.provenance.json beside it
    says where it came from, with digests and signatures, and 1.md is its page. What is there is kept: the same command, run
    again, gets only what is missing. Exit status 1 if something could not be had.
    """
    from hubplug_hosting._mirroring import mirror as save

    wanted = [*handles, *_handles_in(listed)]
    if not wanted:
        raise click.UsageError("name handles, or give --from")
    results = []
    for result in save(current_hub(), wanted, directory, jobs):
        results.append(result)
        if form == "json":
            continue
        if result.state == "failed":
            say(f"error: {result.handle}: {result.error}", *([f"hint: {result.hint}"] if result.hint else []), err=True)
        else:
            say([painted(f"{result.state:5}", "green"), f"  {directory / str(result.path)}  {result.handle}"])
    counts = Counter(result.state for result in results)
    if form == "json":
        print_json([asdict(result) for result in results])
    else:
        say(
            f"{directory}: {counts['saved']} saved, {counts['there']} there already, {counts['failed']} could not be had"
        )
    ctx.exit(int(bool(counts["failed"])))


def _handles_in(listed: TextIO | None) -> list[str]:
    if listed is None:
        return []
    try:
        lines = [line.strip() for line in listed]
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{listed.name} is not UTF-8 text", hint="give a file with one handle in each line"
        ) from error
    return [line for line in lines if line and not line.startswith("#")]
