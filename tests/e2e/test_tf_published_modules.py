"""Real published modules compute what tensorflow_hub 0.15.0 computed with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import hubplug

v1 = tf.compat.v1
# Relative to the largest absolute value: what remains is rounding, which differs between builds of TensorFlow.
TOLERANCE = 1e-5


def assert_close(actual: np.ndarray, expected: np.ndarray, what: str) -> None:
    assert actual.shape == expected.shape, what
    scale = max(float(np.max(np.abs(expected))), 1e-30) if expected.size else 1.0
    assert float(np.max(np.abs(actual - expected), initial=0.0)) <= TOLERANCE * scale, what


@pytest.mark.parametrize(("name", "handle"), [("DM21m", "DM21m"), ("half_plus_two_v1", "half_plus_two_v1.tar.gz")])
@pytest.mark.parametrize("trainable", [False, True])
def test_outputs_gradients_and_variables_equal_the_reference(
    shared_modules: Path, name: str, handle: str, trainable: bool
) -> None:
    reference = dict(np.load(shared_modules / f"{name}.ref.npz"))
    inputs = {key.removeprefix("in__"): value for key, value in reference.items() if key.startswith("in__")}
    with tf.Graph().as_default():
        module = hubplug.Module(str(shared_modules / handle), trainable=trainable)
        fed = {key: tf.constant(value) for key, value in inputs.items()}
        outputs = module(fed, as_dict=True)
        wanted = {f"out__{key}": tensor for key, tensor in outputs.items()}
        for key in reference:
            if key.startswith("grad__"):
                _, output, source = key.split("__")
                (wanted[key],) = tf.gradients(tf.reduce_sum(outputs[output]), fed[source])
        wanted.update({f"var__{key.replace('/', '|')}": v for key, v in module.variable_map.items()})
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            computed = session.run(wanted)
    expected = {key: value for key, value in reference.items() if not key.startswith("in__")}
    assert set(expected) <= set(computed)
    assert {key for key in computed if key.startswith("var__")} == {key for key in expected if key.startswith("var__")}
    for key, value in expected.items():
        assert_close(computed[key], value, key)


def test_regularization_losses_of_dm21m_are_there_only_when_trainable(shared_modules: Path) -> None:
    for trainable, count in ((False, 0), (True, 12)):
        with tf.Graph().as_default() as graph:
            hubplug.Module(str(shared_modules / "DM21m"), trainable=trainable)
            assert len(graph.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)) == count


def test_a_published_module_survives_an_export(shared_modules: Path, tmp_path: Path) -> None:
    reference = dict(np.load(shared_modules / "DM21m.ref.npz"))
    inputs = {key.removeprefix("in__"): value for key, value in reference.items() if key.startswith("in__")}
    with tf.Graph().as_default():
        module = hubplug.Module(str(shared_modules / "DM21m"))
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            module.export(str(tmp_path / "again"), session)
    with tf.Graph().as_default():
        outputs = hubplug.Module(str(tmp_path / "again"))(inputs, as_dict=True)
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            computed = session.run(outputs)
    for key in computed.keys() & {key.removeprefix("out__") for key in reference}:
        assert_close(computed[key], reference[f"out__{key}"], key)
    assert "grid_contribution" in computed
