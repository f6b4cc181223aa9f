"""Measures ``hubplug_beam`` against a plain loop over the same batches: rows per second, the time to start, memory.

What is compared runs in one process in turns, and a ratio is the median over the turns, so that a machine that is busy disturbs both
sides alike. Then `hubplug apply`, with one worker and with two, in processes of its own::

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
from collections.abc import Callable
from contextlib import suppress
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
        sentences = [" ".join(random.choice(WORDS, 12)) for _ in range(10_000)]
        for number in range(files):
            (folder / f"{number:03}.txt").write_text("\n".join(random.choice(sentences, rows)))
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


def plain_call(module: str, way: str, threads: int) -> Callable[[dict[str, Any]], Any]:
    """How one applies a batch by hand: by a session, by an eager Module, or by tensorflow_hub."""
    import tensorflow as tf

    import hubplug

    spec = hubplug.load_module_spec(module)
    info = spec.signatures()["default"]
    wanted = "default" if "default" in info.outputs else next(iter(info.outputs))
    if way == "eager":
        applied = hubplug.Module(spec)

        def call(values: dict[str, Any]) -> Any:
            return applied(values, as_dict=True)[wanted].numpy()

    elif way == "tensorflow_hub":
        import tensorflow_hub

        opened = tensorflow_hub.eval_function_for_module(module)
        function = opened.__enter__()

        def call(values: dict[str, Any], opened: Any = opened) -> Any:  # which keeps it open
            return function(values, as_dict=True)[wanted]

    else:
        graph = tf.Graph()
        v1 = tf.compat.v1
        with graph.as_default():
            fed = {key: v1.placeholder(one.dtype, one.shape) for key, one in info.inputs.items()}
            fetched = hubplug.Module(spec)(fed, as_dict=True)[wanted]
            config = v1.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
            session = v1.Session(graph=graph, config=config)
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])

        def call(values: dict[str, Any]) -> Any:
            return session.run(fetched, {fed[key]: value for key, value in values.items()})

    return call


def plain_loop(call: Callable[[dict[str, Any]], Any], inputs: Any, source: Path, output: Path) -> float:
    """What one writes by hand: read a file, apply batches, write a Parquet file; in seconds."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    started = time.monotonic()
    for path in sorted(source.iterdir()):
        if path.suffix == ".txt":
            lines = path.read_bytes().split(b"\n")
            (key,) = inputs
            batches: Any = ({key: lines[at : at + BATCH]} for at in range(0, len(lines), BATCH))
        else:
            batches = (
                {
                    name: _array(column, inputs[name].shape)
                    for name, column in zip(batch.schema.names, batch.columns, strict=True)
                }
                for batch in parquet.ParquetFile(path).iter_batches(BATCH)
            )
        result = np.concatenate([call(values) for values in batches])
        column = pa.array(result.reshape(-1))
        if result.ndim > 1:
            column = pa.FixedSizeListArray.from_arrays(column, result.shape[1])
        parquet.write_table(pa.table({"default": column}), output / f"{path.stem}.parquet")
    return time.monotonic() - started


def _array(column: Any, shape: Any) -> Any:
    flat = column.flatten() if hasattr(column, "flatten") else column
    return flat.to_numpy(zero_copy_only=False).reshape(len(column), *shape[1:])


def in_beam(module: str, source: Path, output: Path, unit: str, threads: int) -> float:
    """The same on Beam's local runner, in seconds without loading: a file, a record batch or a row is an element."""
    import apache_beam as beam
    from apache_beam.ml.inference.base import RunInference
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    import hubplug
    from hubplug_beam import ApplyToFiles, ArrowModuleHandler, ModuleHandler
    from hubplug_beam._loaded import loaded

    info = hubplug.load_module_spec(module).signatures()["default"]
    select = [] if "default" in info.outputs else [next(iter(info.outputs))]
    files = sorted(map(str, source.iterdir()))
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    kept: Any = None
    if unit == "files":
        step = ApplyToFiles(module, str(output / "*.parquet"), select=select, batch_size=BATCH, threads=threads)
        function = step._function
        kept = loaded(function._shipment)  # so that the module is there
        _ = pipeline | beam.Create(files) | step
    else:
        (key,) = info.inputs
        blocks = pipeline | beam.Create(files) | beam.FlatMap(lambda path: _blocks(path, key, unit))
        kind = ArrowModuleHandler if unit == "record batches" else ModuleHandler
        handler = kind(module, batch_size=BATCH, threads=threads)
        kept = handler.load_model()
        _ = blocks | RunInference(handler)
    started = time.monotonic()
    pipeline.run().wait_until_finish()
    seconds = time.monotonic() - started
    del kept
    return seconds


