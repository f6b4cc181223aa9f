"""The table of figures: which is compared with what, which ratio is aimed at, and whether it was reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

OURS, THEIRS = "hubplug", "tensorflow_hub"

Figures = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Target:
    """What is aimed at.

    Attributes:
        kind: ``less``: the reference is at least ``value`` times ours. ``times``: ours is at most ``value`` times the
            reference. ``below``: ours is at most ``value`` in its unit.
        value: Of the ratio, or of the figure in its unit.
    """

    kind: Literal["less", "times", "below"]
    value: float

    def text(self, unit: str) -> str:
        if self.kind == "less":
            return f">= {self.value:,g} x less"
        if self.kind == "times":
            return f"<= {self.value:,g} x"
        return f"<= {self.value:,g} {unit}".rstrip()


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        title: With fields for the sizes of the workload.
        ours: Measurement, library or program, and figure.
        reference: The same of what it is compared with, or None.
        name: What the reference is called.
        unit: ``s``, ``ms``, ``MB`` or nothing; figures are in seconds and bytes.
        target: None where no ratio is aimed at.
    """

    title: str
    ours: tuple[str, str, str]
    reference: tuple[str, str, str] | None
    name: str = ""
    unit: str = "s"
    target: Target | None = None


def _beside(measurement: str, figure: str, title: str, unit: str = "s", target: Target | None = None) -> Row:
    """A row that compares the same figure of the two libraries."""
    return Row(title, (measurement, OURS, figure), (measurement, THEIRS, figure), THEIRS, unit, target)


def _less(value: float) -> Target:
    return Target("less", value)


_FLOOR = Target("times", 1.2)
_REQUESTS = ("start", "import requests", "start")
_CALLS = ("apply", OURS, "default_calls")

ROWS = (
    _beside("author", "create_module_spec", "create_module_spec", "s", _less(1)),
    _beside("author", "besides_module_fn", "the same, besides module_fn", "s", _less(1)),
    _beside("author", "export", "export", "s", _less(1)),
    _beside("author", "load_module_spec", "load_module_spec", "s", _less(1)),
    _beside("apply", "module", "Module()", "s", _less(5)),
    _beside("apply", "module_ops", "Module(): ops", "", _less(5)),
    _beside("trainable", "module", "Module(trainable=True)", "s", _less(5)),
    _beside("trainable", "module_ops", "Module(trainable=True): ops", "", _less(4)),
    _beside("trainable", "call", "one call of it, with update ops"),
    _beside("apply", "default_calls", "{calls} calls of `default`", "s", _less(10)),
    Row(
        "the same",
        _CALLS,
        ("bare-import", OURS, "default_calls"),
        "bare tf.import_graph_def",
        "s",
        Target("times", 1.3),
    ),
    _beside("apply", "default_ops", "the same: ops", ""),
    _beside("apply", "first_calls", "{calls} calls of `first`", "s", _less(1000)),
    _beside("apply", "first_ops", "the same: ops", ""),
    _beside("apply", "initialize", "first run of the initializers", "s", _less(10)),
    _beside("apply", "peak_memory", "peak memory of all that", "MB", _less(4)),
    _beside("initialize-one", "initialize_one", "initializing one variable"),
    _beside("initialize-one", "bytes_read", "the same: read", "MB"),
    _beside("many", "late_call", "the {many_calls}th call ({many_layers} layers)"),
    Row(
        "the same", ("many", OURS, "late_call"), ("many", OURS, "early_call"), "an early one", "s", Target("times", 1.2)
    ),
    _beside("large-export", "export", "export of {export_megabytes} MB", "s", _less(1)),
    _beside("large-export", "export_memory", "the same: memory above before", "MB"),
    _beside("restore", "restore", "restore {restore_megabytes} MB in {variables} variables"),
    Row(
        "the same",
        ("restore", OURS, "restore"),
        ("restore", "saver", "restore"),
        "one Saver.restore",
        "s",
        Target("times", 1),
    ),
    Row("the same", ("restore", OURS, "restore"), ("read", "files", "read"), "reading the files", "s", _FLOOR),
    _beside("restore", "restore_again", "the same in the same session again"),
    Row("the same", ("restore", OURS, "restore_again"), ("read", "files", "read"), "reading the files", "s"),
    _beside("start", "start", "a process resolves a cached handle", "s", _less(15)),
    Row("the same", ("start", OURS, "start"), _REQUESTS, "import requests", "s", Target("times", 2)),
    Row("the same: processor", ("start", OURS, "processor"), (*_REQUESTS[:2], "processor"), "import requests"),
    Row(
        "hubplug resolve", ("start", "hubplug resolve", "start"), _REQUESTS, "import requests", "s", Target("times", 2)
    ),
    Row("hubplug --help", ("start", "hubplug --help", "start"), _REQUESTS, "import requests", "s", Target("times", 2)),
    _beside("again", "again", "a second resolve in one process", "ms", Target("below", 1)),
    _beside("download", "download", "download and unpack {megabytes} MB", "s", _less(2)),
    Row(
        "the same",
        ("download", OURS, "download"),
        ("download", "stages", "slowest"),
        "slowest stage",
        "s",
        Target("times", 1.25),
    ),
    _beside("download", "above_idle", "the same: memory above idle", "MB", Target("below", 100)),
    _beside("herd", "downloads", "8 processes, one handle: downloads", "", Target("below", 1)),
    _beside("herd", "longest_wait", "the same: wait after publishing", "s", Target("below", 0.25)),
)


