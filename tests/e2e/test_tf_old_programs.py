"""Programs as they were written for TensorFlow 1 and tensorflow_hub, with only the import changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import tensorflow as tf2

import hubplug as hub

pytestmark = pytest.mark.tensorflow

tf = tf2.compat.v1
WEIGHTS = np.array([[0.05, 0.15], [0.25, 0.35], [0.45, 0.55]], np.float32)
BIAS = np.array([0.05, 0.15], np.float32)
# Ids go to the two parts in turn; rows of the first part are ones, of the second fours.
HELLO, WORLD, FOO = 1.0, 4.0, 1.0


def initialize(session: tf.Session) -> None:
    session.run([tf.global_variables_initializer(), tf.tables_initializer()])


def publish(spec: hub.ModuleSpec, path: Path) -> str:
    with tf.Graph().as_default(), tf.Session() as session:
        module = hub.Module(spec)
        initialize(session)
        module.export(str(path), session)
    return str(path)


@pytest.fixture
def dense(tmp_path: Path) -> str:
    def module_fn() -> None:
        x = tf.placeholder(tf.float32, [None, 3])
        w = tf.get_variable("w", initializer=WEIGHTS)
        b = tf.get_variable("b", initializer=BIAS)
        hub.add_signature(inputs=x, outputs=tf.matmul(x, w) + b)

    return publish(hub.create_module_spec(module_fn), tmp_path / "dense")


@pytest.fixture
def text(tmp_path: Path) -> str:
    vocabulary = tmp_path / "vocabulary.txt"
    vocabulary.write_text("hello\nworld\nfoo\n")

    def initial(shape: tuple[int, ...], dtype: tf2.DType, partition_info: object = None) -> tf2.Tensor:
        offset = partition_info.var_offset[0] if partition_info else 0  # type: ignore[attr-defined]
        return tf.fill(shape, tf.cast(1 + offset, dtype))

    def module_fn() -> None:
        sentences = tf.placeholder(tf.string, [None])
        words = tf2.strings.split(sentences).to_sparse()
        path = tf.constant(str(vocabulary))
        tf.add_to_collection(tf.GraphKeys.ASSET_FILEPATHS, path)
        line, number = tf2.lookup.TextFileIndex.WHOLE_LINE, tf2.lookup.TextFileIndex.LINE_NUMBER
        reader = tf2.lookup.TextFileInitializer(path, tf.string, line, tf.int64, number)
        ids = tf.SparseTensor(
            words.indices, tf2.lookup.StaticVocabularyTable(reader, 2).lookup(words.values), words.dense_shape
        )
        parts = tf.get_variable("emb", [5, 4], partitioner=tf.fixed_size_partitioner(2), initializer=initial)
        embedded = tf.nn.embedding_lookup_sparse(parts, ids, None, combiner="sum")
        embedded.set_shape([None, 4])
        hub.add_signature(inputs=sentences, outputs=embedded)

    return publish(hub.create_module_spec(module_fn), tmp_path / "text")


def test_a_fine_tuned_text_encoder_goes_through_checkpoint_and_init_from_checkpoint(text: str, tmp_path: Path) -> None:
    with tf.Graph().as_default():
        step = tf.train.get_or_create_global_step()
        encoder = hub.Module(text, trainable=True)
        loss = tf.reduce_sum(encoder(["hello foo"]))
        train = tf.train.GradientDescentOptimizer(0.5).minimize(loss, global_step=step)
        with tf.train.MonitoredTrainingSession(
            checkpoint_dir=str(tmp_path / "run"),
            save_checkpoint_steps=2,
            save_checkpoint_secs=None,
            log_step_count_steps=None,
        ) as session:
            losses = [session.run([train, loss])[1] for _ in range(2)]
    assert losses[0] == 4 * (HELLO + FOO)
    checkpoint = tf.train.latest_checkpoint(str(tmp_path / "run"))
    assert dict(tf.train.list_variables(checkpoint)) == {"global_step": [], "module/emb": [5, 4]}

    with tf.Graph().as_default():
        encoder = hub.Module(text, name="other")
        (name,) = encoder.variable_map
        tf.train.init_from_checkpoint(checkpoint, {f"module/{name}": encoder.variable_map[name]})
        embedded = encoder(["hello", "world"])
        with tf.Session() as session:
            initialize(session)
            np.testing.assert_array_equal(session.run(embedded), [[HELLO - 2 * 0.5] * 4, [WORLD] * 4])


def test_towers_share_one_module_and_reuse_their_own_layers(dense: str) -> None:
    with tf.Graph().as_default():
        module = hub.Module(dense)

        def tower(x: object, reuse: bool) -> tf2.Tensor:
            with tf.variable_scope("tower", reuse=reuse):
                return module(x) * tf.get_variable("scale", initializer=2.0)

        left, right = tower([[1.0, 0.0, 0.0]], False), tower([[0.0, 1.0, 0.0]], True)
        assert module([[0.0, 0.0, 0.0]]).name == "module_apply_default/add:0"
        assert left.name == "tower/mul:0"
        assert right.name == "tower_1/mul:0"
        assert [v.name for v in tf.global_variables()] == ["module/w:0", "module/b:0", "tower/scale:0"]
        with tf.Session() as session:
            initialize(session)
            np.testing.assert_allclose(
                session.run([left, right]), [[2 * (WEIGHTS[0] + BIAS)], [2 * (WEIGHTS[1] + BIAS)]]
            )


def test_a_module_in_a_loop_a_branch_and_a_map_has_gradients(dense: str) -> None:
    with tf.Graph().as_default():
        module = hub.Module(dense, trainable=True)
        x = tf.ones([1, 3])
        _, total = tf.while_loop(lambda i, a: i < 2, lambda i, a: (i + 1, a + module(x)), [0, tf.zeros([1, 2])])
        chosen = tf.cond(tf.reduce_sum(x) > 0, lambda: module(x), lambda: tf.zeros([1, 2]))
        mapped = tf.map_fn(lambda row: module(row[None])[0], tf.ones([2, 3]))
        gradients = [tf.gradients(y, module.variable_map["b"])[0] for y in (total, chosen, mapped)]
        with tf.Session() as session:
            initialize(session)
            expected = WEIGHTS.sum(0) + BIAS
            got = session.run([total, chosen, mapped])
            np.testing.assert_allclose(np.concatenate(got), [2 * expected, expected, expected, expected], rtol=1e-6)
            np.testing.assert_array_equal(session.run(gradients), [[2.0, 2.0], [1.0, 1.0], [2.0, 2.0]])


def test_a_consumer_is_frozen_and_saved_and_becomes_a_module_itself(text: str, tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.placeholder(tf.string, [None], name="x")
        y = tf.identity(hub.Module(text)(x), name="y")
        initialize(session)
        tables = tf.tables_initializer()
        tf.saved_model.simple_save(session, str(tmp_path / "saved"), {"x": x}, {"y": y}, legacy_init_op=tables)
        assert len(graph.get_collection(tf.GraphKeys.ASSET_FILEPATHS)) >= 1
    assert os.listdir(tmp_path / "saved" / "assets") == ["vocabulary.txt"]

    spec = hub.create_module_spec_from_saved_model(str(tmp_path / "saved"))
    with tf.Graph().as_default(), tf.Session() as session:
        module = hub.Module(spec, tags={"serve"})
        outputs = module({"x": ["hello world"]}, signature="serving_default", as_dict=True)
        assert outputs["y"].name == "module_apply_serving_default/y:0"
        initialize(session)
        np.testing.assert_array_equal(session.run(outputs["y"]), [[HELLO + WORLD] * 4])


def test_a_module_made_of_another_needs_nothing_of_it_once_exported(text: str, tmp_path: Path) -> None:
    def module_fn() -> None:
        x = tf.placeholder(tf.string, [None])
        scale = tf.get_variable("scale", initializer=3.0)
        hub.add_signature(inputs=x, outputs=hub.Module(text, name="inner")(x) * scale)

    outer = publish(hub.create_module_spec(module_fn), tmp_path / "outer")
    Path(text).rename(f"{text}-away")
    with tf.Graph().as_default(), tf.Session() as session:
        module = hub.Module(outer)
        assert sorted(module.variable_map) == ["inner/emb", "scale"]
        output = module(["foo"])
        initialize(session)
        np.testing.assert_array_equal(session.run(output), [[3.0 * FOO] * 4])


@pytest.mark.usefixtures("programs_of_tensorflow_2")
@pytest.mark.parametrize("star", [False, True])
def test_a_program_runs_unmodified_under_the_command(dense: str, tmp_path: Path, star: bool) -> None:
    program = tmp_path / "program.py"
    names = ("from tensorflow_hub import *", "") if star else ("import tensorflow_hub as hub", "hub.")
    program.write_text(
        dedent(f"""\
            import sys
            import tensorflow as tf
            {names[0]}
            module = {names[1]}Module(sys.argv[1])
            x = tf.placeholder(tf.float32, [None, 3])
            y = module(x)
            with tf.Session() as session:
                session.run(tf.global_variables_initializer())
                print(y.name, session.run(y, {{x: [[0, 0, 0]]}}).tolist() == [[float(__import__("numpy").float32(0.05)), float(__import__("numpy").float32(0.15))]])
            """)
    )
    command = [sys.executable, "-m", "hubplug", "run", "--tf1", str(program), dense]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["module_apply_default/add:0", "True"]
