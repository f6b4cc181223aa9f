"""The subcommand ``run``."""

from __future__ import annotations

import sys
import traceback

import click

from hubplug.errors import HubplugError


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--tf1", is_flag=True, help="Let `import tensorflow` give TensorFlow 1's API.")
@click.option("-m", "as_module", is_flag=True, help="SCRIPT is the name of a module, as for python -m.")
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(tf1: bool, as_module: bool, script: str, arguments: tuple[str, ...]) -> None:
    """Run a program that was written for tensorflow_hub, unmodified."""
    from hubplug_compat._running import prepare, run_program

    if advice := prepare(script, arguments, as_module=as_module, tf1=tf1):
        click.echo(f"hubplug: {advice}", err=True)
    try:
        run_program(script, as_module=as_module)
    except HubplugError:
        # The program's own failure, so its traceback, as Python would print it.
        traceback.print_exc()
        sys.exit(1)
