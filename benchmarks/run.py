"""Runs the benchmarks against tensorflow_hub 0.15.0 where that can be imported, and prints ratios.

Each measurement is a process of its own, one after the other, so that libraries share nothing but the machine; of
several repeats the least is taken. Absolute times depend on the machine, the ratios hardly::

    python benchmarks/run.py                                    # 400 layers: several minutes, most of them the other's
    python benchmarks/run.py --workloads graph --layers 40 --json figures.json
    python benchmarks/run.py --workloads fetching --megabytes 100

Where matplotlib is installed, ``--plot FILE`` draws time and ops against calls and against layers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from typing import Any

import fetching
from report import OURS, THEIRS, table

GRAPH_SIDE = Path(__file__).with_name("graph_side.py")
LARGE_STATE = Path(__file__).with_name("large_state.py")
WORKLOADS = ("graph", "state", "fetching")

Figures = dict[str, dict[str, dict[str, Any]]]


def measure(
    script: Path, measurement: str, library: str, module: Path, repeats: int, sizes: Mapping[str, int]
) -> dict[str, Any]:
    """Runs one measurement of a script ``repeats`` times; of numbers the least."""
    runs = []
    for repeat in range(repeats):
        # `author` writes what the others read, and no library overwrites a module.
        place = module if measurement != "author" or repeat == 0 else module.with_name(f"{module.name}-{repeat}")
        arguments = [measurement, "--library", library, "--module", str(place)]
        for name, size in sizes.items():
            arguments += [f"--{name}", str(size)]
        done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"error: {measurement} with {library} failed\n{done.stderr}")
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    first = runs[0]
    return {key: min(run[key] for run in runs) if isinstance(first[key], (int, float)) else first[key] for key in first}


def run_graph_side(options: argparse.Namespace, libraries: Sequence[str]) -> Figures:
    """Figures by measurement, then by library."""
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)

        def run(measurement: str, library: str, module: str, layers: int, calls: int) -> None:
            print(f"{measurement}, {layers} layers, {library} ...", file=sys.stderr, flush=True)
            sizes = {"layers": layers, "calls": calls}
            found = measure(GRAPH_SIDE, measurement, library, work / module, options.repeats, sizes)
            figures.setdefault(measurement, {})[library] = found

        for library in libraries:
            run("author", library, library, options.layers, options.calls)
        # From here on all load the same files, so that their outputs can be compared.
        for measurement in ("apply", "trainable", "initialize-one"):
            for library in libraries:
                run(measurement, library, OURS, options.layers, options.calls)
        run("bare-import", OURS, OURS, options.layers, options.calls)
        measure(GRAPH_SIDE, "author", OURS, work / "many", 1, {"layers": options.many_layers})
        for library in libraries:
            run("many", library, "many", options.many_layers, options.many_calls)
    return figures


def run_large_state(options: argparse.Namespace, libraries: Sequence[str]) -> Figures:
    """Figures of restoring and of exporting, each beside what it is compared with."""
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)

        def run(measurement: str, library: str, module: str, megabytes: int) -> dict[str, Any]:
            print(f"{measurement}, {megabytes} MB of variables, {library} ...", file=sys.stderr, flush=True)
            sizes = {"variables": options.variables, "megabytes": megabytes}
            return measure(LARGE_STATE, measurement, library, work / module, options.repeats, sizes)

        for library in libraries:
            figures.setdefault("large-export", {})[library] = run("author", library, library, options.export_megabytes)
            rmtree(work / library)
        run("author", OURS, "restored", options.restore_megabytes)
        for library in (*libraries, "saver"):
            figures.setdefault("restore", {})[library] = run("restore", library, "restored", options.restore_megabytes)
        figures["read"] = {"files": run("read", OURS, "restored", options.restore_megabytes)}
    return figures


def run_layers(layers: Sequence[int], calls: int, libraries: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """What ``apply`` costs with growing modules, by library: for the plot."""
    series: dict[str, list[dict[str, Any]]] = {library: [] for library in libraries}
    with tempfile.TemporaryDirectory() as directory:
        for count in layers:
            module = Path(directory) / str(count)
            measure(GRAPH_SIDE, "author", OURS, module, 1, {"layers": count})
            for library in libraries:
                print(f"apply, {count} layers, {library} ...", file=sys.stderr, flush=True)
                found = measure(GRAPH_SIDE, "apply", library, module, 1, {"layers": count, "calls": calls})
                series[library].append({"layers": count, **found})
    return series


def versions(names: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=WORKLOADS)
    parser.add_argument("--layers", type=int, default=400)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--many-layers", type=int, default=20, help="layers of the module that is called many times")
    parser.add_argument("--many-calls", type=int, default=200)
    parser.add_argument("--variables", type=int, default=2000, help="of the modules that are restored and exported")
    parser.add_argument("--restore-megabytes", type=int, default=1000, help="size of the variables that are restored")
    parser.add_argument("--export-megabytes", type=int, default=2000, help="size of the variables that are exported")
    parser.add_argument("--megabytes", type=int, default=500, help="size of the weights that are downloaded")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--only-hubplug", action="store_true", help="leave tensorflow_hub out although it is there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write every figure")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="where to draw the graph side, as PNG")
    parser.add_argument("--plot-layers", type=int, nargs="+", default=[10, 20, 40, 80])
    options = parser.parse_args()
    if options.plot and find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib")
    if options.plot and "graph" not in options.workloads:
        parser.error("--plot draws the workload graph, which is not to be run")
    return options


def main() -> None:
    options = parse_options()
    # What pip installs has its bytecode; an editable installation writes it at its first import.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    known = versions(["hubplug", "tensorflow-hub", "tensorflow", "tensorflow-cpu", "numpy", "requests"])
    compared = find_spec(THEIRS) is not None and known.get("tensorflow-hub", "").startswith("0.15.")
    libraries = [OURS, THEIRS] if compared and not options.only_hubplug else [OURS]
    if not compared:
        print("tensorflow_hub 0.15 is not installed here: no ratios", file=sys.stderr)
    figures: Figures = {}
    if "graph" in options.workloads:
        figures |= run_graph_side(options, libraries)
    if "state" in options.workloads:
        figures |= run_large_state(options, libraries)
    if "fetching" in options.workloads:
        print(f"fetching, {options.megabytes} MB ...", file=sys.stderr, flush=True)
        figures |= fetching.run_all(options.megabytes, options.repeats, libraries)
    print(*table(figures, vars(options)), sep="\n")
    if options.json:
        sizes = ("workloads", "layers", "calls", "many_layers", "many_calls", "variables", "restore_megabytes")
        sizes += ("export_megabytes", "megabytes", "repeats")
        machine = {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
        if hasattr(os, "getloadavg"):
            machine["load"] = round(os.getloadavg()[2], 1)
        report = {key: getattr(options, key) for key in sizes}
        report |= {"machine": machine, "versions": known, "figures": figures}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.plot:
        from plot import draw

        draw(options.plot, figures["many"], run_layers(options.plot_layers, options.calls, libraries), vars(options))


if __name__ == "__main__":
    main()
