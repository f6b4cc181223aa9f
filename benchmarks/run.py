"""Runs the benchmarks against tensorflow_hub 0.15.0 where that can be imported, and prints ratios.

Each measurement is a process of its own, one after the other, so that libraries share nothing but the machine; of
several repeats the least is taken. Absolute times depend on the machine, the ratios hardly::

    python benchmarks/run.py                                    # 400 layers: several minutes, most of them the other's
    python benchmarks/run.py --layers 40 --json figures.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

GRAPH_SIDE = Path(__file__).with_name("graph_side.py")
OURS, THEIRS = "hubplug", "tensorflow_hub"

# measurement, figure, title, unit: the rows of the table
ROWS = [
    ("author", "create_module_spec", "create_module_spec", "s"),
    ("author", "export", "export", "s"),
    ("author", "load_module_spec", "load_module_spec", "s"),
    ("apply", "module", "Module()", "s"),
    ("apply", "module_ops", "Module(): ops", ""),
    ("trainable", "module", "Module(trainable=True)", "s"),
    ("trainable", "module_ops", "Module(trainable=True): ops", ""),
    ("trainable", "call", "one call of it, with update ops", "s"),
    ("apply", "default_calls", "{calls} calls of `default`", "s"),
    ("apply", "default_ops", "{calls} calls of `default`: ops", ""),
    ("apply", "first_calls", "{calls} calls of `first`", "s"),
    ("apply", "first_ops", "{calls} calls of `first`: ops", ""),
    ("apply", "initialize", "first run of the initializers", "s"),
    ("apply", "peak_memory", "peak memory of all that", "MiB"),
    ("initialize-one", "initialize_one", "initializing one variable", "s"),
    ("initialize-one", "bytes_read", "initializing one variable: read", "MiB"),
    ("many", "early_call", "an early call ({many_layers} layers)", "s"),
    ("many", "late_call", "the {many_calls}th call ({many_layers} layers)", "s"),
]


def measure(measurement: str, library: str, module: Path, layers: int, calls: int, repeats: int) -> dict[str, Any]:
    """Runs one measurement ``repeats`` times; of numbers the least."""
    command = [sys.executable, str(GRAPH_SIDE), measurement, "--library", library]
    runs = []
    for repeat in range(repeats):
        # `author` writes what the others read, and no library overwrites a module.
        place = module if measurement != "author" or repeat == 0 else module.with_name(f"{module.name}-{repeat}")
        done = subprocess.run(
            [*command, "--module", str(place), "--layers", str(layers), "--calls", str(calls)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"error: {measurement} with {library} failed\n{done.stderr}")
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    first = runs[0]
    return {key: min(run[key] for run in runs) if isinstance(first[key], (int, float)) else first[key] for key in first}


def run_all(options: argparse.Namespace, libraries: list[str]) -> dict[str, dict[str, Any]]:
    """Figures by measurement, then by library."""
    figures: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)

        def run(measurement: str, library: str, module: str, layers: int, calls: int) -> None:
            print(f"{measurement}, {layers} layers, {library} ...", file=sys.stderr, flush=True)
            found = measure(measurement, library, work / module, layers, calls, options.repeats)
            figures.setdefault(measurement, {})[library] = found

        for library in libraries:
            run("author", library, library, options.layers, options.calls)
        # From here on all load the same files, so that their outputs can be compared.
        for measurement in ("apply", "trainable", "initialize-one"):
            for library in libraries:
                run(measurement, library, OURS, options.layers, options.calls)
        run("bare-import", OURS, OURS, options.layers, options.calls)
        measure("author", OURS, work / "many", options.many_layers, 1, 1)
        for library in libraries:
            run("many", library, "many", options.many_layers, options.many_calls)
    return figures


def print_table(figures: dict[str, dict[str, Any]], options: argparse.Namespace) -> None:
    """Prints what was measured, and how often ours goes into theirs."""
    compared = THEIRS in figures["apply"]
    print(f"{'':38}{OURS:>14}" + (f"{THEIRS:>16}{'ratio':>10}" if compared else ""))
    for measurement, figure, title, unit in ROWS:
        ours = figures[measurement][OURS][figure]
        line = f"{title.format(**vars(options)):38}{in_unit(ours, unit):>14}"
        if compared:
            theirs = figures[measurement][THEIRS][figure]
            line += f"{in_unit(theirs, unit):>16}{f'{theirs / ours:,.1f}' if ours else '':>10}"
        print(line)
    bare = figures["bare-import"][OURS]
    apply = figures["apply"][OURS]
    print()
    for signature in ("default", "first"):
        calls, floor = apply[f"{signature}_calls"], bare[f"{signature}_calls"]
        print(
            f"{options.calls} calls of `{signature}` take {calls / floor:.2f} times a bare tf.import_graph_def of the same "
            f"{bare[f'{signature}_nodes']:,} nodes ({floor:.4g} s)"
        )
    for library, found in figures["many"].items():
        print(f"the {options.many_calls}th call takes {found['late_to_early']:.2f} times an early one with {library}")
    if compared:
        same = len({found["output_sha256"] for found in figures["apply"].values()}) == 1
        print(f"outputs of the two are {'equal to the last bit' if same else 'NOT equal'}")


def in_unit(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value:,.4f} s"
    if unit == "MiB":
        return f"{value / 2**20:,.1f} MiB"
    return f"{value:,}"


def versions(names: list[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--layers", type=int, default=400)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--many-layers", type=int, default=20, help="layers of the module that is called many times")
    parser.add_argument("--many-calls", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--only-hubplug", action="store_true", help="leave tensorflow_hub out although it is there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write every figure")
    options = parser.parse_args()
    known = versions(["hubplug", "tensorflow-hub", "tensorflow", "tensorflow-cpu", "numpy"])
    compared = find_spec(THEIRS) is not None and known.get("tensorflow-hub", "").startswith("0.15.")
    libraries = [OURS, THEIRS] if compared and not options.only_hubplug else [OURS]
    if not compared:
        print("tensorflow_hub 0.15 is not installed here: no ratios", file=sys.stderr)
    figures = run_all(options, libraries)
    print_table(figures, options)
    if options.json:
        workload = {key: getattr(options, key) for key in ("layers", "calls", "many_layers", "many_calls", "repeats")}
        machine = {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
        report = {"workload": "graph side", **workload, "machine": machine, "versions": known, "figures": figures}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
