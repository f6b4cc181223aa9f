"""``import tensorflow`` under ``hubplug run --tf1``: every form of an import gives TensorFlow 1's API, and keeps giving it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

import pytest
import tensorflow as tf

TF_VERSION = tuple(int(part) for part in tf.__version__.split(".")[:2])

pytestmark = pytest.mark.usefixtures("programs_of_tensorflow_2")

# With Keras 3, tf.layers and nn.rnn_cell are empty, and tf.keras is Keras 3's.
LEGACY = {"Keras 2": "1"} if find_spec("tf_keras") else {}
KERAS = {**LEGACY, "Keras 3" if TF_VERSION >= (2, 16) else "TensorFlow's own Keras": "0"}

STATEMENTS = """
    import tensorflow as tf; assert tf.Session and tf.placeholder
    import tensorflow; assert tensorflow.keras and tensorflow.get_variable
    from tensorflow import placeholder, Session
    from tensorflow import *; placeholder, Session, train
    import importlib; assert importlib.import_module("tensorflow.train").AdamOptimizer
    import tensorflow.train; tensorflow.train.AdamOptimizer
    import tensorflow.train as t; t.AdamOptimizer
    from tensorflow import train as t; t.AdamOptimizer
    from tensorflow.train import AdamOptimizer, Saver
    from tensorflow.train import *; AdamOptimizer
    from tensorflow.saved_model import tag_constants, signature_constants; tag_constants.SERVING
    from tensorflow.saved_model.tag_constants import SERVING
    from tensorflow.saved_model import builder as b; b.SavedModelBuilder
    import tensorflow.saved_model.signature_constants as s; s.DEFAULT_SERVING_SIGNATURE_DEF_KEY
    from tensorflow.nn import rnn_cell, conv2d
    from tensorflow.losses import sparse_softmax_cross_entropy
    import tensorflow.layers, tensorflow.logging, tensorflow.gfile, tensorflow.flags, tensorflow.metrics
    import tensorflow.summary, tensorflow.image, tensorflow.initializers, tensorflow.graph_util
    from tensorflow.logging import set_verbosity, INFO
    from tensorflow.gfile import GFile, Exists
    import tensorflow.flags as f; f.DEFINE_string
    from tensorflow.app import flags, run
    from tensorflow.app.flags import FLAGS
    from tensorflow.metrics import accuracy
    from tensorflow.summary import FileWriter, scalar
    from tensorflow.image import resize_bilinear
    from tensorflow.initializers import zeros, truncated_normal
    from tensorflow.graph_util import convert_variables_to_constants
    from tensorflow.python_io import TFRecordWriter
    from tensorflow.io import gfile
    from tensorflow.io.gfile import GFile
    import tensorflow.data as d; d.Dataset.from_tensors(1).make_one_shot_iterator
    from tensorflow.test import TestCase
    from tensorflow.errors import NotFoundError
    from tensorflow.lite import TFLiteConverter, constants
    import tensorflow.lite.python.lite as l; l.TFLiteConverter
    from tensorflow.python.framework import ops; from tensorflow.core.framework import graph_pb2
    from tensorflow.python import debug
    import tensorflow.python.ops.variable_scope as v; v.variable_scope
    from tensorflow.compat.v1 import placeholder
    import tensorflow.compat.v1 as one; one.placeholder, one.keras
    import tensorflow.compat.v2 as two; assert not hasattr(two, "placeholder")
    from tensorflow.compat import as_text, v1; v1.placeholder
    import tensorflow.keras as k; k.Sequential
    from tensorflow import keras; keras.Model
    from tensorflow.keras import layers, backend as K; layers.Dense
    from tensorflow.keras.layers import Dense, Lambda
    from tensorflow.keras.models import Model, load_model
    import tensorflow.keras.preprocessing.image
    from tensorflow.keras.applications import mobilenet
    from tensorflow.keras.applications.mobilenet import preprocess_input
    import tensorflow.keras.backend as K; K.int_shape
"""
WITH_KERAS_2 = """
    from tensorflow.keras import backend as K; K.set_session, K.get_session
    from tensorflow.keras.backend import set_session
    import tensorflow.keras; tensorflow.keras.backend.set_session
    from tensorflow.layers import dense, conv2d
    import tensorflow.layers as l; l.flatten
    from tensorflow.nn.rnn_cell import LSTMCell, MultiRNNCell
    import tensorflow.nn.rnn_cell as r; r.GRUCell
    from tensorflow.keras.initializers import glorot_uniform
