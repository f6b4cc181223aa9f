"""A Module under eager execution gives what it gives in a graph: outputs, gradients, losses and what update ops change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug
from tests.hard_module_kinds import HARD_KINDS, partitioned_with_losses, updates_of_references
from tests.module_kinds import (
    KINDS,
    Define,
    batch_norm,
    decoding,
    dense_layer,
    dropout,
    example_parsing,
    export,
    image_decoding,
    image_features,
    random_numbers,
    sampling_by_frequency,
)

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("eager")]

v1 = tf.compat.v1

WITHOUT_SEED = {random_numbers, sampling_by_frequency}


def jpeg() -> tf.Tensor:
    return tf.io.encode_jpeg(tf.fill([4, 4, 3], tf.constant(100, tf.uint8)))


def example() -> tf.Tensor:
    features = {"x": tf.train.Feature(float_list=tf.train.FloatList(value=[1.0, 2.0]))}
    return tf.constant([tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()])


SPECIAL: dict[Define, Callable[[], tf.Tensor]] = {
    decoding: lambda: tf.constant(["abcd", "efgh"]),
    example_parsing: example,
    image_decoding: jpeg,
    random_numbers: lambda: tf.constant([2, 3]),
    sampling_by_frequency: lambda: tf.constant([[0], [2]], tf.int64),
}


def sample(info: Any) -> Any:
    """A value that fits what a signature says of an input, in the current graph or eager."""
    if info.is_sparse:
        return tf.sparse.from_dense(tf.constant([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]]))
    if info.is_composite:
        return tf.ragged.constant([[1.0, 2.0], [3.0]])
    known = info.get_shape()
    shape = [2 if length is None else length for length in known.as_list()] if known.rank else []
    if info.dtype == tf.string:
        return tf.constant(np.resize(["a", "hello, world"], shape))
    return tf.cast(tf.constant(np.arange(1, 1 + np.prod(shape, dtype=int)).reshape(shape)), info.dtype)


def floats_of(inputs: Any, variables: Any) -> list[Any]:
    tensors = tf.nest.flatten(inputs, expand_composites=True)
    return [each for each in [*tensors, *variables] if each.dtype.base_dtype.is_floating]


def is_differentiable(output: Any) -> bool:
    return isinstance(output, tf.Tensor) and output.dtype.is_floating


def inputs_of(define: Define, module: hubplug.Module, signature: str) -> dict[str, Any]:
    infos = module.get_input_info_dict(signature)
    return {key: SPECIAL[define]() if define in SPECIAL else sample(info) for key, info in infos.items()}


def in_a_graph(define: Define, path: Path) -> tuple[dict[Any, Any], dict[Any, Any]]:
    with tf.Graph().as_default():
        module = hubplug.Module(str(path), trainable=True)
        outputs, slopes = {}, {}
        for signature in module.get_signature_names():
            inputs = inputs_of(define, module, signature)
            sources = floats_of(inputs, module.variables)
            for key, output in module(inputs or None, signature=signature, as_dict=True).items():
                outputs[signature, key] = output
                if is_differentiable(output) and sources:
                    found = tf.gradients(output, sources)
                    slopes[signature, key] = [[] if each is None else tf.convert_to_tensor(each) for each in found]
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            return {key: session.run(each) for key, each in outputs.items()}, session.run(slopes)


def eagerly(define: Define, path: Path) -> tuple[dict[Any, Any], dict[Any, Any]]:
    module = hubplug.Module(str(path), trainable=True)
    outputs, slopes = {}, {}
    for signature in module.get_signature_names():
        inputs = inputs_of(define, module, signature)
        sources = floats_of(inputs, module.variables)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(sources)
            given = module(inputs or None, signature=signature, as_dict=True)
        for key, output in given.items():
            outputs[signature, key] = output
            if is_differentiable(output) and sources:
                found = tape.gradient(output, sources)
                slopes[signature, key] = [[] if each is None else tf.convert_to_tensor(each) for each in found]
    return outputs, slopes


def flat(value: Any) -> list[Any]:
    """The arrays that tensors, or what a session gives for them, consist of."""
    if isinstance(value, (tf.SparseTensor, v1.SparseTensorValue)):
        return [np.asarray(part) for part in (value.indices, value.values, value.dense_shape)]
    if isinstance(value, (tf.RaggedTensor, v1.ragged.RaggedTensorValue)):
        return [np.asarray(part) for part in (value.flat_values, *value.nested_row_splits)]
    return [np.asarray(value)]


@pytest.fixture(params=["v1", "v2"])
def control_flow(request: pytest.FixtureRequest) -> Iterator[str]:
    """Loops and conditions of one kind in the module and in the graph that it is compared with."""
    enabled = v1.control_flow_v2_enabled()
    {"v1": v1.disable_control_flow_v2, "v2": v1.enable_control_flow_v2}[request.param]()
    yield request.param
    (v1.enable_control_flow_v2 if enabled else v1.disable_control_flow_v2)()


@pytest.mark.parametrize("define", [*KINDS, *HARD_KINDS], ids=lambda define: define.__name__)
def test_outputs_are_equal_to_the_last_bit_and_gradients_nearly(
    define: Define, control_flow: str, tmp_path: Path
) -> None:
    if define is image_features and not hasattr(hubplug, "ImageModuleInfo"):
        pytest.skip("this release has no ImageModuleInfo")
    path = export(tf, hubplug, define, tmp_path)
    wanted, wanted_slopes = in_a_graph(define, path)
    given, slopes = eagerly(define, path)
    assert given.keys() == wanted.keys()
    for key, output in given.items():
        for ours, theirs in zip(flat(output), flat(wanted[key]), strict=True):
            assert ours.shape == theirs.shape
            if define not in WITHOUT_SEED:
                np.testing.assert_array_equal(ours, theirs)
    if define is dropout:
        return  # its second run, for the gradients, drops others
    assert slopes.keys() == wanted_slopes.keys()
    for key, found in slopes.items():
        for ours, theirs in zip(found, wanted_slopes[key], strict=True):
            if np.shape(theirs) == (0,):
                # What one output does not depend on, another one may: of functions tapes know the inputs and the outputs.
                assert not np.any(ours)
                continue
            assert np.shape(ours) == np.shape(theirs)
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_losses_and_what_update_ops_change_are_equal(tmp_path: Path) -> None:
    for define in (dense_layer, batch_norm, partitioned_with_losses, updates_of_references):
        (tmp_path / define.__name__).mkdir()
        path = export(tf, hubplug, define, tmp_path / define.__name__)
        with tf.Graph().as_default() as graph:
            module = hubplug.Module(str(path), trainable=True)
            module(inputs_of(define, module, "default"))
            losses = graph.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
            updates = graph.get_collection(v1.GraphKeys.UPDATE_OPS)
            with v1.Session() as session:
                session.run(v1.global_variables_initializer())
                wanted_losses = session.run(losses)
                session.run(updates)
                wanted = session.run(module.variables)
        module = hubplug.Module(str(path), trainable=True)
        np.testing.assert_array_equal(module.losses, wanted_losses)
        module(inputs_of(define, module, "default"))
        module.update_ops(inputs_of(define, module, "default"))
        for ours, theirs in zip(module.variables, wanted, strict=True):
            np.testing.assert_array_equal(ours, theirs)
