"""Workload "graph side": what making, applying, initializing, exporting and loading a module costs.

The reference module has ``layers`` dense layers of 64 units, each with an l2-regularized weight, a bias and a moving
mean with an update op. Its signature ``default`` returns the last and all hidden activations, ``first`` only the first.

One run measures one thing with one library, and prints a JSON object of figures::

    python benchmarks/graph_side.py apply --library hubplug --module DIR --layers 400 --calls 20

``run.py`` starts these, each in a process of its own. Times are in seconds, memory and reading in bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1

UNITS = 64
LIBRARIES = ("hubplug", "tensorflow_hub")


def reference_module_fn(hub: Any, layers: int) -> Callable[[], None]:
    """What builds the graph of the reference module, with a library's ``add_signature``."""

    def module_fn() -> None:
        inputs = net = tf1.placeholder(tf.float32, [None, UNITS])
        hidden = []
        for number in range(layers):
            with tf1.variable_scope(f"layer_{number:04}"):
                weights = tf1.get_variable(
                    "weights",
                    [UNITS, UNITS],
                    initializer=tf1.random_normal_initializer(stddev=0.1, seed=number),
                    regularizer=lambda w: 1e-4 * tf.nn.l2_loss(w),
                )
                bias = tf1.get_variable("bias", [UNITS], initializer=tf1.zeros_initializer())
                mean = tf1.get_variable("mean", [UNITS], initializer=tf1.zeros_initializer(), trainable=False)
                net = net @ weights + bias
                moved = tf1.assign_sub(mean, 0.01 * (mean - tf.reduce_mean(net, 0)))
                tf1.add_to_collection(tf1.GraphKeys.UPDATE_OPS, moved)
                net = tf.nn.relu(net - mean)
                hidden.append(net)
        outputs = {f"hidden_{number:04}": tensor for number, tensor in enumerate(hidden)}
        hub.add_signature(inputs=inputs, outputs={"default": net, **outputs})
        hub.add_signature("first", inputs, hidden[0])

    return module_fn


def measure_author(hub: Any, module: Path, layers: int, calls: int) -> dict[str, Any]:
    """Defines the module, exports it to ``module``, and loads its definition again."""
    module_fn = reference_module_fn(hub, layers)
    building = []
    spec, create = timed(lambda: hub.create_module_spec(lambda: building.append(timed(module_fn)[1])))
    with tf.Graph().as_default(), tf1.Session() as session:
        made = hub.Module(spec)
        session.run(tf1.global_variables_initializer())
        _, export = timed(lambda: made.export(str(module), session))
    loaded, load = timed(lambda: hub.load_module_spec(str(module)))
    assert set(loaded.get_signature_names()) == {"default", "first"}
    return {
        "create_module_spec": create,
        "besides_module_fn": create - sum(building),
        "export": export,
        "load_module_spec": load,
        "peak_memory": peak_memory(),
    }


def measure_apply(hub: Any, module: Path, layers: int, calls: int) -> dict[str, Any]:
    """Makes a Module, calls both signatures ``calls`` times, initializes, and runs an output."""
    start = peak_memory()
    with tf.Graph().as_default() as graph:
        inputs = tf.constant(np.linspace(-1, 1, 4 * UNITS, dtype=np.float32).reshape(4, UNITS))
        made, module_time = timed(lambda: hub.Module(str(module)))
        module_ops = len(graph.get_operations())
        _, default_time = timed(lambda: [made(inputs, as_dict=True) for _ in range(calls)])
        default_ops = len(graph.get_operations()) - module_ops
        _, first_time = timed(lambda: [made(inputs, signature="first") for _ in range(calls)])
        ops = len(graph.get_operations())
        output = made(inputs)
        initialize = tf1.global_variables_initializer()
        with tf1.Session() as session:
            _, initialize_time = timed(lambda: session.run(initialize))
            values = session.run(output)
    return {
        "module": module_time,
        "module_ops": module_ops,
        "default_calls": default_time,
        "default_ops": default_ops,
        "first_calls": first_time,
        "first_ops": ops - module_ops - default_ops,
        "ops": ops,
        "initialize": initialize_time,
        "peak_memory": peak_memory(),
        "peak_memory_above_import": peak_memory() - start,
        "output_sha256": hashlib.sha256(values.tobytes()).hexdigest(),
    }


def measure_trainable(hub: Any, module: Path, layers: int, calls: int) -> dict[str, Any]:
    """Makes a trainable Module and calls ``default`` once, update ops included."""
    with tf.Graph().as_default() as graph:
        inputs = tf.zeros([4, UNITS])
        made, module_time = timed(lambda: hub.Module(str(module), trainable=True))
        ops = len(graph.get_operations())
        _, call_time = timed(lambda: made(inputs, as_dict=True))
        updates = len(tf1.get_collection(tf1.GraphKeys.UPDATE_OPS))
        losses = len(tf1.get_collection(tf1.GraphKeys.REGULARIZATION_LOSSES))
    assert (updates, losses) == (layers, layers)
    return {"module": module_time, "module_ops": ops, "call": call_time}


