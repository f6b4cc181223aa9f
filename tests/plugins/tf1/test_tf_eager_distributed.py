"""Modules under ``tf.distribute.MirroredStrategy``: in a process of its own, since devices are divided before their first use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

import hubplug
from tests.module_kinds import batch_norm, dense_layer, export

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("eager")]

START = """
import sys
import numpy as np
import tensorflow as tf
import hubplug

tf.compat.v1.enable_v2_behavior()
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
path = sys.argv[1]
"""


def run(code: str, path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START + code, path], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_forwards_and_training_are_those_of_one_device(tmp_path: Path) -> None:
    code = """
x = np.random.default_rng(0).random([8, 4], np.float32)
alone = hubplug.Module(path, trainable=True)
with strategy.scope():
    mirrored = hubplug.Module(path, trainable=True)
assert all(isinstance(each, tf.distribute.DistributedValues) for each in mirrored.variables)

def step(module, batch):
    with tf.GradientTape() as tape:
        y = module(batch)
        loss = tf.reduce_sum(y * y) / 8.0 + tf.add_n(module.losses) / strategy_size
    (w,) = module.trainable_variables
    return y, tape.gradient(loss, w)

@tf.function
def distributed(batch):
    def replica(values):
        y, slope = step(mirrored, values)
        context = tf.distribute.get_replica_context()
        slope = context.all_reduce(tf.distribute.ReduceOp.SUM, slope)
        (w,) = mirrored.trainable_variables
        w.assign_sub(0.1 * slope)
        return y
    return strategy.run(replica, (batch,))

halves = strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant(np.split(x, 2)[context.replica_id_in_sync_group])
)
for _ in range(3):
    strategy_size = 2.0
    given = distributed(halves)
    strategy_size = 1.0
    wanted, slope = step(alone, x)
    alone.variables[0].assign_sub(0.1 * slope)
    np.testing.assert_allclose(np.concatenate(strategy.experimental_local_results(given)), wanted, rtol=1e-5)
for copy in strategy.experimental_local_results(mirrored.variables[0]):
    np.testing.assert_allclose(copy, alone.variables[0], rtol=1e-5)
np.testing.assert_allclose(mirrored(x), alone(x), rtol=1e-5)
mirrored.export(path + "-again")
np.testing.assert_array_equal(hubplug.Module(path + "-again").variables[0], mirrored.variables[0])
"""
    run(code, export(tf, hubplug, dense_layer, tmp_path))


def test_averages_of_replicas_are_averaged(tmp_path: Path) -> None:
    code = """
x = np.random.default_rng(0).random([4, 4, 4, 2], np.float32)
with strategy.scope():
    module = hubplug.Module(path, trainable=True)
halves = strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant(np.split(x, 2)[context.replica_id_in_sync_group])
)
strategy.run(tf.function(lambda values: module(values, training=True)), (halves,))
np.testing.assert_allclose(module.variable_map["mean"].read_value(), 0.1 * x.mean((0, 1, 2)), rtol=1e-5)
module.export(path + "-again")
np.testing.assert_allclose(hubplug.Module(path + "-again").variable_map["mean"], 0.1 * x.mean((0, 1, 2)), rtol=1e-5)
"""
    run(code, export(tf, hubplug, batch_norm, tmp_path))