def table(figures: Figures, sizes: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the table; rows whose workload was not run are left out."""
    yield f"{'figure':38}{'reference':>26}{'':>12}{'hubplug':>12}{'ratio':>16}{'target':>16}"
    for row in ROWS:
        ours = _find(figures, row.ours)
        if ours is None:
            continue
        theirs = _find(figures, row.reference)
        measured = "" if theirs is None else _shown(theirs, row.unit)
        line = f"{row.title.format(**sizes):38}{row.name if theirs is not None else '':>26}{measured:>12}"
        line += f"{_shown(ours, row.unit):>12}{_ratio(ours, theirs, row):>16}"
        if row.target is not None:
            line += f"{row.target.text(row.unit):>16}"
            line += {True: "", False: "  missed", None: ""}[_reached(ours, theirs, row)]
        yield line.rstrip()
    hashes = {found["output_sha256"] for found in figures.get("apply", {}).values()}
    if len(figures.get("apply", {})) > 1:
        yield f"outputs of the two are {'equal to the last bit' if len(hashes) == 1 else 'NOT equal'}"


def _find(figures: Figures, where: tuple[str, str, str] | None) -> float | None:
    if where is None:
        return None
    measurement, name, figure = where
    found: float | None = figures.get(measurement, {}).get(name, {}).get(figure)
    return found


def _ratio(ours: float, theirs: float | None, row: Row) -> str:
    if not ours or not theirs:
        return ""
    if row.name == THEIRS:
        return f"{theirs / ours:,.1f} x less"
    return f"{ours / theirs:,.2f} x"


def _reached(ours: float, theirs: float | None, row: Row) -> bool | None:
    assert row.target is not None
    if row.target.kind == "below":
        return ours / _SCALE[row.unit] <= row.target.value
    if theirs is None:
        return None
    return theirs >= row.target.value * ours if row.target.kind == "less" else ours <= row.target.value * theirs


_SCALE = {"s": 1, "ms": 1e-3, "MB": 1e6, "": 1}


def _shown(value: float, unit: str) -> str:
    if unit == "":
        return f"{value:,}"
    digits = 4 if unit == "s" and value < 10 else 2
    return f"{value / _SCALE[unit]:,.{digits}f} {unit}"
