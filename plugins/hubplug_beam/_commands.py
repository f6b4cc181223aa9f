"""``hubplug apply``: exit status 0 when every row was written, 1 when some were not, 2 when it could not be done."""

from __future__ import annotations

from functools import partial

import click

from hubplug.cli.commands import HANDLE, current_hub, example, print_json
from hubplug.shown.terminal import say

_MOST_NAMED = 5


class _Pair(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    name = "pair"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, equals, column = value.partition("=")
        if not (key and equals and column):
            self.fail(f"{value!r} is not INPUT=COLUMN", param, ctx)
        return key, column


@click.command(
    epilog=example(
        "hubplug apply HANDLE --input=in/*.txt --output=out/*.parquet",
        "hubplug apply HANDLE --input=in/* --column text=body --output=out/*.jsonl",
    )
)
@click.argument("handle", type=HANDLE)
@click.option(
    "--input", "pattern", required=True, metavar="PATTERN", help="Files to read: a path or URL, with * and **."
)
@click.option(
    "--output",
    required=True,
    metavar="PATTERN",
    help="Files to write: * becomes the number; *.jsonl, csv, parquet or tfrecord.",
)
@click.option("--signature", metavar="NAME", help="The signature to apply; default, or serving_default, if not given.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag of the graph variant; may be repeated.")
@click.option(
    "--column",
    "columns",
    type=_Pair(),
    multiple=True,
    metavar="INPUT=COLUMN",
    help="The column that an input takes; may be repeated. The one of its name if not given.",
)
@click.option("--keep", multiple=True, metavar="COLUMN", help="Write this column of the input, too; may be repeated.")
@click.option("--as-dict", is_flag=True, help="Write all outputs of the signature, not default alone.")
@click.option("--select", multiple=True, metavar="OUTPUT", help="Write this output of the signature; may be repeated.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv", "parquet", "tfrecord", "text", "images"]),
    help="Of the input; by the names of the files if not given.",
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=256, show_default=True, help="The most rows in a batch."
)
@click.option(
    "--padding",
    type=click.Choice(["none", "powers", "full"]),
    default="none",
    show_default=True,
    help="Fill batches up to powers of two, or all to the batch size, so that there are few shapes.",
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes on this machine.")
@click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads of TensorFlow in each process."
)
@click.option(
    "--split",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    metavar="MIB",
    help="Cut larger files into ranges, where their format can be cut.",
)
@click.option("--resume", is_flag=True, help="Go on with a job that ended early: do what is missing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON, on standard output.")
@click.argument("beam_options", nargs=-1, type=click.UNPROCESSED, metavar="[-- BEAM OPTIONS]")
@click.pass_context
def apply(
    ctx: click.Context,
    handle: str,
    pattern: str,
    output: str,
    signature: str | None,
    tags: tuple[str, ...],
    columns: tuple[tuple[str, str], ...],
    keep: tuple[str, ...],
    as_dict: bool,
    select: tuple[str, ...],
    form: str | None,
    batch_size: int,
    padding: str,
    workers: int,
    threads: int,
    split: int,
    resume: bool,
    as_json: bool,
    beam_options: tuple[str, ...],
) -> None:
    """Apply a module to files of rows: each file becomes a file of outputs, on Apache Beam.

    On this machine by default, in one process or several; on any runner of Beam by its own options, after --. A file of
    the output appears whole or not at all. Rows that fail are left out, and stand with the reason in a file of the same name and
    .failed; the exit status is then 1.
    """
    # Not at the top: `hubplug --help` loads this file.
    from hubplug_beam import _running
    from hubplug_beam._jobs import Wish, plan_job

    _running.check_options(beam_options, workers)
    wish = Wish(
        handle,
        pattern,
        output,
        signature,
        dict(columns),
        form,
        as_dict,
        select,
        keep,
        tags,
        batch_size,
        padding,
        split << 20,
        resume,
    )
    job = plan_job(current_hub(), wish)
    there = len(job.parts) - len(job.missing)
    if there:
        say(f"{there:,} of {len(job.parts):,} shards are there already", err=True)
    if job.missing:
        job.start()
        show_log = bool(ctx.find_root().params.get("traceback"))
        done = _running.run(job, beam_options, workers, threads, partial(say, err=True), show_log)
        start = f", of which {done.waited:.1f} s to start" if done.waited else ""
        rate = done.rows / max(done.seconds - done.waited, 1e-9)
        shards = f"{len(job.missing):,} {'shard' if len(job.missing) == 1 else 'shards'}"
        say(f"{done.rows:,} rows in {shards}: {done.seconds:.1f} s{start}; {rate:,.0f} rows/s", err=True)
    else:
        done = _running.Done(0, 0, 0.0, 0.0)
    left = job.still_missing()
    for part in left[:_MOST_NAMED]:
        say(f"warning: no shard of {part}: {job.reason_for(part) or 'its worker did not say why'}", err=True)
    if left:
        say(f"hint: {len(left):,} shards are missing: mend these files, then --resume", err=True)
    if done.failed:
        say(f"warning: {done.failed:,} rows failed; *.failed beside the shards says which, and why", err=True)
    if as_json:
        shards_now = {"shards": len(job.parts) - len(left), "there_before": there, "missing": len(left)}
        times = {"seconds": round(done.seconds, 3), "seconds_to_start": round(done.waited, 3)}
        print_json({"rows": done.rows, "failed": done.failed, **shards_now, **times})
    ctx.exit(1 if left or done.failed else 0)
