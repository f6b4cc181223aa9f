"""Measures ``hubplug_beam`` against a plain loop over the same batches: rows per second, the time to start, memory.

Each figure comes from a process of its own; what is compared runs one after the other, several times in turns, and the ratio is the median over
the turns, so that a machine that is busy disturbs both sides alike::

    python benchmarks/beam_files.py                              # the text module of the quickstart
    python benchmarks/beam_files.py --module path/to/DM21m --rows 4000 --json figures.json
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
ROOT = Path(__file__).resolve().parent.parent
BATCH = 256
RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
WORDS = [
    "the",
    "characters",
    "of",
    "a",
    "string",
    "are",
    "compared",
    "by",
    "value",
    "and",
    "returned",
    "as",
    "list",
    "if",
    "any",
    "object",
    "has",
    "been",
    "imported",
]


def make_text_module(folder: Path) -> str:
    sys.path.insert(0, str(ROOT / "examples"))
    import quickstart

    return str(quickstart.publish(folder))


def write_inputs(folder: Path, module: str | None, files: int, rows: int) -> None:
    """Sentences, or for another module random numbers for each of its inputs, as Parquet."""
    import numpy as np

    random = np.random.default_rng(0)
    folder.mkdir()
    if module is None:
        for number in range(files):
            lines = (" ".join(random.choice(WORDS, 12)) for _ in range(rows))
            (folder / f"{number:03}.txt").write_text("\n".join(lines))
        return
    import pyarrow as pa
    from pyarrow import parquet

    import hubplug

    inputs = hubplug.load_module_spec(module).signatures()["default"].inputs
    for number in range(files):
        columns = {}
        for key, info in inputs.items():
            array = random.random((rows, *(info.shape or ())[1:]), np.float32)
            for length in array.shape[1:]:
                columns[key] = pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), length)
            columns.setdefault(key, pa.array(array.reshape(-1)))
        parquet.write_table(pa.table(columns), folder / f"{number:03}.parquet")


def plain_loop(module: str, source: Path, output: Path, way: str, threads: int) -> dict[str, float]:
    """What one writes by hand: read a file, apply batches, write a Parquet file."""
    import numpy as np
    import pyarrow as pa
    import tensorflow as tf
    from pyarrow import parquet

    import hubplug

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    spec = hubplug.load_module_spec(module)
    info = spec.signatures()["default"]
    wanted = "default" if "default" in info.outputs else next(iter(info.outputs))
    if way == "eager":
        applied = hubplug.Module(spec)

        def call(values: dict[str, Any]) -> Any:
            return applied(values, as_dict=True)[wanted].numpy()

    else:
        graph = tf.Graph()
        with graph.as_default():
            if way == "eval_function":
                import tensorflow_hub

                with tensorflow_hub.eval_function_for_module(module) as function:
                    return _loop(
                        lambda values: function(values, as_dict=True)[wanted], source, output, info, np, pa, parquet
                    )
            v1 = tf.compat.v1
            fed = {key: v1.placeholder(one.dtype, one.shape) for key, one in info.inputs.items()}
            fetched = hubplug.Module(spec)(fed, as_dict=True)[wanted]
            config = v1.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
            session = v1.Session(graph=graph, config=config)
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])

        def call(values: dict[str, Any]) -> Any:
            return session.run(fetched, {fed[key]: value for key, value in values.items()})

    return _loop(call, source, output, info, np, pa, parquet)


def _loop(call: Any, source: Path, output: Path, info: Any, np: Any, pa: Any, parquet: Any) -> dict[str, float]:
    output.mkdir()
    count, started = 0, time.monotonic()
    for path in sorted(source.iterdir()):
        results = []
        if path.suffix == ".txt":
            lines = path.read_bytes().split(b"\n")
            (key,) = info.inputs
            batches: Any = ({key: lines[at : at + BATCH]} for at in range(0, len(lines), BATCH))
        else:
            batches = (
                {
                    name: _array(column, info.inputs[name].shape)
                    for name, column in zip(batch.schema.names, batch.columns, strict=True)
                }
                for batch in parquet.ParquetFile(path).iter_batches(BATCH)
            )
        for values in batches:
            results.append(call(values))
            count += len(results[-1])
        result = np.concatenate(results)
        column = pa.array(result.reshape(-1))
        if result.ndim > 1:
            column = pa.FixedSizeListArray.from_arrays(column, result.shape[1])
        parquet.write_table(pa.table({"default": column}), output / f"{path.stem}.parquet")
    return {"rows": count, "seconds": time.monotonic() - started}


def _array(column: Any, shape: Any) -> Any:
    flat = column.flatten() if hasattr(column, "flatten") else column
    return flat.to_numpy(zero_copy_only=False).reshape(len(column), *shape[1:])


def in_beam(module: str, source: Path, output: Path, unit: str, threads: int) -> dict[str, float]:
    """The same on Beam's local runner: a file, a record batch or a row is an element."""
    import apache_beam as beam
    import pyarrow as pa
    from apache_beam.ml.inference.base import RunInference
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    import hubplug
    from hubplug_beam import ApplyToFiles, ArrowModuleHandler, ModuleHandler

    info = hubplug.load_module_spec(module).signatures()["default"]
    select = [] if "default" in info.outputs else [next(iter(info.outputs))]
    files = sorted(map(str, source.iterdir()))
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    if unit == "files":
        step = ApplyToFiles(module, str(output / "*.parquet"), select=select, batch_size=BATCH, threads=threads)
        _ = pipeline | beam.Create(files) | step
    else:
        (key,) = info.inputs
        blocks = pipeline | beam.Create(files) | beam.FlatMap(lambda path: _blocks(path, key, unit))
        kind = ArrowModuleHandler if unit == "record batches" else ModuleHandler
        _ = blocks | RunInference(kind(module, batch_size=BATCH, threads=threads))
    del pa
    from hubplug_beam import _loaded

    first: list[float] = []
    load = _loaded.Model

    class Timed(load):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            first.append(time.monotonic())

    _loaded.Model = Timed  # type: ignore[misc]
    started = time.monotonic()
    result = pipeline.run()
    result.wait_until_finish()
    ended = time.monotonic()
    return {"seconds": ended - first[0], "start": first[0] - started}