"""

CHECKING = """
    import importlib, sys, traceback, types
    import tensorflow as tf
    v1 = tf.compat.v1

    def modules(package, name):
        try:
            parts = dir(package)
        except ModuleNotFoundError:  # with Keras 3, tf.layers is empty
            return
        for part in parts:
            module = None if part.startswith("_") else getattr(package, part, None)
            if isinstance(module, types.ModuleType) and part != "compat":
                real = type.__getattribute__(type(module), "__module__") and module.__dict__.get("__name__", "")
                if "_api." in real or ".api." in real or not real:
                    yield f"{name}.{part}", module
                    yield from modules(module, f"{name}.{part}")

    def what_tf_has():
        return {name: getattr(tf, name, None) for name in dir(v1) if not name.startswith("_")}

    before = what_tf_has()
    statements = STATEMENTS
    for statement in statements:
        try:
            exec(statement, {})
        except Exception:
            print("failed:", statement, traceback.format_exc())
        if sys.modules["tensorflow"] is not tf or any(getattr(tf, name) is not value for name, value in before.items()):
            print("changed by:", statement)
    found = 0
    for name, module in modules(v1, "tensorflow"):
        imported = importlib.import_module(name)
        if imported is not module:
            print("another:", name, module, imported)
        found += 1
    print(f"{len(statements)} statements, {found} modules")
"""


def run(
    tmp_path: Path, program: str, *arguments: str, options: tuple[str, ...] = ("--tf1",), keras: str = "1"
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "p.py").write_text(dedent(program))
    return subprocess.run(
        [sys.executable, "-m", "hubplug", "run", *options, "p.py", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_USE_LEGACY_KERAS": keras},
    )


@pytest.mark.parametrize("keras", KERAS)
def test_every_form_of_an_import_gives_tensorflow_1_and_changes_nothing(keras: str, tmp_path: Path) -> None:
    text = STATEMENTS + ("" if keras == "Keras 3" else WITH_KERAS_2)
    statements = [line.strip() for line in text.strip().splitlines()]
    done = run(tmp_path, dedent(CHECKING).replace("STATEMENTS", repr(statements)), keras=KERAS[keras])
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done.stdout + done.stderr
    assert lines[0].startswith(f"{len(statements)} statements, ")
    assert int(lines[0].split()[2]) >= 80


@pytest.mark.parametrize(
    "statement",
    [
        "from tensorflow.keras import backend as K; K.set_session; import tensorflow as tf",
        "import tensorflow.train as t; t.AdamOptimizer; import tensorflow as tf",
        "from tensorflow.layers import dense; import tensorflow as tf",
    ],
)
@pytest.mark.skipif(not LEGACY, reason="tf_keras is not installed")
def test_the_first_import_of_a_program_may_be_one_below_tensorflow(statement: str, tmp_path: Path) -> None:
    done = run(tmp_path, f"{statement}; assert tf.keras.backend.set_session; print(tf.executing_eagerly())")
    assert done.stdout == "False\n", done.stderr


def test_a_module_that_tensorflow_1_does_not_have_is_not_there_even_without_keras(tmp_path: Path) -> None:
    done = run(tmp_path, "import sys; sys.modules['tf_keras'] = None; import tensorflow.nobody")
    assert "No module named 'tensorflow.nobody'" in done.stderr
    assert done.returncode == 1


def test_a_traceback_begins_at_the_programs_own_line(tmp_path: Path) -> None:
    done = run(tmp_path, "import tensorflow as tf\ntf.Session.nobody\n")
    trace = done.stderr[done.stderr.index("Traceback") :].splitlines()
    assert trace[1].strip() == f'File "{tmp_path / "p.py"}", line 2, in <module>'
    assert trace[-1].startswith("AttributeError: type object 'Session'")
    assert "hubplug" not in "\n".join(trace).replace(str(tmp_path), "")


def test_tensorflow_is_imported_when_the_program_imports_it(tmp_path: Path) -> None:
    done = run(tmp_path, "import sys, tensorflow_hub\nprint('tensorflow' in sys.modules)\n")
    assert done.stdout == "False\n", done.stderr


@pytest.mark.skipif(TF_VERSION < (2, 16), reason="Keras 3 is newer")
def test_keras_3_itself_goes_on_with_the_real_tensorflow(tmp_path: Path) -> None:
    program = """
        import tensorflow as tf
        from keras.src.utils import module_utils
        print(module_utils.tensorflow.Variable is tf.compat.v2.Variable, tf.compat.v2.Variable is not tf.Variable)
    """
    done = run(tmp_path, program, keras="0")
    assert done.stdout == "True True\n", done.stderr


def test_children_of_a_program_have_tensorflow_1_too(tmp_path: Path) -> None:
    program = """
        from multiprocessing import get_context
        def work():
            import tensorflow as tf
            print(tf.placeholder.__name__, tf.executing_eagerly(), flush=True)
        if __name__ == "__main__":
            child = get_context("spawn").Process(target=work)
            child.start()
            child.join()
    """
    assert run(tmp_path, program).stdout == "placeholder False\n"


def test_hub_load_and_columns_work_there(tmp_path: Path) -> None:
    class Doubling(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def __call__(self, x: tf.Tensor) -> tf.Tensor:
            return 2 * x

    tf.saved_model.save(Doubling(), str(tmp_path / "m"))
    program = """
        import tensorflow as tf
        import tensorflow_hub as hub
        loaded = hub.load("m")
        y = loaded(tf.constant([1.0, 2.0]))
        with tf.Session() as session:
            print(session.run(y).tolist())
    """
    done = run(tmp_path, program)
    assert done.stdout == "[2.0, 4.0]\n", done.stderr


CONTRIB = """
    import tensorflow as tf
    from tensorflow.contrib import slim, layers
    import tensorflow.contrib.slim.nets as nets
    from tensorflow.contrib.framework import arg_scope, get_or_create_global_step, nest
    from tensorflow.contrib.training import create_train_op
    from tensorflow.contrib.slim.nets import resnet_v1
    import tf_slim
    assert slim is tf.contrib.slim is tf_slim and nets.resnet_v1 is resnet_v1
    assert tf.contrib.layers is layers and tf.contrib.framework.nest is nest

    x = tf.placeholder(tf.float32, [None, 8, 8, 3])
    with arg_scope([slim.conv2d], weights_regularizer=layers.l2_regularizer(0.1), normalizer_fn=slim.batch_norm):
        y = slim.conv2d(x, 4, [3, 3], weights_initializer=layers.xavier_initializer())
    y = layers.fully_connected(slim.flatten(y), 2)
    print(y.shape.as_list(), len(slim.get_model_variables()), len(tf.losses.get_regularization_losses()))

    table = tf.contrib.lookup.index_table_from_tensor(mapping=tf.constant(["a", "b"]), num_oov_buckets=1)
    back = tf.contrib.lookup.index_to_string_table_from_tensor(mapping=["a", "b"])
    given = tf.contrib.lookup.HashTable(tf.contrib.lookup.KeyValueTensorInitializer(["k"], [7]), -1, name="t")
    with tf.Session() as session:
        session.run(tf.tables_initializer())
        print(session.run([table.lookup(tf.constant(["b", "c"])), given.lookup(tf.constant(["k", "l"]))]))
        print(session.run(back.lookup(tf.constant([1], tf.int64))))
    for name in ("layers.embed_sequences", "training.HParams", "rnn.LSTMBlockCell", "framework.nobody"):
        try:
            eval("tf.contrib." + name)
        except AttributeError as error:
            print(error)
    try:
        import tensorflow.contrib.seq2seq
    except ImportError as error:
        print(error)
    print(hasattr(tf.contrib, "rnn"))
