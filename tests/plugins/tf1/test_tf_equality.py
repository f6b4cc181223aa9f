"""What an application needs of a module gives what the whole module gives: outputs, gradients and collections.

Of each signature there are two applications, since the second of one that calls functions comes into the graph in another
way. Outputs are compared to the last bit; of random ones without a seed only the shape is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug
from hubplug_tf1._graph.protos import SavedModel
from tests.module_kinds import (
    KINDS,
    Define,
    decoding,
    example_parsing,
    export,
    image_decoding,
    image_features,
    random_numbers,
    sampling_by_frequency,
    scan_over_time,
    while_loop_v1,
)

v1 = tf.compat.v1

WITHOUT_SEED = {random_numbers, sampling_by_frequency}
# TensorFlow gives the functions of two gradients of one loop the same name, whoever imported it, and refuses the second.
LOOPS = {scan_over_time, while_loop_v1}


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
    """A value that fits what a signature says of an input."""
    if info.is_sparse:
        return tf.sparse.from_dense(tf.constant([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]]))
    if info.is_composite:
        return tf.ragged.constant([[1.0, 2.0], [3.0]])
    known = info.get_shape()
    shape = [2 if length is None else length for length in known.as_list()] if known.rank else []
    if info.dtype == tf.string:
        return tf.constant(np.resize(["a", "hello, world"], shape))
    return tf.cast(tf.constant(np.arange(1, 1 + np.prod(shape, dtype=int)).reshape(shape)), info.dtype)


def names(elements: Any) -> list[str]:
    return sorted(getattr(element, "name", str(element)) for element in elements)


def apply_all(
    path: Path, trainable: bool, inputs_for: Callable[[str, dict[str, Any]], dict[str, Any]], gradients: bool
) -> Any:
    """What a module gives in a graph of its own: outputs, gradients of them, collections."""
    with tf.Graph().as_default() as graph:
        v1.set_random_seed(7)
        module = hubplug.Module(str(path), trainable=trainable)
        outputs, slopes = {}, {}
        for signature in module.get_signature_names():
            inputs = inputs_for(signature, module.get_input_info_dict(signature))
            sources = [*(t for t in tf.nest.flatten(inputs, expand_composites=True)), *module.variables]
            floats = [source for source in sources if source.dtype.is_floating and gradients]
            for call in range(2):
                for key, output in module(inputs or None, signature=signature, as_dict=True).items():
                    outputs[signature, key, call] = output
                    if isinstance(output, tf.Tensor) and output.dtype.is_floating and floats:
                        found = tf.gradients(output, floats)
                        slopes[signature, key, call] = [[] if x is None else tf.convert_to_tensor(x) for x in found]
        shapes = {key: output.shape.as_list() for key, output in outputs.items() if output.shape.rank is not None}
        # Those of control flow are the graph's own: a graph that has less of it has fewer.
        kept = {key for key in graph.get_all_collection_keys() if not key.endswith("_context")}
        collections = {key: names(graph.get_collection(key)) for key in kept}
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            # One after the other: random ops with a seed count how often they ran.
            values = {key: session.run(output) for key, output in outputs.items()}
            return values, {key: session.run(each) for key, each in slopes.items()}, collections, shapes


def both_ways(
    path: Path, trainable: bool, inputs_for: Any, monkeypatch: pytest.MonkeyPatch, gradients: bool = True
) -> tuple[Any, Any]:
    needed = apply_all(path, trainable, inputs_for, gradients)
    monkeypatch.setenv("HUBPLUG_IMPORT_WHOLE_GRAPH", "1")
    return needed, apply_all(path, trainable, inputs_for, gradients)


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("define", KINDS, ids=lambda define: define.__name__)
def test_the_needed_part_gives_what_the_whole_graph_gives(
    define: Define, trainable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if define is image_features and not hasattr(hubplug, "ImageModuleInfo"):
        pytest.skip("this release has no ImageModuleInfo")

    def inputs_for(signature: str, infos: dict[str, Any]) -> dict[str, Any]:
        return {key: SPECIAL[define]() if define in SPECIAL else sample(info) for key, info in infos.items()}

    path = export(tf, hubplug, define, tmp_path)
    needed, whole = both_ways(path, trainable, inputs_for, monkeypatch, gradients=define not in LOOPS)
    assert needed[2:] == whole[2:]
    if define in WITHOUT_SEED:
        return
    tf.nest.map_structure(np.testing.assert_array_equal, needed[:2], whole[:2])


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("published", ["DM21m", "half_plus_two_v1"], indirect=True)
def test_published_modules_give_the_same_both_ways(
    published: tuple[Path, Any], trainable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, reference = published
    given = {key[4:].replace("|", "/"): reference[key] for key in reference.files if key.startswith("in__")}

    def inputs_for(signature: str, infos: dict[str, Any]) -> dict[str, Any]:
        return {key: tf.constant(given[key], info.dtype) for key, info in infos.items()}

    needed, whole = both_ways(path, trainable, inputs_for, monkeypatch)
    assert needed[2:] == whole[2:]
    tf.nest.map_structure(np.testing.assert_array_equal, needed[:2], whole[:2])


@pytest.mark.parametrize("way", ["environment", "option"])
def test_the_way_back_has_nodes_that_no_output_depends_on(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [], name="fed")
        tf.multiply(x, 3.0, name="looked_up")
        tf.constant(["cat", "dog"], name="label_vocab")
        hubplug.add_signature(inputs=x, outputs=x + 1.0)

    path = export(tf, hubplug, lambda *_: module_fn(), tmp_path)
    configuration: dict[str, Any] = {"chain": ["file", "tf1"]}
    with tf.Graph().as_default() as graph:
        hubplug.Module(str(path))(2.0)
        with pytest.raises(KeyError, match="looked_up"):
            graph.get_tensor_by_name("module_apply_default/looked_up:0")
        with pytest.raises(KeyError, match="label_vocab"):
            graph.get_tensor_by_name("module/label_vocab:0")
    if way == "environment":
        monkeypatch.setenv("HUBPLUG_IMPORT_WHOLE_GRAPH", "1")
    else:
        configuration["plugins"] = {"tf1": {"options": {"import_whole_graph": True}}}
    with hubplug.Hub(configuration).activate(), tf.Graph().as_default() as graph, v1.Session() as session:
        hubplug.Module(str(path))(2.0)
        assert session.run(graph.get_tensor_by_name("module_apply_default/looked_up:0")) == 6.0
        assert session.run("module/label_vocab:0").tolist() == [b"cat", b"dog"]
        assert session.run("module/looked_up:0", {"module/fed:0": 5.0}) == 15.0


@pytest.mark.parametrize("library", ["hubplug", "tensorflow_hub"])
@pytest.mark.parametrize("define", KINDS, ids=lambda define: define.__name__)
def test_with_the_way_back_every_node_of_a_module_is_in_its_scope(
    define: Define, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip(library, exc_type=ImportError)
    path = export(tf, hubplug, define, tmp_path)
    saved_model = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    expected = {f"module/{node.name}": node.op for node in saved_model.meta_graphs[0].graph_def.node}
    monkeypatch.setenv("HUBPLUG_IMPORT_WHOLE_GRAPH", "1")
    with tf.Graph().as_default() as graph:
        hub.Module(str(path))
        there = {op.name: op.type for op in graph.get_operations()}
        assert {name: there.get(name) for name in expected} == expected
