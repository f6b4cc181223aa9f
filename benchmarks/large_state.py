"""Workload "large state": what restoring and exporting gigabytes of variables takes.

The module has ``variables`` float32 variables of equal size, together ``megabytes``, and no computation worth the name.

One run measures one thing with one library, and prints a JSON object of figures::

    python benchmarks/large_state.py restore --library hubplug --module DIR --variables 2000 --megabytes 1000

``run.py`` starts these, each in a process of its own. Times are in seconds, memory in bytes.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf
from graph_side import peak_memory, timed

tf1 = tf.compat.v1

# What an export is compared with when nothing is known of the module: one Saver over all variables of the graph.
SAVER = "saver"
LIBRARIES = ("hubplug", "tensorflow_hub", SAVER)


def measure_author(library: str, module: Path, variables: int, megabytes: int) -> dict[str, Any]:
    """Exports the module to ``module``: the time, and how much more memory than before that takes."""
    hub = importlib.import_module(library)
    length = megabytes * 1_000_000 // 4 // variables

    def module_fn() -> None:
        made = [
            tf1.get_variable(f"v{number:05}", [length], initializer=tf1.constant_initializer(number))
            for number in range(variables)
        ]
        hub.add_signature(outputs=tf.add_n([each[0] for each in made]))

    spec = hub.create_module_spec(module_fn)
    with tf.Graph().as_default(), tf1.Session() as session:
        made = hub.Module(spec)
        session.run(tf1.global_variables_initializer())
        before = resident_memory()
        forget_peak()
        _, seconds = timed(lambda: made.export(str(module), session))
    return {"export": seconds, "export_memory": highest_memory() - before}


def measure_restore(library: str, module: Path, variables: int, megabytes: int) -> dict[str, Any]:
    """Runs the initializers of all variables; for ``saver``, one ``tf.compat.v1.train.Saver.restore``; and once more."""
    checkpoint = str(module / "variables" / "variables")
    with tf.Graph().as_default(), tf1.Session() as session:
        if library == SAVER:
            for name, shape in tf.train.list_variables(checkpoint):
                tf1.get_variable(name, shape, use_resource=True)
            saver = tf1.train.Saver()
            restore = functools.partial(saver.restore, session, checkpoint)
        else:
            importlib.import_module(library).Module(str(module))
            initialize = tf1.global_variables_initializer()
            restore = functools.partial(session.run, initialize)
        _, seconds = timed(restore)
        # A session prepares and optimizes a graph when it runs it first.
        _, again = timed(restore)
    return {"restore": seconds, "restore_again": again, "peak_memory": peak_memory()}


def measure_read(library: str, module: Path, variables: int, megabytes: int) -> dict[str, Any]:
    """Reads the files of the variables once, in pieces of 1 MiB: the floor."""

    def read() -> None:
        for path in (module / "variables").iterdir():
            with path.open("rb", buffering=0) as file:
                while file.readinto(piece):
                    pass

    piece = bytearray(1 << 20)
    read()
    return {"read": timed(read)[1]}


def resident_memory() -> int:
    return _status("VmRSS")


def highest_memory() -> int:
    """The most that was resident since ``forget_peak``."""
    return _status("VmHWM")


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(f"{field}:")))


MEASUREMENTS = {"author": measure_author, "restore": measure_restore, "read": measure_read}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("measurement", choices=sorted(MEASUREMENTS))
    parser.add_argument("--library", choices=LIBRARIES, required=True)
    parser.add_argument(
        "--module", type=Path, required=True, help="where `author` exports to, and the others load from"
    )
    parser.add_argument("--variables", type=int, required=True)
    parser.add_argument("--megabytes", type=int, required=True)
    options = parser.parse_args()
    tf1.logging.set_verbosity(tf1.logging.ERROR)
    measure = MEASUREMENTS[options.measurement]
    figures = measure(options.library, options.module, options.variables, options.megabytes)
    json.dump({"tensorflow": tf.__version__, "python": sys.version.split()[0], **figures}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
