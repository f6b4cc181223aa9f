"""Modules travel between hubplug and tensorflow_hub 0.15, both ways, and mean the same at both ends.

Needs tensorflow_hub 0.15, the last release with ``hub.Module``, and so TensorFlow 2.15.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.wrappers_pb2 import Int32Value

import hubplug

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
v1 = tf.compat.v1

try:
    import tensorflow_hub
except ImportError:
    tensorflow_hub = None

pytestmark = [
    pytest.mark.skipif(
        not hasattr(tensorflow_hub, "Module"), reason="tensorflow_hub 0.15 cannot be imported with this TensorFlow"
    ),
    pytest.mark.filterwarnings("ignore"),
]

Author = Callable[..., None]


@pytest.fixture(autouse=True)
def _hub() -> Iterator[None]:
    with hubplug.Hub({"chain": ["file", "tf1"]}).activate():
        yield


def dense(hub: Any, files: Path, train: bool = False) -> None:
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    weights = v1.get_variable(
        "layer/w",
        initializer=np.arange(6, dtype=np.float32).reshape(3, 2),
        regularizer=lambda value: tf.reduce_sum(value) * 0.1,
    )
    mean = v1.get_variable("mean", initializer=np.array([1.0, 2.0], np.float32), trainable=False)
    v1.add_to_collection(v1.GraphKeys.MODEL_VARIABLES, mean)
    y = tf.matmul(x, weights) - mean
    if train:
        v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, v1.assign(mean, mean * 0.9 + tf.reduce_mean(y, 0) * 0.1))
        y = tf.nn.relu(y)
    hub.add_signature(inputs=x, outputs={"default": y, "hidden": x * 2.0})
    hub.add_signature("scale", {"x": x}, {"y": x * 3.0})
    hub.attach_message("answer", Int32Value(value=42 if not train else 43))


def partitioned(hub: Any, files: Path, train: bool = False) -> None:
    x = v1.placeholder(tf.float32, [None, 4])
    parts = v1.get_variable(
        "p",
        [4, 2],
        initializer=v1.random_uniform_initializer(seed=3),
        partitioner=v1.fixed_size_partitioner(3),
    )
    hub.add_signature(inputs=x, outputs=tf.matmul(x, parts.as_tensor()))


def tables(hub: Any, files: Path, train: bool = False) -> None:
    words = v1.placeholder(tf.string, [None])
    ids = []
    for folder in ("a", "b"):
        source = tf.lookup.TextFileInitializer(
            str(files / folder / "vocab.txt"),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        ids.append(tf.lookup.StaticVocabularyTable(source, 2).lookup(words))
    hub.add_signature(inputs=words, outputs=tf.stack(ids))


def composites(hub: Any, files: Path, train: bool = False) -> None:
    sparse = v1.sparse_placeholder(tf.float32, [None, 3])
    ragged = v1.ragged.placeholder(tf.float32, 1, [])
    scale = v1.get_variable("scale", initializer=2.0)
    outputs = {"sparse": sparse * scale, "ragged": ragged * scale}
    hub.add_signature("default", {"sparse": sparse, "ragged": ragged}, outputs)


def loops(hub: Any, files: Path, train: bool = False) -> None:
    x = v1.placeholder(tf.float32, [])
    weight = v1.get_variable("w", initializer=1.5)
    v1.disable_control_flow_v2()
    try:
        looped = v1.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y * weight), [0, x])[1]
        chosen = v1.cond(x > 1.0, lambda: looped, lambda: -looped)
    finally:
        v1.enable_control_flow_v2()
    hub.add_signature(inputs=x, outputs=chosen)


def stateless(hub: Any, files: Path, train: bool = False) -> None:
    x = v1.placeholder(tf.int32, [None])
    hub.add_signature(inputs=x, outputs=x + 1)


INPUTS: dict[Author, Any] = {
    dense: lambda: tf.constant([[1.0, 2.0, 3.0], [-4.0, 5.0, -6.0]]),
    partitioned: lambda: tf.eye(4),
    tables: lambda: tf.constant(["one", "two", "three", "unknown"]),
    composites: lambda: {
        "sparse": tf.SparseTensor([[0, 0], [1, 2]], [1.0, 2.0], [2, 3]),
        "ragged": tf.ragged.constant([[1.0], [], [2.0, 3.0]]),
    },
    loops: lambda: tf.constant(2.0),
    stateless: lambda: tf.constant([1, 2, 3]),
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for folder, words in (("a", "one\ntwo\n"), ("b", "three\ntwo\none\n")):
        (tmp_path / "files" / folder).mkdir(parents=True)
        (tmp_path / "files" / folder / "vocab.txt").write_text(words)
    return tmp_path / "files"


def publish(hub: Any, author: Author, files: Path, path: Path) -> Path:
    spec = hub.create_module_spec(
        lambda **arguments: author(hub, files, **arguments), [(set(), {}), ({"train"}, {"train": True})]
    )
    return export(hub, spec, path)


def export(hub: Any, spec: Any, path: Path) -> Path:
    with tf.Graph().as_default():
        module = hub.Module(spec)
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            module.export(str(path), session)
    return path


def meaning(hub: Any, path: Path, author: Author, tags: Any = None, trainable: bool = False) -> dict[str, Any]:
    """Everything that a program sees of a module."""
    spec = hub.load_module_spec(str(path))
    with tf.Graph().as_default() as graph:
        module = hub.Module(str(path), tags=tags, trainable=trainable)
        outputs = module(INPUTS[author](), as_dict=True)
        parts = {
            key: [v.name for v in value] if isinstance(value, list) else value.name
            for key, value in module.variable_map.items()
        }
        collections = {
            key: sorted(str(getattr(item, "name", item)) for item in graph.get_collection(key))
            for key in graph.get_all_collection_keys()
            if isinstance(key, str)
            and graph.get_collection(key)
            and key not in (v1.GraphKeys.COND_CONTEXT, v1.GraphKeys.WHILE_CONTEXT)
        }
        collections.pop(v1.GraphKeys.ASSET_FILEPATHS, None)
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            values = session.run({"outputs": outputs, "variables": list(module.variables)})
    infos = {
        name: {
            direction: {key: str(info.type_spec) for key, info in ask(name, tags).items()}
            for direction, ask in (("in", spec.get_input_info_dict), ("out", spec.get_output_info_dict))
        }
        for name in sorted(spec.get_signature_names(tags))
    }
    message = spec.get_attached_message("answer", Int32Value, tags=tags)
    return {
        "tags": sorted(map(sorted, spec.get_tags())),
        "signatures": infos,
        "message": message and message.value,
        "variables": parts,
        "collections": collections,
        "values": tf.nest.map_structure(lambda value: np.asarray(value).tolist(), values, expand_composites=False)
        if author is not composites
        else repr(values),
    }


@pytest.mark.parametrize("author", INPUTS, ids=lambda author: author.__name__)
def test_a_module_of_either_means_the_same_in_both(tmp_path: Path, files: Path, author: Author) -> None:
    for publisher in (hubplug, tensorflow_hub):
        path = publish(publisher, author, files, tmp_path / publisher.__name__)
        assert meaning(hubplug, path, author) == meaning(tensorflow_hub, path, author), publisher.__name__


def test_the_training_variant_means_the_same_in_both(tmp_path: Path, files: Path) -> None:
    for publisher in (hubplug, tensorflow_hub):
        path = publish(publisher, dense, files, tmp_path / publisher.__name__)
        ours, theirs = (meaning(hub, path, dense, {"train"}, True) for hub in (hubplug, tensorflow_hub))
        assert ours == theirs, publisher.__name__


@pytest.mark.parametrize("author", [dense, partitioned, tables, composites, stateless], ids=lambda a: a.__name__)
def test_both_write_the_same_files(tmp_path: Path, files: Path, author: Author) -> None:
    ours, theirs = (
        publish(publisher, author, files, tmp_path / publisher.__name__) for publisher in (hubplug, tensorflow_hub)
    )
    listing = [sorted(str(p.relative_to(root)) for p in root.rglob("*")) for root in (ours, theirs)]
    assert listing[0] == listing[1]
    for name in ("tfhub_module.pb", *(f"assets/{file}" for file in os.listdir(ours / "assets"))):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()
    assert parsed(ours) == parsed(theirs)


def parsed(path: Path) -> Any:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved_model = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    for meta_graph in saved_model.meta_graphs:
        # Names of functions are numbered over the process.
        meta_graph.graph_def.library.Clear()
    return saved_model


@pytest.mark.parametrize("author", [dense, partitioned, tables, composites], ids=lambda author: author.__name__)
def test_a_module_survives_the_way_there_and_back(tmp_path: Path, files: Path, author: Author) -> None:
    first = publish(tensorflow_hub, author, files, tmp_path / "first")
    second = export(hubplug, str(first), tmp_path / "second")
    third = export(tensorflow_hub, tensorflow_hub.load_module_spec(str(second)), tmp_path / "third")
    assert parsed(first) == parsed(second) == parsed(third)
    for name in ("variables/variables.index", "variables/variables.data-00000-of-00001"):
        if (first / name).exists():
            assert (first / name).read_bytes() == (second / name).read_bytes() == (third / name).read_bytes()


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("author", [dense, partitioned, tables, composites], ids=lambda author: author.__name__)
def test_what_is_exported_under_eager_execution_is_the_module_that_it_was(
    tmp_path: Path, files: Path, author: Author
) -> None:
    first = publish(tensorflow_hub, author, files, tmp_path / "first")
    hubplug.Module(str(first)).export(str(tmp_path / "second"))
    assert parsed(first) == parsed(tmp_path / "second")
    for name in ("variables/variables.index", "variables/variables.data-00000-of-00001"):
        if (first / name).exists():
            assert (first / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    export(tensorflow_hub, tensorflow_hub.load_module_spec(str(tmp_path / "second")), tmp_path / "third")


def test_an_image_size_attached_by_one_is_read_by_the_other(tmp_path: Path) -> None:
    for publisher, reader in ((hubplug, tensorflow_hub), (tensorflow_hub, hubplug)):

        def module_fn(hub: Any = publisher) -> None:
            images = v1.placeholder(tf.float32, [None, None, None, 3])
            hub.add_signature(inputs={"images": images}, outputs=tf.reduce_mean(images, [1, 2]))
            info = hub.ImageModuleInfo()
            info.default_image_size.height, info.default_image_size.width = 5, 7
            hub.attach_image_module_info(info)

        path = export(publisher, publisher.create_module_spec(module_fn), tmp_path / publisher.__name__)
        spec = reader.load_module_spec(str(path))
        assert reader.get_expected_image_size(spec) == [5, 7]
        assert reader.get_num_image_channels(spec) == 3


def test_a_module_exported_from_a_checkpoint_here_loads_there(tmp_path: Path, files: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("run/p", initializer=np.arange(8, dtype=np.float32).reshape(4, 2))
        session.run(v1.global_variables_initializer())
        checkpoint = v1.train.Saver().save(session, str(tmp_path / "run" / "model"))
    spec = hubplug.create_module_spec(lambda: partitioned(hubplug, files))
    spec.export(str(tmp_path / "m"), checkpoint_path=checkpoint, name_transform_fn=lambda name: "run/" + name)
    theirs = meaning(tensorflow_hub, tmp_path / "m", partitioned)
    assert theirs["values"]["outputs"]["default"] == np.arange(8.0).reshape(4, 2).tolist()
    assert meaning(hubplug, tmp_path / "m", partitioned) == theirs


def test_a_module_of_many_batches_has_one_data_file_and_loads_there(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hubplug_tf1._exporting import checkpoint as _checkpoint

    monkeypatch.setattr(_checkpoint, "BATCH_BYTES", 8)
    for author in (dense, partitioned):
        path = publish(hubplug, author, files, tmp_path / author.__name__)
        assert sorted(os.listdir(path / "variables")) == ["variables.data-00000-of-00001", "variables.index"]
        assert meaning(hubplug, path, author) == meaning(tensorflow_hub, path, author)
