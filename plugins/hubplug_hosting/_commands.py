"""``hubplug pack`` and ``hubplug serve``."""

from __future__ import annotations

import signal
import threading
from dataclasses import asdict
from pathlib import Path

import click

from hubplug.cli.commands import example, for_machines, print_json
from hubplug.shown.terminal import say


@click.command(epilog=example("hubplug pack ./model -o models/publisher/model/1.tar.gz"))
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(), help="The archive: model.tar.gz")
@click.option("--force", is_flag=True, help="Replace the archive if it exists.")
@click.option("--compress", is_flag=True, help="Make it smaller; its bytes then depend on this Python's zlib.")
@for_machines()
def pack(directory: Path, output: str, force: bool, compress: bool, form: str) -> None:
    """Make the archive of a module, as a server would send it.

    The same module gives the same bytes on every machine, so that its digest can be published and pinned.
    """
    # Not at the top: `hubplug --help` loads this file.
    from hubplug_hosting._packing import pack_module

    packed = pack_module(directory, output, force=force, compress=compress)
    if form == "json":
        print_json({**asdict(packed), "path": str(packed.path)})
        return
    say(f"{packed.path}: {packed.size:,} bytes ({packed.files} files of {packed.content_size:,} bytes)")
    say(f"sha256 {packed.sha256}")
    say(f"pin it with HANDLE#sha256={packed.sha256}")


@click.command(epilog=example("hubplug serve models --port 8080"))
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="0, the default: any free one.")
@click.option(
    "--gs", "gs_location", metavar="gs://BUCKET/PATH", help="Where the same tree is, for uncompressed requests."
)
def serve(root: Path, host: str, port: int, gs_location: str | None) -> None:
    """Serve a tree of modules over HTTP, to clients of hubplug and of tensorflow_hub.

    ROOT/publisher/model/1, a module directory or an archive (1.tar.gz), is what http://HOST:PORT/publisher/model/1 names.
    """
    from hubplug_hosting._server import ModuleServer

    stop = threading.Event()
    previous = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ModuleServer(root, host=host, port=port, gs_location=gs_location) as server:
            count = server.count_modules()
            modules = "1 module" if count == 1 else f"{count} modules"
            say(f"Serving {root} on {server.url} ({modules}); stop with Ctrl-C")
            if not count:
                say(*_how_to_add(root))
            stop.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _how_to_add(root: Path) -> tuple[str, ...]:
    return (
        f"{root} holds no module yet, so there is nothing to request. Put one at PUBLISHER/MODEL/VERSION below it:",
        f"  module.export({str(root / 'publisher/model/1')!r}, session)",
        f"  or: mkdir -p {root / 'publisher/model'} && hubplug pack DIRECTORY -o {root / 'publisher/model/1.tar.gz'}",
        "It is served without a restart.",
    )
