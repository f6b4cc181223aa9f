"""Modules that people really publish are complete and safe: no false alarm, whatever kind they are."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hubplug.types import Finding
from hubplug_format import CheckpointIndex, ObjectVariable, SavedModelFile, read_object_variables
from hubplug_signatures._complete import check_directory
from hubplug_signatures._scan import scan_directory

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def tf() -> Any:
    import tensorflow

    return tensorflow


def alarms(directory: Path) -> list[Finding]:
    return [finding for finding in check_directory(directory) + scan_directory(directory) if finding.level != "note"]


Define = Callable[[Any, Any, Path], None]


def dense_layer(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None, 4])
    w = tf.compat.v1.get_variable("w", [4, 2], regularizer=lambda v: tf.nn.l2_loss(v))
    hub.add_signature(inputs=x, outputs=tf.matmul(x, w))


def partitioned(tf: Any, hub: Any, files: Path) -> None:
    ids = tf.compat.v1.placeholder(tf.int64, [None])
    split = tf.compat.v1.fixed_size_partitioner(3)
    table = tf.compat.v1.get_variable("table", [10, 2], partitioner=split)
    hub.add_signature(inputs=ids, outputs=tf.compat.v1.nn.embedding_lookup(table, ids, "div"))


def reference_variable(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None])
    scale = tf.compat.v1.get_variable("scale", initializer=2.0, use_resource=False)
    hub.add_signature(inputs=x, outputs=x * scale)


def without_state(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, None)
    hub.add_signature(inputs=x, outputs=x + 1.0)


def without_inputs(tf: Any, hub: Any, files: Path) -> None:
    hub.add_signature(outputs=tf.constant([1.0, 2.0]))


def vocabulary(tf: Any, hub: Any, files: Path) -> None:
    path = files / "vocab.txt"
    path.write_text("a\nb\n", encoding="utf-8")
    words = tf.compat.v1.placeholder(tf.string, [None])
    table = tf.lookup.StaticVocabularyTable(
        tf.lookup.TextFileInitializer(
            str(path), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        ),
        2,
    )
    hub.add_signature(inputs=words, outputs=table.lookup(words))


def sparse_text_embedding(tf: Any, hub: Any, files: Path) -> None:
    path = files / "words.txt"
    path.write_text("hello\nworld\n", encoding="utf-8")
    texts = tf.compat.v1.placeholder(tf.string, [None])
    tokens = tf.compat.v1.string_split(tf.strings.regex_replace(texts, "[,.]", ""))
    table = tf.lookup.StaticVocabularyTable(
        tf.lookup.TextFileInitializer(
            str(path), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        ),
        1,
    )
    ids = tf.SparseTensor(tokens.indices, table.lookup(tokens.values), tokens.dense_shape)
    embeddings = tf.compat.v1.get_variable("embeddings", [3, 4])
    safe_lookup = tf.compat.v1.nn.safe_embedding_lookup_sparse
    hub.add_signature(inputs=texts, outputs=safe_lookup(embeddings, ids, combiner="sqrtn"))


def asset_that_is_only_returned(tf: Any, hub: Any, files: Path) -> None:
    path = files / "vocab.txt"
    path.write_text("a\n", encoding="utf-8")
    asset = tf.constant(str(path))
    tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS, asset)
    hub.add_signature("tokenization_info", outputs={"vocab_file": asset, "do_lower_case": tf.constant(True)})


def table_in_memory(tf: Any, hub: Any, files: Path) -> None:
    words = tf.compat.v1.placeholder(tf.string, [None])
    keys = tf.constant(["a", "b"])
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, tf.constant([1, 2])), -1)
    hub.add_signature(inputs=words, outputs=table.lookup(words))


def image_features(tf: Any, hub: Any, files: Path) -> None:
    images = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3])
    kernel = tf.compat.v1.get_variable("kernel", [3, 3, 3, 4])
    net = tf.nn.relu(tf.nn.conv2d(images, kernel, 1, "SAME"))
    hub.add_signature(inputs={"images": images}, outputs=tf.reduce_mean(net, [1, 2]))
    hub.attach_message("image_module_info", hub.ImageModuleInfo())


def batch_norm(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None, 4, 4, 2])
    ones, zeros = tf.compat.v1.ones_initializer(), tf.compat.v1.zeros_initializer()
    scale = tf.compat.v1.get_variable("gamma", [2], initializer=ones)
    offset = tf.compat.v1.get_variable("beta", [2], initializer=zeros)
    mean = tf.compat.v1.get_variable("mean", [2], initializer=zeros, trainable=False)
    y, batch_mean, _ = tf.compat.v1.nn.fused_batch_norm(x, scale, offset)
    update = tf.compat.v1.assign(mean, 0.9 * mean + 0.1 * batch_mean)
    tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.UPDATE_OPS, update.op if hasattr(update, "op") else update)
    hub.add_signature(inputs=x, outputs=y)


def dropout(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None, 4])
    hub.add_signature(inputs=x, outputs=tf.nn.dropout(x, rate=0.5, seed=1))


def while_loop_v1(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [])
    _, y = tf.compat.v1.while_loop(lambda i, _: i < 3, lambda i, v: (i + 1, v * 2.0), [0, x])
    hub.add_signature(inputs=x, outputs=y)


def cond_v1(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [])
    hub.add_signature(inputs=x, outputs=tf.compat.v1.cond(x > 0, lambda: x * 2.0, lambda: x - 1.0))


def scan_over_time(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None, 2])
    hub.add_signature(inputs=x, outputs=tf.scan(lambda state, step: state * 0.5 + step, x, tf.zeros([2])))


def assertions(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None])
    with tf.control_dependencies([tf.debugging.Assert(tf.size(x) > 0, [x, "empty"])]):
        hub.add_signature(inputs=x, outputs=tf.identity(x))


def print_of_tf1(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None])
    hub.add_signature(inputs=x, outputs=tf.compat.v1.Print(x, [x], "seen: "))


def print_to_a_stream(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None])
    with tf.control_dependencies([tf.print("given", x), tf.print("again", x, output_stream=tf.compat.v1.logging.info)]):
        hub.add_signature(inputs=x, outputs=tf.identity(x))


def sampling_by_frequency(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.int64, [None, 1])
    sampled = tf.random.fixed_unigram_candidate_sampler(x, 1, 2, True, 3, unigrams=[1.0, 2.0, 3.0])
    hub.add_signature(inputs=x, outputs=sampled.sampled_candidates)


def decoding(tf: Any, hub: Any, files: Path) -> None:
    data = tf.compat.v1.placeholder(tf.string, [None])
    hub.add_signature(inputs=data, outputs=tf.io.decode_raw(data, tf.uint8, fixed_length=4))


def image_decoding(tf: Any, hub: Any, files: Path) -> None:
    data = tf.compat.v1.placeholder(tf.string, [])
    hub.add_signature(inputs=data, outputs=tf.io.decode_jpeg(data, channels=3))


def example_parsing(tf: Any, hub: Any, files: Path) -> None:
    data = tf.compat.v1.placeholder(tf.string, [None])
    parsed = tf.io.parse_example(data, {"x": tf.io.FixedLenFeature([2], tf.float32)})
    hub.add_signature(inputs=data, outputs=parsed["x"])


def sparse_input(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.sparse_placeholder(tf.float32, [None, 3])
    hub.add_signature(inputs=x, outputs=tf.sparse.reduce_sum(x, 1))


def ragged_input(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.ragged.placeholder(tf.float32, 1, value_shape=[])
    hub.add_signature(inputs=x, outputs=tf.reduce_sum(x, 1))


def several_signatures(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None])
    hub.add_signature(inputs=x, outputs={"default": x, "net/double": x * 2.0})
    hub.add_signature("triple", inputs={"x": x}, outputs=x * 3.0)


def random_numbers(tf: Any, hub: Any, files: Path) -> None:
    shape = tf.compat.v1.placeholder(tf.int32, [None])
    hub.add_signature(inputs=shape, outputs=tf.random.uniform(shape))


def function_call(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None])
    squared = tf.function(lambda value: value * value)
    hub.add_signature(inputs=x, outputs=squared(x))


def long_strings(tf: Any, hub: Any, files: Path) -> None:
    texts = tf.constant(["a sentence with more than thirty-two characters, as any vocabulary has", "\n\x04text" * 10])
    hub.add_signature(outputs=texts)


def numpy_constants(tf: Any, hub: Any, files: Path) -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None, 64])
    hub.add_signature(inputs=x, outputs=tf.matmul(x, tf.constant(np.ones([64, 64], np.float32))))


def custom_gradient(tf: Any, hub: Any, files: Path) -> None:
    @tf.custom_gradient
    def double(value: Any) -> Any:
        return value * 2.0, lambda upstream: upstream

    x = tf.compat.v1.placeholder(tf.float32, [None])
    hub.add_signature(inputs=x, outputs=double(x))


KINDS: list[Define] = [
    dense_layer,
    partitioned,
    reference_variable,
    without_state,
    without_inputs,
    vocabulary,
    sparse_text_embedding,
    asset_that_is_only_returned,
    table_in_memory,
    image_features,
    batch_norm,
    dropout,
    while_loop_v1,
    cond_v1,
    scan_over_time,
    assertions,
    print_of_tf1,
    print_to_a_stream,
    sampling_by_frequency,
    decoding,
    image_decoding,
    example_parsing,
    sparse_input,
    ragged_input,
    several_signatures,
    random_numbers,
    function_call,
    long_strings,
    numpy_constants,
    custom_gradient,
]


def export(tf: Any, hub: Any, define: Define, tmp_path: Path) -> Path:
    spec = hub.create_module_spec(lambda: define(tf, hub, tmp_path))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        module = hub.Module(spec)
        session.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])
        module.export(str(tmp_path / "module"), session)
    return tmp_path / "module"


@pytest.mark.parametrize("define", KINDS, ids=lambda define: define.__name__)
@pytest.mark.parametrize("writer", ["hubplug", "tensorflow_hub"])
def test_a_legitimate_module_raises_no_alarm(tf: Any, tmp_path: Path, writer: str, define: Define) -> None:
    if writer == "tensorflow_hub":
        pytest.importorskip("tensorflow_hub", exc_type=ImportError)
    hub = importlib.import_module(writer)
    if define is image_features and not hasattr(hub, "ImageModuleInfo"):
        pytest.skip("this release has no ImageModuleInfo")
    assert alarms(export(tf, hub, define, tmp_path)) == []


def test_published_modules_raise_no_alarm(shared_modules: Path, tmp_path: Path) -> None:
    import tarfile

    assert alarms(shared_modules / "DM21m") == []
    with tarfile.open(shared_modules / "half_plus_two_v1.tar.gz") as archive:
        for member in archive.getmembers():
            if member.isfile() and ".." not in member.name:
                target = tmp_path / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                file = archive.extractfile(member)
                assert file is not None
                target.write_bytes(file.read())
    assert alarms(tmp_path) == []


def test_a_tf1_saved_model_with_its_saver_raises_no_alarm(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    for name, sharded in (("plain", False), ("sharded", True)):
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None], "x")
            y = x * v1.get_variable("v", initializer=2.0)
            session.run(v1.global_variables_initializer())
            builder = v1.saved_model.Builder(str(tmp_path / name))
            signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
            saver = v1.train.Saver(sharded=sharded)
            builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, saver=saver)
            builder.save()
        assert alarms(tmp_path / name) == []


def save_tf2(tf: Any, path: Path, files: Path) -> None:
    vocabulary = files / "vocab.txt"
    vocabulary.write_text("a\nb\n", encoding="utf-8")
    root = tf.Module()
    root.table = tf.lookup.StaticVocabularyTable(
        tf.lookup.TextFileInitializer(
            str(vocabulary),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        1,
    )
    root.v = tf.Variable(tf.random.normal([3, 4]))
    root.f = tf.function(
        lambda words: tf.gather(root.v, root.table.lookup(words)), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    tf.saved_model.save(root, str(path), signatures=root.f)


def test_a_tf2_saved_model_with_saver_table_and_asset_raises_no_alarm(tf: Any, tmp_path: Path) -> None:
    save_tf2(tf, tmp_path / "tf2", tmp_path)
    assert alarms(tmp_path / "tf2") == []


def test_keras_models_raise_no_alarm(tf: Any, tmp_path: Path) -> None:
    keras = importlib.import_module("tf_keras")
    model = keras.Sequential(
        [keras.layers.LSTM(4, input_shape=(None, 3)), keras.layers.Dropout(0.1), keras.layers.Dense(2)]
    )
    tf.saved_model.save(model, str(tmp_path / "m"))
    assert alarms(tmp_path / "m") == []


def compared(directory: Path) -> list[ObjectVariable]:
    (variant,) = SavedModelFile.read(directory).variants.values()
    return read_object_variables(variant, CheckpointIndex.read(directory / "variables/variables"))


def test_every_variable_of_a_trained_keras_model_is_compared_and_agrees(tf: Any, tmp_path: Path) -> None:
    keras = importlib.import_module("tf_keras")
    layers = [keras.layers.LSTM(4, input_shape=(5, 3)), keras.layers.BatchNormalization(), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    model.fit(tf.zeros([4, 5, 3]), tf.zeros([4, 2]), verbose=0)
    tf.saved_model.save(model, str(tmp_path / "m"))
    names = {variable.name for variable in compared(tmp_path / "m")}
    assert {variable.name.partition(":")[0] for variable in model.variables} <= names
    assert alarms(tmp_path / "m") == []


def test_every_variable_of_a_keras_3_export_is_compared_and_agrees(tf: Any, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras", minversion="3")
    model = keras.Sequential([keras.layers.Input((5, 3)), keras.layers.LSTM(4), keras.layers.Dropout(0.2)])
    model.export(str(tmp_path / "m"), verbose=False)
    assert len(compared(tmp_path / "m")) >= len(model.variables)
    assert alarms(tmp_path / "m") == []


def test_variables_of_unknown_shape_in_lists_and_saved_again_raise_no_alarm(tf: Any, tmp_path: Path) -> None:
    root = tf.Module()
    root.grows = tf.Variable([1.0], shape=[None])
    root.items = [tf.Variable("text"), tf.Variable([1, 2], dtype=tf.int64, trainable=False)]
    root.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    tf.saved_model.save(root, str(tmp_path / "m"))
    tf.saved_model.save(tf.saved_model.load(str(tmp_path / "m")), str(tmp_path / "again"))
    for directory in (tmp_path / "m", tmp_path / "again"):
        assert len(compared(directory)) == 3
        assert alarms(directory) == []


def test_a_tf2_saved_model_with_the_checkpoint_of_another_is_found(tf: Any, tmp_path: Path) -> None:
    for name, size in (("m", 3), ("other", 4)):
        root = tf.Module()
        root.v = tf.Variable(tf.zeros([size]), name="v")
        tf.saved_model.save(root, str(tmp_path / name))
    shutil.rmtree(tmp_path / "m/variables")
    shutil.copytree(tmp_path / "other/variables", tmp_path / "m/variables")
    (finding,) = check_directory(tmp_path / "m")
    assert (finding.rule, finding.where) == ("complete/variable", "v")
    assert "has the shape [3] in the object graph and [4] in the checkpoint" in finding.message


def test_a_module_made_from_a_saved_model_raises_no_alarm(tf: Any, tmp_path: Path) -> None:
    import hubplug

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        y = x * v1.get_variable("v", initializer=2.0)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(tmp_path / "saved_model"))
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    spec = hubplug.create_module_spec_from_saved_model(str(tmp_path / "saved_model"))
    with tf.Graph().as_default(), v1.Session() as session:
        module = hubplug.Module(spec, tags={"serve"})
        session.run(v1.global_variables_initializer())
        module.export(str(tmp_path / "module"), session)
    assert alarms(tmp_path / "module") == []


def test_the_savers_ops_of_a_tf2_saved_model_are_findings_when_a_signature_leads_to_them(
    tf: Any, tmp_path: Path
) -> None:
    """The published bypass: SaveV2 under the saver's cover, called by a signature too."""
    from hubplug_format import message_class

    save_tf2(tf, tmp_path / "tf2", tmp_path)
    path = tmp_path / "tf2" / "saved_model.pb"
    model = message_class("SavedModel").FromString(path.read_bytes())
    (meta_graph,) = model.meta_graphs
    (caller,) = (
        node
        for node in meta_graph.graph_def.node
        if node.name == meta_graph.saver_def.save_tensor_name.partition(":")[0]
    )
    stolen = meta_graph.graph_def.node.add()
    stolen.CopyFrom(caller)
    stolen.name = "innocent"
    path.write_bytes(model.SerializeToString())
    assert {"safe/writes-files"} <= {finding.rule for finding in scan_directory(tmp_path / "tf2")}


def test_a_table_that_reads_another_file_is_a_finding(tf: Any, tmp_path: Path) -> None:
    import hubplug
    from hubplug_format import message_class

    module = export(tf, hubplug, vocabulary, tmp_path)
    path = module / "saved_model.pb"
    model = message_class("SavedModel").FromString(path.read_bytes())
    (meta_graph,) = model.meta_graphs
    other = meta_graph.graph_def.node.add(name="other", op="Const")
    other.attr["value"].tensor.dtype = 7
    other.attr["value"].tensor.string_val.append(b"/etc/passwd")
    (table,) = (node for node in meta_graph.graph_def.node if node.op == "InitializeTableFromTextFileV2")
    table.input[1] = "other"
    path.write_bytes(model.SerializeToString())
    (finding,) = [finding for finding in scan_directory(module) if finding.level == "error"]
    assert finding.rule == "safe/table-file"
    assert "'/etc/passwd'" in finding.message
