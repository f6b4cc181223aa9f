"""Modules of the kinds that people really publish, each small: for tests that hold for whatever module there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# Given TensorFlow, the library that defines the module, and a directory for its files.
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
