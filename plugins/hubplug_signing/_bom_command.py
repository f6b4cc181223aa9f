"""``hubplug bom``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hubplug.cli.commands import HANDLE, current_hub, example, print_json
from hubplug.shown.terminal import say


@click.command(
    epilog=example(
        "hubplug bom https://models.example/publisher/model/1 -o model.cdx.json",
        "hubplug bom ./model --license Apache-2.0",
    )
)
@click.argument("handle", type=HANDLE)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it there; else it is printed."
)
@click.option(
    "--license", "license", metavar="EXPRESSION", help="Its licence, as SPDX writes it; else what the module says."
)
def bom(handle: str, output: Path | None, license: str | None) -> None:
    """Write the bill of materials of a module: CycloneDX 1.6, as JSON.

    It has a model card with the inputs and outputs, every file with its digest, the licence, where the module came from, and what the
    profiles find. The same module gives the same bytes; SOURCE_DATE_EPOCH sets its time.
    """
    # Not at the top: `hubplug --help` loads this file.
    from hubplug.errors import ExportError
    from hubplug.files.staging import replace_file
    from hubplug_signing._bom import bill_of_materials

    bill = bill_of_materials(current_hub(), handle, license)
    if output is None:
        print_json(bill)
        return
    try:
        with replace_file(output) as file:
            file.write(f"{json.dumps(bill, indent=2)}\n".encode())
    except OSError as error:
        raise ExportError(f"{output} cannot be written: {error.strerror}") from error
    say(f"{output}: CycloneDX 1.6")