def measure_many(hub: Any, module: Path, layers: int, calls: int) -> dict[str, Any]:
    """Calls ``default`` ``calls`` times: whether the last ones cost more than the first ones."""
    with tf.Graph().as_default() as graph:
        inputs = tf.zeros([4, UNITS])
        made = hub.Module(str(module))
        times, sizes = [], []
        for _ in range(calls):
            before = len(graph.get_operations())
            times.append(timed(lambda: made(inputs, as_dict=True))[1])
            sizes.append(len(graph.get_operations()) - before)
    few = max(1, calls // 10)
    first, last = float(np.median(times[1 : few + 1])), float(np.median(times[-few:]))
    return {
        "first_call": times[0],
        "early_call": first,
        "late_call": last,
        "late_to_early": last / first,
        "ops_of_first_call": sizes[0],
        "ops_of_last_call": sizes[-1],
        "seconds_of_calls": times,
        "ops_of_calls": sizes,
    }


def measure_initialize_one(hub: Any, module: Path, layers: int, calls: int) -> dict[str, Any]:
    """Initializes one variable of the module: how much of the checkpoint that reads."""
    with tf.Graph().as_default(), tf1.Session() as session:
        made = hub.Module(str(module))
        variable = made.variable_map[f"layer_{layers // 2:04}/weights"]
        before = bytes_read()
        _, seconds = timed(lambda: session.run(variable.initializer))
        return {"initialize_one": seconds, "bytes_read": bytes_read() - before, "bytes_of_it": 4 * UNITS * UNITS}


def measure_bare_import(hub: Any, module: Path, layers: int, calls: int) -> dict[str, Any]:
    """What ``tf.import_graph_def`` alone takes for the subgraphs that the calls of ``apply`` need: the floor."""
    meta_graph = saved_meta_graph(module)
    figures: dict[str, Any] = {}
    for signature in ("default", "first"):
        outputs = [info.name for info in meta_graph.signature_def[signature].outputs.values()]
        (fed,) = (info.name for info in meta_graph.signature_def[signature].inputs.values())
        needed = tf1.graph_util.extract_sub_graph(
            meta_graph.graph_def, sorted({name.split(":")[0] for name in outputs})
        )
        outside = [node for node in needed.node if node.op == "VarHandleOp" or node.name == fed.split(":")[0]]
        inside = tf1.GraphDef(versions=needed.versions)
        inside.node.extend(node for node in needed.node if node not in outside)
        for node in inside.node:
            node.attr.pop("_class", None)
        with tf.Graph().as_default():
            stand_ins = {fed: tf.zeros([4, UNITS])}
            for node in outside:
                if node.op == "VarHandleOp":
                    stand_ins[f"{node.name}:0"] = tf.raw_ops.VarHandleOp(
                        dtype=node.attr["dtype"].type,
                        shape=tf.TensorShape(node.attr["shape"].shape),
                        shared_name=node.name,
                    )
            _, figures[f"{signature}_calls"] = timed(
                lambda inside=inside, stand_ins=stand_ins, outputs=outputs: [
                    tf.import_graph_def(inside, stand_ins, outputs, name="apply") for _ in range(calls)
                ]
            )
        figures[f"{signature}_nodes"] = len(inside.node)
    return figures


def saved_meta_graph(module: Path) -> Any:
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((module / "saved_model.pb").read_bytes())
    (meta_graph,) = saved.meta_graphs
    return meta_graph


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = function()
    return result, time.perf_counter() - started


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def bytes_read() -> int:
    """What this process has read through system calls so far; 0 where the system does not count it."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return 0
    return int(next(line.split()[1] for line in lines if line.startswith("rchar:")))


MEASUREMENTS = {
    name.removeprefix("measure_").replace("_", "-"): function
    for name, function in dict(globals()).items()
    if name.startswith("measure_")
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("measurement", choices=sorted(MEASUREMENTS))
    parser.add_argument("--library", choices=LIBRARIES, required=True)
    parser.add_argument(
        "--module", type=Path, required=True, help="where `author` exports to, and the others load from"
    )
    parser.add_argument("--layers", type=int, required=True)
    parser.add_argument("--calls", type=int, default=20)
    options = parser.parse_args()
    hub = importlib.import_module(options.library)
    tf1.logging.set_verbosity(tf1.logging.ERROR)
    figures = MEASUREMENTS[options.measurement](hub, options.module, options.layers, options.calls)
    json.dump({"tensorflow": tf.__version__, "python": sys.version.split()[0], **figures}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
