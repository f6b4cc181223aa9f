"""Every Keras that is installed, and small things to make layers of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import hubplug

WORDS = ["a", "b", "c", "unknown"]


@pytest.fixture(params=["keras", "tf_keras"])
def keras(request: pytest.FixtureRequest, eager: None) -> Iterator[Any]:
    """Keras 3 and tf_keras; with TensorFlow 2.15, its own Keras 2 and tf_keras."""
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    found = import_module(request.param)
    yield found
    found.backend.clear_session()


@pytest.fixture
def layer(keras: Any) -> type[Any]:
    """``KerasLayer`` for that Keras."""
    from hubplug_keras import layer_class

    return layer_class(keras)


@pytest.fixture
def embedding(tmp_path: Path, eager: None) -> str:
    """A TF2 SavedModel of an embedding of words, with a table, a loss, and variables that Keras cannot have."""
    import tensorflow as tf

    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(WORDS[:3], [0, 1, 2]), 3)
    root = tf.train.Checkpoint()
    root.table, root.steps = table, tf.Variable(0, dtype=tf.int64, trainable=False, name="count/steps")
    root.vectors = tf.Variable(np_vectors(), name="embedding/vectors")
    root.said = tf.Variable("hello", name="said")
    root.variables = [root.steps, root.vectors, root.said]
    root.trainable_variables = [root.vectors]
    root.regularization_losses = [
        tf.function(lambda: 0.01 * tf.reduce_sum(root.vectors**2), input_signature=[]),
        tf.function(lambda: 0.02 * tf.reduce_sum(root.vectors**2), input_signature=[]),
    ]

    def embed(words: Any, training: bool = False) -> Any:
        if training:
            root.steps.assign_add(1)
        return tf.gather(root.vectors, table.lookup(words))

    root.__call__ = tf.function(embed)
    for training in (True, False):
        root.__call__.get_concrete_function(tf.TensorSpec([None], tf.string), training=training)
    served = tf.function(lambda words: {"embedded": root.__call__(words), "words": words})
    signature = served.get_concrete_function(tf.TensorSpec([None], tf.string, name="words"))
    tf.saved_model.save(root, str(tmp_path / "embedding"), signatures={"embed": signature})
    return str(tmp_path / "embedding")


def np_vectors() -> Any:
    import numpy as np

    return np.arange(8, dtype=np.float32).reshape([4, 2]) / 10


@pytest.fixture
def words(eager: None) -> Any:
    import tensorflow as tf

    return tf.constant(WORDS * 4)


@pytest.fixture
def targets(eager: None) -> Any:
    import tensorflow as tf

    return tf.constant([[0.0], [1.0], [2.0], [3.0]] * 4)


@pytest.fixture
def tf1_module(tmp_path: Path) -> Callable[[Callable[[], None]], str]:
    """Exports a module in TF1 Hub format, of what a function defines for tags {} and, with ``training``, for {"train"}."""
    import tensorflow as tf

    def export(define: Callable[[], None], tags_and_args: Any = None) -> str:
        path = tmp_path / define.__name__
        spec = hubplug.create_module_spec(define, tags_and_args)
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            module = hubplug.Module(spec, tags=tags_and_args[-1][0] if tags_and_args else None)
            session.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])
            module.export(str(path), session)
        return str(path)

    return export
