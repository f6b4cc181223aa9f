"""``hubplug convert``: exit status 0 for a result that was kept, 1 for one that is not the same, 2 when it could not be tried."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import click

from hubplug.cli.commands import HANDLE, Completed, current_hub, example, for_machines
from hubplug.shown.terminal import say

if TYPE_CHECKING:
    from hubplug.hub import Hub


def _targets(_: Hub) -> Iterable[str]:
    from hubplug_convert._conversions import all_targets

    return all_targets()


_TARGET = Completed(_targets)


@click.command(
    epilog=example(
        "hubplug convert https://models.example/publisher/model/1 ./saved_model",
        "hubplug convert https://models.example/publisher/model/1 ./onnx --to onnx",
        "hubplug convert ./tf1_saved_model ./module --to tf1-hub",
        "hubplug convert ./frozen.pb ./module --input x=x:0 --output default=y:0",
    )
)
@click.argument("handle", type=HANDLE)
@click.argument("out", type=click.Path())
@click.option(
    "--to", metavar="TARGET", type=_TARGET, help="What to make: saved-model, onnx, tf1-hub, or what a plugin adds."
)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag of the graph variant; may be repeated.")
@click.option(
    "--signature",
    "signatures",
    multiple=True,
    metavar="NAME",
    help="Convert this one; may be repeated. All if not given.",
)
@click.option(
    "--input", "inputs", multiple=True, metavar="NAME=TENSOR", help="An input of a frozen graph: text=Placeholder:0."
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="NAME=TENSOR",
    help="An output of a frozen graph: default=embedding:0.",
)
@click.option(
    "--example",
    "examples",
    multiple=True,
    metavar="[SIGNATURE=]FILE",
    help="An .npz file with an array for each input, to be compared with as well as the generated inputs.",
)
@click.option(
    "--finite",
    is_flag=True,
    help="Inputs never have infinities, NaN or numbers near the largest: leave them out of what is compared.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="How long converting, and running each side, may take.",
)
@click.option(
    "--memory",
    type=click.IntRange(min=512),
    default=16384,
    show_default=True,
    metavar="MIB",
    help="How much memory each of these processes may take.",
)
@for_machines()
@click.pass_context
def convert(
    ctx: click.Context,
    handle: str,
    out: str,
    to: str | None,
    tags: tuple[str, ...],
    signatures: tuple[str, ...],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    examples: tuple[str, ...],
    finite: bool,
    timeout: float,
    memory: int,
    form: str,
) -> None:
    """Convert the model of HANDLE, and keep the result at OUT if it gives the same.

    A module in TF1 Hub format becomes a TF2 SavedModel that can be called, trained and served, or ONNX. A TF1 SavedModel, or a
    frozen graph (a file *.pb) of which --input and --output name the tensors, becomes a module in TF1 Hub format. Both
    source and result are then applied to generated inputs, and compared. Where a number differs by more than 1e-5, nothing is written, and the
    report names the signature and the output.

    This runs the program that the model is, in child processes with limits that get none of your credentials. They can
    read what you can read: convert what you trust, and look at the rest with `hubplug validate` first.
    """
    # Not at the top: `hubplug --help` loads this file.
    from hubplug_convert import _report
    from hubplug_convert._converting import Wish, convert

    wish = Wish(to, tags, signatures, inputs, outputs, examples, timeout, memory, finite, partial(say, err=True))
    report = convert(current_hub(), handle, out, wish)
    if form == "json":
        click.echo(_report.as_json(report))
    else:
        say(*_report.as_text(report))
    ctx.exit(0 if report.is_kept else 1)
