"""The subcommand ``run``."""

from __future__ import annotations

import click

from hubplug.cli.commands import example
from hubplug.shown.terminal import say


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog=example("hubplug run train.py --steps 100", "hubplug run --tf1 train.py", "hubplug run -m project.train"),
)
@click.option("--tf1", is_flag=True, help="Let `import tensorflow` give TensorFlow 1's API.")
@click.option("-m", "as_module", is_flag=True, help="SCRIPT is the name of a module, as for python -m.")
@click.argument("script", type=click.Path())
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(tf1: bool, as_module: bool, script: str, arguments: tuple[str, ...]) -> None:
    """Run a program that was written for tensorflow_hub, unmodified."""
    from hubplug_compat._running import become, choose_keras, find_problem, keep_tensorflow_quiet

    if not as_module and (problem := find_problem(script)):
        raise problem
    keep_tensorflow_quiet()
    if advice := choose_keras():
        say(f"hubplug: {advice}", err=True)
    become([*(["-m"] if as_module else []), script, *arguments], tf1=tf1)
