"""``hubplug.Module`` under eager execution, as programs of TensorFlow 2 use it."""

from __future__ import annotations

import copy
import gc
import pickle
import shutil
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug
from hubplug.errors import InputError
from hubplug_tf1 import load_object
from tests.module_kinds import batch_norm, dense_layer, export, function_call, partitioned, sparse_text_embedding

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("eager")]

v1 = tf.compat.v1


@pytest.fixture
def dense(tmp_path: Path) -> str:
    return str(export(tf, hubplug, dense_layer, tmp_path))


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "text").mkdir()
    return str(export(tf, hubplug, sparse_text_embedding, tmp_path / "text"))


class Holder(tf.Module):
    """A model that has a module."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, words: tf.Tensor) -> tf.Tensor:
        return self.module(words)


def test_it_is_a_module_and_a_tf_module(dense: str) -> None:
    class Mine(hubplug.Module):
        pass

    for made in (hubplug.Module(dense), Mine(dense)):
        assert isinstance(made, hubplug.Module)
        assert isinstance(made, tf.Module)
    assert isinstance(made, Mine)
    with tf.Graph().as_default():
        assert type(hubplug.Module(dense)) is hubplug.Module


def test_training_follows_the_gradients_of_outputs_and_losses(dense: str) -> None:
    module = hubplug.Module(dense, trainable=True)
    (w,) = module.trainable_variables
    x = tf.constant([[1.0, 2.0, 3.0, 4.0]])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(module(x)) + tf.add_n(module.losses)
    np.testing.assert_allclose(tape.gradient(loss, w), np.repeat(x.numpy().T, 2, 1) + w.numpy(), rtol=1e-6)


def test_one_that_is_not_trainable_has_nothing_to_train(dense: str) -> None:
    module = hubplug.Module(dense)
    assert module.trainable_variables == []
    assert module.losses == []
    assert len(module.variables) == 1
    assert Holder(module).trainable_variables == ()


def test_a_function_is_traced_once_per_signature(dense: str) -> None:
    module = hubplug.Module(dense, trainable=True)
    for rows in (1, 2, 3):
        module(np.ones([rows, 4], np.float32))
        module([[1.0, 2.0, 3.0, 4.0]] * rows)
        with tf.GradientTape():
            module(tf.ones([rows, 4]))
    assert len(module._impl.functions._made) == 1


def test_partitioned_variables_are_parts_under_one_name(tmp_path: Path) -> None:
    module = hubplug.Module(str(export(tf, hubplug, partitioned, tmp_path)), trainable=True)
    (parts,) = module.variable_map.values()
    assert [part.shape.as_list() for part in parts] == [[4, 2], [3, 2], [3, 2]]
    ids = tf.constant([0, 9], tf.int64)
    with tf.GradientTape() as tape:
        y = module(ids)
    np.testing.assert_array_equal(y, tf.gather(tf.concat(parts, 0), ids))
    first, second, third = (tf.convert_to_tensor(each).numpy() for each in tape.gradient(y, parts))
    assert (first.sum(), second.sum(), third.sum()) == (2.0, 0.0, 2.0)


def test_update_ops_run_in_training_alone(tmp_path: Path) -> None:
    path = str(export(tf, hubplug, batch_norm, tmp_path))
    x = np.random.default_rng(0).random([2, 4, 4, 2], np.float32)
    fixed, trained = hubplug.Module(path), hubplug.Module(path, trainable=True)
    for module in (fixed, trained):
        module(x)
        assert not module.variable_map["mean"].numpy().any()
        module(x, training=True)
    assert not fixed.variable_map["mean"].numpy().any()
    once = trained.variable_map["mean"].numpy()
    np.testing.assert_allclose(once, 0.1 * x.mean((0, 1, 2)), rtol=1e-5)
    trained.update_ops(x)
    np.testing.assert_allclose(trained.variable_map["mean"], 1.9 * once, rtol=1e-5)


@pytest.mark.parametrize("make", [lambda handle: hubplug.Module(handle, trainable=True), hubplug.load])
def test_training_has_to_be_known_when_a_function_is_traced(make: Any, tmp_path: Path) -> None:
    module = make(str(export(tf, hubplug, batch_norm, tmp_path)))
    inputs = tf.ones([2, 4, 4, 2])
    with pytest.raises(InputError, match="training= is a tensor of the function that is being traced"):
        tf.function(lambda training: module(inputs, training=training))(tf.constant(True))
    for known in (np.bool_(True), tf.constant(True)):
        np.testing.assert_array_equal(module(inputs, training=known), module(inputs, training=True))


def test_second_derivatives_and_persistent_tapes_work(tmp_path: Path) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [])
        w = v1.get_variable("w", initializer=3.0)
        hubplug.add_signature(inputs=x, outputs=w * w * x * x * x)

    module = hubplug.Module(hubplug.create_module_spec(module_fn), trainable=True)
    x = tf.constant(2.0)
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = module(x)
        slope = inner.gradient(y, x)
    assert slope.numpy() == 108.0
    assert outer.gradient(slope, x).numpy() == 108.0
    assert outer.gradient(slope, module.variables[0]).numpy() == 72.0
    assert outer.gradient(y, x).numpy() == 108.0


def test_it_works_in_functions_and_datasets_even_when_first_called_there(text: str) -> None:
    module = hubplug.Module(text, trainable=True)
    words = tf.data.Dataset.from_tensor_slices(["hello", "world"]).batch(2).map(lambda batch: module(batch))
    embeddings = module.variable_map["embeddings"].numpy()
    np.testing.assert_array_equal(next(iter(words)), embeddings[:2])

    @tf.function
    def slope(texts: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            y = module(texts, training=True)
        return tf.convert_to_tensor(tape.gradient(y, module.trainable_variables[0]))

    np.testing.assert_array_equal(slope(tf.constant(["world"])), [[0.0] * 4, [1.0] * 4, [0.0] * 4])


def test_one_made_while_a_function_is_traced_has_its_state_outside(dense: str, text: str) -> None:
    made = []

    @tf.function
    def function(x: tf.Tensor) -> tf.Tensor:
        made.append(hubplug.Module(text)(tf.constant(["hello"])))
        return hubplug.Module(dense, trainable=True)(x)

    np.testing.assert_array_equal(function(tf.ones([2, 4])), hubplug.Module(dense)(tf.ones([2, 4])))
    gc.collect()
    function(tf.ones([2, 4]))
    assert len(made) == 1


def test_a_checkpoint_brings_the_values_back(dense: str, tmp_path: Path) -> None:
    module, other = hubplug.Module(dense, trainable=True), hubplug.Module(dense)
    module.variables[0].assign_add(tf.ones([4, 2]))
    path = tf.train.Checkpoint(module=module).save(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(module=other).restore(path).assert_consumed()
    np.testing.assert_array_equal(other.variables[0], module.variables[0])


def test_a_saved_model_has_it_with_tables_and_assets(text: str, tmp_path: Path) -> None:
    holder = Holder(hubplug.Module(text, trainable=True))
    expected = holder(tf.constant(["hello, world", "no such"])).numpy()
    tf.saved_model.save(holder, str(tmp_path / "saved"))
    shutil.rmtree(text)
    code = (
        "import sys, numpy as np, tensorflow as tf\n"
        "tf.compat.v1.enable_v2_behavior()\n"
        "found = [tf.saved_model.load(sys.argv[1]) for _ in range(2)]\n"
        "np.save(sys.argv[2], [each(tf.constant(['hello, world', 'no such'])) for each in found])\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "saved", tmp_path / "out.npy"], check=True, timeout=300)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), [expected, expected])


def test_a_saved_model_of_itself_has_its_signatures(text: str, tmp_path: Path) -> None:
    module = hubplug.Module(text)
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=dict(module.signatures))
    words = tf.constant(["hello, world"])
    again = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_array_equal(again.signatures["default"](default=words)["default"], module(words))


@pytest.mark.parametrize("define", [dense_layer, partitioned, sparse_text_embedding])
def test_an_export_needs_no_session_and_is_in_the_same_format(define: Any, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    module = hubplug.Module(str(export(tf, hubplug, define, tmp_path / "one")), trainable=True)
    for variable in module.variables:
        variable.assign_add(tf.ones_like(variable))
    module.export(str(tmp_path / "again"))
    again = hubplug.Module(str(tmp_path / "again"))
    for ours, theirs in zip(again.variables, module.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(tf.errors.AlreadyExistsError):
        module.export(str(tmp_path / "again"))
    one, two = ({p.name for p in (tmp_path / each).rglob("*")} for each in ("one/module", "again"))
    assert one == two


def test_a_session_is_refused_where_state_is_eager_and_missed_where_it_is_in_a_graph(dense: str) -> None:
    module = hubplug.Module(dense)
    with tf.Graph().as_default(), v1.Session() as session:
        in_graph = hubplug.Module(dense)
        with pytest.raises(TypeError, match="no session has its values"):
            module.export("anywhere", session)
        with pytest.raises(TypeError, match=r"takes a tf\.compat\.v1\.Session"):
            in_graph.export("anywhere", None)


def test_many_tables_are_nothing_to_warn_of(text: str, caplog: pytest.LogCaptureFixture) -> None:
    tf.get_logger().addHandler(caplog.handler)
    try:
        made = [hubplug.Module(text) for _ in range(8)]
    finally:
        tf.get_logger().removeHandler(caplog.handler)
    assert len(made) == 8
    assert "retracing" not in caplog.text


def test_it_is_freed_with_its_tables(text: str) -> None:
    module = hubplug.Module(text, trainable=True)
    with tf.GradientTape() as tape:
        y = module(["hello"])
    tape.gradient(y, module.variables)
    table = module._impl.state.resources[0].resource_handle
    references = [weakref.ref(each) for each in (module, module.variables[0], module._impl.functions)]
    del module, y, tape
    gc.collect()
    assert [reference() for reference in references] == [None] * 3
    with pytest.raises(tf.errors.NotFoundError):
        tf.raw_ops.LookupTableSizeV2(table_handle=table)


def test_its_functions_are_forgotten_with_it(tmp_path: Path) -> None:
    from tensorflow.python.eager import context

    path = str(export(tf, hubplug, function_call, tmp_path))
    counts = []
    for _ in range(3):
        module = hubplug.Module(path)
        x = tf.constant([2.0])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = module(x)
        assert tape.gradient(y, x).numpy() == [4.0]
        del module, tape, y
        gc.collect()
        counts.append(len(context.context().list_function_names()))
    assert counts[2] <= counts[0]


def test_a_function_around_keeps_what_it_calls(tmp_path: Path) -> None:
    function = tf.function(hubplug.Module(str(export(tf, hubplug, function_call, tmp_path))), autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec([None]))
    del function
    gc.collect()
    assert concrete(tf.constant([3.0])).numpy() == [9.0]


def test_two_modules_share_no_state(text: str) -> None:
    one, two = hubplug.Module(text), hubplug.Module(text)
    one.variables[0].assign(tf.zeros([3, 4]))
    assert two.variables[0].numpy().any()
    del one
    gc.collect()
    assert two(["hello"]).numpy().any()


def test_where_it_was_made_is_where_it_is_applied(dense: str) -> None:
    module = hubplug.Module(dense)
    with tf.Graph().as_default():
        in_graph = hubplug.Module(dense)
        with pytest.raises(RuntimeError, match="made under eager execution"):
            module(tf.ones([1, 4]))
    with pytest.raises(RuntimeError, match="applied in the graph it was instantiated for"):
        in_graph(tf.ones([1, 4]))


def test_what_does_not_fit_is_said_as_in_a_graph(dense: str) -> None:
    module = hubplug.Module(dense)
    with pytest.raises(ValueError, match="Signature 'zz' is missing"):
        module([[1.0] * 4], signature="zz")
    with pytest.raises(TypeError, match="extra given"):
        module({"y": [[1.0] * 4]})
    with pytest.raises(ValueError, match="Can't convert 'default'"):
        module(tf.ones([1, 4], tf.float64))
    with pytest.raises(ValueError, match="No such graph variant"):
        hubplug.Module(dense, tags={"train"})


def test_an_object_trains_over_the_same_variables(tmp_path: Path) -> None:
    def module_fn(is_training: bool) -> None:
        x = v1.placeholder(tf.float32, [None])
        w = v1.get_variable("w", [], initializer=v1.constant_initializer(3.0), regularizer=tf.nn.l2_loss)
        seen = v1.get_variable("seen", [], initializer=v1.zeros_initializer(), trainable=False)
        if is_training:
            v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, v1.assign_add(seen, 1.0))
        hubplug.add_signature(inputs={"x": x}, outputs=x * w * (10.0 if is_training else 1.0) + 0.0 * seen)

    variants = [(set(), {"is_training": False}), ({"train"}, {"is_training": True})]
    spec = hubplug.create_module_spec(module_fn, variants)
    loaded = load_object(spec)
    assert [variable.name for variable in loaded.variables] == ["module/seen:0", "module/w:0"]
    assert [variable.name for variable in loaded.trainable_variables] == ["module/w:0"]
    assert loaded([2.0]).numpy() == [6.0]
    assert loaded.variables[0].numpy() == 0.0
    with tf.GradientTape() as tape:
        y = loaded({"x": [2.0]}, training=True)
    assert y.numpy() == [60.0]
    assert loaded.variables[0].numpy() == 1.0
    assert tape.gradient(y, loaded.trainable_variables)[0].numpy() == 20.0
    assert [loss().numpy() for loss in loaded.regularization_losses] == [4.5]
    assert list(loaded.signatures) == ["default"]
    assert loaded.signatures["default"](x=tf.constant([2.0]))["default"].numpy() == [6.0]
    tf.saved_model.save(loaded, str(tmp_path / "saved"), signatures=loaded.signatures["default"])
    again = tf.saved_model.load(str(tmp_path / "saved"))
    assert again.signatures["serving_default"](x=tf.constant([2.0]))["default"].numpy() == [6.0]
    assert [loss().numpy() for loss in again.regularization_losses] == [4.5]


def unknown_gradient(path: Path) -> str:
    """A module whose publisher registered a gradient that this process does not have."""

    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [2])
        w = v1.get_variable("w", [2], initializer=v1.ones_initializer())
        with v1.get_default_graph().gradient_override_map({"Identity": "PublishersOwn"}):
            y = tf.identity(x * w, name="theirs")
        hubplug.add_signature(inputs=x, outputs={"default": y, "plain": x * w})

    with tf.Graph().as_default(), v1.Session() as session:
        module = hubplug.Module(hubplug.create_module_spec(module_fn))
        session.run(v1.global_variables_initializer())
        module.export(str(path), session)
    return str(path)


def test_a_gradient_that_is_not_here_is_missed_only_when_it_is_asked_for(tmp_path: Path) -> None:
    module = hubplug.Module(unknown_gradient(tmp_path / "m"), trainable=True)
    with tf.GradientTape() as tape:
        y = module([1.0, 2.0])
    np.testing.assert_array_equal(y, [1.0, 2.0])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"theirs \(Identity\) has a gradient PublishersOwn"):
        tape.gradient(y, module.variables)
    with tf.GradientTape() as tape:
        plain = tf.stop_gradient(module([1.0, 2.0])) * module.variables[0]
    np.testing.assert_array_equal(tape.gradient(plain, module.variables[0]), [1.0, 2.0])


def test_a_saved_model_of_one_with_such_a_gradient_works_elsewhere(tmp_path: Path) -> None:
    module = hubplug.Module(unknown_gradient(tmp_path / "m"))
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=dict(module.signatures))
    again = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_array_equal(again.signatures["default"](tf.constant([1.0, 2.0]))["default"], [1.0, 2.0])


def test_what_xla_cannot_compile_is_refused_before_the_process_ends(dense: str, text: str) -> None:
    words, numbers = hubplug.Module(text), hubplug.Module(dense, trainable=True)
    compiled = tf.function(lambda x: words(x), jit_compile=True, autograph=False)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"cannot be compiled \(jit_compile=True\)"):
            compiled(tf.constant(["hello"]))

    @tf.function(jit_compile=True)
    def slope(x: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            y = numbers(x)
        return tape.gradient(y, numbers.trainable_variables[0])

    np.testing.assert_allclose(slope(tf.ones([1, 4])), np.ones([4, 2]), rtol=1e-6)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_it_is_not_copied_and_says_what_to_do(how: Any, dense: str) -> None:
    with pytest.raises(TypeError, match=r"cannot be copied or pickled[\s\S]*tf\.train\.Checkpoint"):
        how(hubplug.Module(dense))