def _blocks(path: str, key: str, unit: str) -> Any:
    import pyarrow as pa

    lines = Path(path).read_bytes().split(b"\n")
    if unit == "rows":
        return lines
    return [pa.RecordBatch.from_pydict({key: lines[at : at + BATCH]}) for at in range(0, len(lines), BATCH)]


def measured(kind: str, arguments: argparse.Namespace, folder: Path) -> dict[str, float]:
    """One measurement in a process of its own."""
    output = folder / "out"
    shutil.rmtree(output, ignore_errors=True)
    started = time.monotonic()
    command = [sys.executable, __file__, "--one", kind, "--module", str(arguments.path), "--folder", str(folder)]
    done = subprocess.run(
        [*command, "--threads", str(arguments.threads)], capture_output=True, text=True, check=False, env=os.environ
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    found["whole"] = time.monotonic() - started
    return found


def one(kind: str, module: str, folder: Path, threads: int) -> dict[str, float]:
    source, output = folder / "in", folder / "out"
    if kind.startswith("loop "):
        found = plain_loop(module, source, output, kind.removeprefix("loop "), threads)
    elif kind.startswith("command "):
        found = by_command(module, source, output, int(kind.rpartition(" ")[2]))
    else:
        found = in_beam(module, source, output, kind, threads)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {**found, "mib": max(used) / 1024}


def by_command(module: str, source: Path, output: Path, workers: int) -> dict[str, float]:
    """``hubplug apply``; from when the first worker is ready."""
    import hubplug

    info = hubplug.load_module_spec(module).signatures()["default"]
    select = [] if "default" in info.outputs else ["--select", next(iter(info.outputs))]
    command = [
        sys.executable,
        "-m",
        "hubplug",
        "apply",
        module,
        "--input",
        f"{source}/*",
        "--output",
        f"{output}/*.parquet",
    ]
    done = subprocess.run(
        [*command, "--workers", str(workers), "--batch-size", str(BATCH), *select],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    said = next(line for line in done.stderr.splitlines() if " to start; " in line)
    whole, start = (
        float(word) for word in said.replace("s", "").replace(":", "").replace(",", "").split() if "." in word
    )
    return {"seconds": whole - start, "start": start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--module", help="a directory in TF1 Hub format; without one the quickstart's text module is made"
    )
    parser.add_argument("--files", type=int, default=16)
    parser.add_argument("--rows", type=int, default=50_000, help="rows of a file")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="threads of TensorFlow in each process")
    parser.add_argument("--kinds", nargs="*", default=["loop eager", "files", "command 1", "command 2"])
    parser.add_argument("--json")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments.one, arguments.module, arguments.folder, arguments.threads)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Before anything is measured, in a process that is not measured.
        arguments.path = (arguments.module and os.path.abspath(arguments.module)) or make_text_module(folder)
        write_inputs(folder / "in", arguments.module, arguments.files, arguments.rows)
        total = arguments.files * arguments.rows
        kinds = ["loop session", *arguments.kinds]
        found: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
        for turn in range(arguments.turns):
            for kind in kinds if turn % 2 else reversed(kinds):
                found[kind].append(measured(kind, arguments, folder))
        report = summary(found, total)
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{total:,} rows in {arguments.files} files, batches of {BATCH}, load {load}")
    for kind, figures in report.items():
        print("  ".join([f"{kind:20}", *(f"{name} {value:,.2f}" for name, value in figures.items())]))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(report, indent=2))


def summary(found: dict[str, list[dict[str, float]]], total: int) -> dict[str, dict[str, float]]:
    """Rows per second at best, and the median ratio to the session's loop of the same turn."""
    report = {}
    for kind, turns in found.items():
        ratios = [plain["seconds"] / turn["seconds"] for plain, turn in zip(found["loop session"], turns, strict=True)]
        report[kind] = {
            "rows/s": total / min(turn["seconds"] for turn in turns),
            "of the loop": statistics.median(ratios),
            "start s": min(turn.get("start", turn["whole"] - turn["seconds"]) for turn in turns),
            "MiB": max(turn["mib"] for turn in turns),
        }
    return report


if __name__ == "__main__":
    main()