"""


@pytest.mark.skipif(not LEGACY or not find_spec("tf_slim"), reason="tf_keras or tf_slim is not installed")
def test_what_is_left_of_contrib_is_there_and_the_rest_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, CONTRIB)
    ended = "ended with TensorFlow 1.15, and nothing here is equivalent to it: replace it in the program"
    assert done.stdout.splitlines() == [
        "[None, 2] 6 1",
        "[array([1, 2]), array([ 7, -1], dtype=int32)]",
        "[b'b']",
        f"tf.contrib.layers.embed_sequences {ended}",
        f"tf.contrib.training.HParams {ended}",
        f"tf.contrib.rnn {ended}",
        f"tf.contrib.framework.nobody {ended}",
        f"tf.contrib.seq2seq {ended}",
        "False",
    ], done.stderr


def test_contrib_without_tf_slim_says_what_to_install(tmp_path: Path) -> None:
    program = """
        import sys
        from importlib.machinery import PathFinder

        class Without(PathFinder):
            @classmethod
            def find_spec(cls, name, path=None, target=None):
                return None if name.startswith("tf_slim") else super().find_spec(name, path, target)

        sys.meta_path[sys.meta_path.index(PathFinder)] = Without
        import tensorflow as tf
        for name in ("slim", "layers.conv2d"):
            try:
                eval("tf.contrib." + name)
            except ImportError as error:
                print(error)
    """
    lines = run(tmp_path, program).stdout.splitlines()
    assert [line.split(" ended")[0] for line in lines if "ended" in line] == [
        "tf.contrib.slim",
        "tf.contrib.layers.conv2d",
    ]
    assert "hubplug[tf1]" in "".join(lines)
