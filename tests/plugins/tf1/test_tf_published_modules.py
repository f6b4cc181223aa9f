"""Modules that other people published compute what tensorflow_hub computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug

v1 = tf.compat.v1


def by_key(reference: Any, prefix: str) -> dict[str, Any]:
    return {key[len(prefix) :].replace("|", "/"): reference[key] for key in reference.files if key.startswith(prefix)}


def close(got: Any, expected: Any) -> None:
    scale = max(float(np.max(np.abs(expected))), 1e-30)
    np.testing.assert_allclose(np.asarray(got) / scale, np.asarray(expected) / scale, atol=1e-5)


@pytest.mark.parametrize("published", ["DM21m", "half_plus_two_v1"], indirect=True)
def test_outputs_variables_and_gradients_are_the_references(published: Any, new_graph: tf.Graph) -> None:
    path, reference = published
    module = hubplug.Module(str(path))
    inputs = {key: tf.constant(value) for key, value in by_key(reference, "in__").items()}
    outputs = module(inputs if len(inputs) > 1 else next(iter(inputs.values())), as_dict=True)
    wanted = {key: outputs[key] for key in by_key(reference, "out__")}
    slopes = {}
    for names in by_key(reference, "grad__"):
        output, _, given = names.partition("__")
        slopes[names] = tf.gradients(tf.reduce_sum(outputs[output]), inputs[given])[0]
    with v1.Session() as session:
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        values, gradients, variables = session.run([wanted, slopes, module.variable_map])
    assert values
    for key, value in by_key(reference, "out__").items():
        close(values[key], value)
    for key, value in by_key(reference, "grad__").items():
        close(gradients[key], value)
    for key, value in by_key(reference, "var__").items():
        close(variables[key], value)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("published", ["DM21m", "half_plus_two_v1"], indirect=True)
def test_outputs_variables_and_gradients_are_the_references_under_eager_execution(published: Any) -> None:
    path, reference = published
    module = hubplug.Module(str(path), trainable=True)
    inputs = {key: tf.constant(value) for key, value in by_key(reference, "in__").items()}
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        outputs = module(inputs if len(inputs) > 1 else next(iter(inputs.values())), as_dict=True)
        sums = {key: tf.reduce_sum(output) for key, output in outputs.items()}
    assert by_key(reference, "out__")
    for key, value in by_key(reference, "out__").items():
        close(outputs[key], value)
    for names, value in by_key(reference, "grad__").items():
        output, _, given = names.partition("__")
        close(tape.gradient(sums[output], inputs[given]), value)
    for key, value in by_key(reference, "var__").items():
        close(module.variable_map[key], value)
    assert len(module.losses) == (12 if len(inputs) > 1 else 0)
    slopes = tape.gradient(list(sums.values()), module.trainable_variables)
    assert all(slope is not None for slope in slopes)


def test_regularization_losses_are_there_only_when_trainable(shared_modules: Path) -> None:
    for trainable, count in ((False, 0), (True, 12)):
        with tf.Graph().as_default() as graph:
            hubplug.Module(str(shared_modules / "DM21m"), trainable=trainable)
            assert len(graph.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)) == count
