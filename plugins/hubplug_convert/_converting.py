"""The way of a conversion: written to one side, compared with its source, and only then put in its place."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hubplug.errors import ConfigError, ExportError
from hubplug.hub import Hub
from hubplug.types import Handle
from hubplug.urls import scheme_of
from hubplug_convert._contract import Request
from hubplug_convert._conversions import choose_target
from hubplug_convert._examples import read_examples
from hubplug_convert._report import Report
from hubplug_convert._running import Workshop
from hubplug_convert._sources import (
    describe,
    find_tensors_error,
    generate_cases,
    parse_tensors,
    validate_as_configured,
)
from hubplug_convert._verifying import verify
from hubplug_format import SAVED_MODEL_FILE


@dataclass(frozen=True)
class Wish:
    """What the user asked for; see the options of the command."""

    to: str | None = None
    tags: Sequence[str] = ()
    signatures: Sequence[str] = ()
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    examples: Sequence[str] = ()
    timeout: float = 600.0
    memory_mib: int = 16384
    finite: bool = False
    tell: Callable[[str], None] = lambda said: None


class _NotTheSameError(Exception):
    """Ends the writing of a result that is not to be kept."""


def convert(hub: Hub, handle: str, out: str, wish: Wish) -> Report:
    """Converts what a handle names, or a frozen graph; see ``hubplug convert --help``.

    Returns:
        What was found; nothing was written where it has problems.

    Raises:
        HubplugError: It cannot be had, converted, run or written.
    """
    graph = Path(handle)
    if graph.suffix == ".pb" and graph.is_file():
        return _convert_graph(hub, graph, out, wish)
    if wish.inputs or wish.outputs:
        raise ConfigError(
            "--input and --output are for frozen graphs (a file *.pb): a module or SavedModel has signatures",
            hint="leave them out; --signature chooses signatures",
        )
    shown = str(Handle.parse(handle))
    return hub.use_spec(
        handle,
        lambda spec: _convert_directory(
            hub, Path(getattr(spec, "directory", None) or hub.resolve(handle).path), shown, out, wish
        ),
    )


def _convert_graph(hub: Hub, graph: Path, out: str, wish: Wish) -> Report:
    if (graph.parent / SAVED_MODEL_FILE).exists():
        raise ConfigError(f"{graph} is a file of a module or SavedModel", hint=f"give its directory: {graph.parent}")
    # Before anything is run.
    choose_target("tf1-saved-model", wish.to, "a frozen graph")
    inputs, outputs = parse_tensors(wish.inputs, "--input"), parse_tensors(wish.outputs, "--output")
    if error := find_tensors_error(graph, inputs, outputs):
        raise error
    with tempfile.TemporaryDirectory(prefix="hubplug-convert-") as folder:
        directory = Path(folder) / "model"
        request = Request(directory, "tf1-saved-model", frozenset({"serve"}), ("default",))
        workshop = Workshop(None, request, Path(folder), wish.timeout, wish.memory_mib)
        workshop.freeze(graph.absolute(), inputs, outputs)
        # What the configuration demands of the place of the graph, the program in it has to keep.
        spec = Hub({"chain": ["file", "tf1", "savedmodel"]}).load_spec(str(directory))
        validate_as_configured(hub, graph, spec)
        return _convert_directory(hub, directory, str(graph), out, wish, "a frozen graph")


def _convert_directory(hub: Hub, directory: Path, shown: str, out: str, wish: Wish, said: str | None = None) -> Report:
    request, variant = describe(directory.absolute(), wish.tags, wish.signatures)
    entry_point = choose_target(request.format, wish.to, said)
    if not scheme_of(out) and request.source in Path(out).absolute().parents:
        raise ConfigError(f"{out} lies in the source, {request.source}", hint="choose a directory beside it")
    examples = read_examples(wish.examples, {name: variant.signatures[name] for name in request.signatures})
    cases = [case for case in generate_cases(request, variant, examples) if not (wish.finite and case.is_extreme)]
    report = Report(shown, request.format, entry_point.name.partition(".")[2], out, wish.finite)

    def write(dest: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="hubplug-convert-") as folder:
            workshop = Workshop(entry_point, request, Path(folder), wish.timeout, wish.memory_mib)
            wish.tell(f"converting {shown} to {report.target} ...")
            report.notes = workshop.convert(dest)
            if not any(dest.iterdir()):
                raise ExportError(f"The conversion to {report.target} wrote nothing", hint="a mistake of its plugin")
            wish.tell(f"comparing what both give for {len(cases)} inputs ...")
            report.verification = verify(workshop, dest, cases)
        if not report.is_kept:
            raise _NotTheSameError

    try:
        hub.put(out, write)
    except _NotTheSameError:
        if report.is_kept:
            raise
    return report