def _blocks(path: str, key: str, unit: str) -> Any:
    import pyarrow as pa

    lines = Path(path).read_bytes().split(b"\n")
    if unit == "rows":
        return lines
    return [pa.RecordBatch.from_pydict({key: lines[at : at + BATCH]}) for at in range(0, len(lines), BATCH)]


def in_turns(module: str, folder: Path, kinds: list[str], turns: int, threads: int) -> dict[str, list[float]]:
    """The seconds of each kind, turn by turn, in this process."""
    import tensorflow as tf

    import hubplug

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    inputs = hubplug.load_module_spec(module).signatures()["default"].inputs
    calls = {
        kind: plain_call(module, kind.removeprefix("loop "), threads) for kind in kinds if kind.startswith("loop ")
    }
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for turn in range(turns + 1):  # the first is to warm up
        for kind in kinds if turn % 2 else reversed(kinds):
            output = folder / "out"
            shutil.rmtree(output, ignore_errors=True)
            output.mkdir()
            if kind in calls:
                seconds = plain_loop(calls[kind], inputs, folder / "in", output)
            else:
                seconds = in_beam(module, folder / "in", output, kind, threads)
            if turn:
                found[kind].append(seconds)
    return found


def by_command(module: str, folder: Path, workers: int) -> dict[str, float]:
    """``hubplug apply``: rows per second from when the first worker is ready, seconds to start, memory of the largest process in MiB."""
    import hubplug

    info = hubplug.load_module_spec(module).signatures()["default"]
    select = [] if "default" in info.outputs else ["--select", next(iter(info.outputs))]
    output = folder / "applied"
    shutil.rmtree(output, ignore_errors=True)
    command = [sys.executable, "-m", "hubplug", "apply", module]
    command += ["--input", f"{folder / 'in'}/*", "--output", f"{output}/*.parquet"]
    process = subprocess.Popen(
        [*command, "--workers", str(workers), "--batch-size", str(BATCH), *select, "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    most = 0.0
    while process.poll() is None:
        most = max(most, _largest_below(process.pid))
        time.sleep(0.2)
    assert process.stdout is not None
    if process.returncode:
        raise SystemExit(process.returncode)
    done = json.loads(process.stdout.read())
    start = done["seconds_to_start"]
    return {"rows/s": done["rows"] / max(done["seconds"] - start, 1e-3), "start": start, "mib": most}


def _largest_below(pid: int) -> float:
    """The resident memory of the largest process that a process started, itself or through others, in MiB."""
    most = 0.0
    for child in subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split():
        with suppress(OSError):
            pages = int(Path(f"/proc/{child}/statm").read_text().split()[1])
            most = max(most, pages * resource.getpagesize() / 2**20)
        most = max(most, _largest_below(int(child)))
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--module", help="a directory in TF1 Hub format; without one the quickstart's text module is made"
    )
    parser.add_argument("--files", type=int, default=16)
    parser.add_argument("--rows", type=int, default=20_000, help="rows of a file")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="threads of TensorFlow in each process")
    parser.add_argument("--kinds", nargs="*", default=["loop eager", "files"], help="also: 'record batches', 'rows'")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2], help="of `hubplug apply`")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        module = os.path.abspath(arguments.module) if arguments.module else make_text_module(folder)
        write_inputs(folder / "in", arguments.module, arguments.files, arguments.rows)
        total = arguments.files * arguments.rows
        found = in_turns(module, folder, ["loop session", *arguments.kinds], arguments.turns, arguments.threads)
        report: dict[str, dict[str, float]] = {
            kind: {
                "rows/s": total / min(turns),
                "of the loop": statistics.median(a / b for a, b in zip(found["loop session"], turns, strict=True)),
            }
            for kind, turns in found.items()
        }
        for workers in arguments.workers:
            report[f"{workers} workers"] = by_command(module, folder, workers)
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{total:,} rows in {arguments.files} files, batches of {BATCH}, load {load}")
    for kind, values in report.items():
        print("  ".join([f"{kind:16}", *(f"{name} {value:,.2f}" for name, value in values.items())]))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
