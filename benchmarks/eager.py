"""Measures modules under eager execution against what TensorFlow itself has, in one process, as ratios.

What is compared runs in turns, a few calls each, and the ratio is the median over the turns: so a machine that is busy now and
then disturbs both sides alike::

    python benchmarks/eager.py                               # a dense layer, made here
    python benchmarks/eager.py path/to/module --turns 200
    python benchmarks/eager.py path/to/module --onnx path/to/what/hubplug/convert/made
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import hubplug

tf1 = tf.compat.v1

Call = Callable[[], Any]


def export_dense(path: str) -> None:
    """Writes a module of one dense layer."""

    def module_fn() -> None:
        x = tf1.placeholder(tf.float32, [None, 64])
        hubplug.add_signature(inputs=x, outputs=tf.matmul(x, tf1.get_variable("w", [64, 64])))

    with tf.Graph().as_default(), tf1.Session() as session:
        module = hubplug.Module(hubplug.create_module_spec(module_fn))
        session.run(tf1.global_variables_initializer())
        module.export(path, session)


def handwritten_dense(rows: int) -> Call:
    """A ``tf.function`` of what the dense layer is, as one writes it in TensorFlow 2."""
    weights = tf.Variable(tf.random.normal([64, 64]))
    function = tf.function(lambda x: tf.matmul(x, weights), input_signature=[tf.TensorSpec([None, 64], tf.float32)])
    x = tf.constant(np.random.default_rng(0).random([rows, 64]).astype(np.float32))
    return lambda: function(x)


def sample(info: Any, rows: int) -> np.ndarray[Any, Any]:
    shape = [rows if length is None else length for length in info.get_shape().as_list()]
    if info.dtype == tf.string:
        return np.full(shape, b"a few words of a sentence", object)
    return np.random.default_rng(0).random(shape).astype(info.dtype.as_numpy_dtype)


def calls(path: str, rows: int) -> dict[str, Call]:
    """The ways to compute all outputs of the signature ``default``, each with inputs of the kind that it takes at once."""
    module = hubplug.Module(path)
    loaded = tf.saved_model.load(path, tags=[])
    signature = loaded.signatures["default"]
    arrays = {key: sample(info, rows) for key, info in module.get_input_info_dict().items()}
    tensors = {key: tf.constant(value) for key, value in arrays.items()}
    graph = tf.Graph()
    with graph.as_default():
        in_graph = hubplug.Module(path)
        fed = {key: tf1.placeholder(value.dtype, value.shape) for key, value in tensors.items()}
        outputs = in_graph(fed, as_dict=True)
        session = tf1.Session(graph=graph)
        session.run([tf1.global_variables_initializer(), tf1.tables_initializer()])
        run = session.make_callable([outputs[key] for key in sorted(outputs)], [fed[key] for key in sorted(fed)])
    native = tf.function(lambda values: module(values, as_dict=True), autograph=False)
    values = [arrays[key] for key in sorted(arrays)]
    return {
        "Module": lambda: module(tensors, as_dict=True),
        "signature of tf.saved_model.load": lambda: signature(**tensors),
        "session callable": lambda: run(*values),
        "tf.function that calls it": lambda: native(tensors),
        "_loaded": lambda: loaded,  # its variables live as long as it
    }


def onnx_call(path: str, result: str, rows: int) -> Call:
    """The same in onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(os.path.join(result, "default.onnx"))
    arrays = {key: sample(info, rows) for key, info in hubplug.Module(path).get_input_info_dict().items()}
    return lambda: session.run(None, arrays)


def constructions(path: str) -> dict[str, Call]:
    return {
        "Module": lambda: hubplug.Module(path),
        "tf.saved_model.load": lambda: tf.saved_model.load(path, tags=[]),
    }


def compare(ways: dict[str, Call], turns: int, repeats: int) -> dict[str, tuple[float, float]]:
    """By way: the least time in seconds, and the median ratio of the first way to it."""
    times: dict[str, list[float]] = {name: [] for name in ways if not name.startswith("_")}
    for name in times:
        ways[name]()
    for turn in range(turns):
        for name in list(times) if turn % 2 else reversed(times):
            started = time.perf_counter()
            for _ in range(repeats):
                ways[name]()
            times[name].append((time.perf_counter() - started) / repeats)
    ours = times["Module"]
    return {
        name: (min(found), statistics.median(one / other for one, other in zip(ours, found, strict=True)))
        for name, found in times.items()
    }


def show(title: str, found: dict[str, tuple[float, float]]) -> None:
    print(title)
    for name, (least, ratio) in found.items():
        print(f"  {name:34}{least * 1e3:10.3f} ms{'' if name == 'Module' else f'{ratio:10.2f} x'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("module", nargs="?", help="a directory in TF1 Hub format; without one a dense layer is made")
    parser.add_argument("--onnx", help="a directory that `hubplug convert MODULE DIRECTORY --to onnx` wrote")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--turns", type=int, default=50)
    parser.add_argument("--calls", type=int, default=20, help="calls in a turn")
    options = parser.parse_args()
    tf1.logging.set_verbosity(tf1.logging.ERROR)
    with tempfile.TemporaryDirectory() as directory, hubplug.Hub({"chain": ["file", "tf1"]}).activate():
        path = options.module or os.path.join(directory, "dense")
        if options.module is None:
            export_dense(path)
        print(f"TensorFlow {tf.__version__}, Python {sys.version.split()[0]}, {options.rows} rows")
        ways = calls(path, options.rows)
        if options.module is None:
            ways["tf.function written by hand"] = handwritten_dense(options.rows)
        if options.onnx:
            ways["onnxruntime"] = onnx_call(path, options.onnx, options.rows)
        show("a call", compare(ways, options.turns, options.calls))
        show("construction", compare(constructions(path), max(3, options.turns // 10), 1))


if __name__ == "__main__":
    main()
