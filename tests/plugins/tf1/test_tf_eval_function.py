"""eval_function_for_module: numpy in, numpy out."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug
from hubplug.errors import UnknownSignatureError

v1 = tf.compat.v1


def module_fn() -> None:
    x = v1.placeholder(tf.float32, [None])
    calls = v1.get_variable("calls", [], initializer=v1.zeros_initializer())
    with tf.control_dependencies([v1.assign_add(calls, 1.0)]):
        counted = x + calls.read_value()
    keys = tf.constant(["a", "b"])
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, tf.constant([1, 2])), 0)
    word = v1.placeholder(tf.string, [None])
    sparse = v1.sparse_placeholder(tf.float32, [None, 3])
    ragged = v1.ragged.placeholder(tf.float32, 1, [])
    hubplug.add_signature(inputs=x, outputs={"default": counted, "input": x})
    hubplug.add_signature("look:up", word, table.lookup(word))
    hubplug.add_signature("constant", outputs=tf.constant(1.5))
    hubplug.add_signature("named", x, {"y": x})
    hubplug.add_signature("kinds", {"s": sparse, "r": ragged}, {"s": sparse * 2.0, "r": ragged * 2.0})
    hubplug.add_signature("two", {"a": x, "b": x * 1.0}, x)


@pytest.fixture
def spec() -> hubplug.ModuleSpec:
    return hubplug.create_module_spec(module_fn)


@pytest.fixture
def f(spec: hubplug.ModuleSpec) -> Any:
    with hubplug.eval_function_for_module(spec) as function:
        yield function


def test_numpy_goes_in_and_comes_out(f: Any) -> None:
    result = f(np.array([1.0, 2.0], np.float32))
    assert isinstance(result, np.ndarray)
    np.testing.assert_array_equal(result, [2.0, 3.0])


def test_lists_and_numpy_of_other_dtypes_are_converted(f: Any) -> None:
    np.testing.assert_array_equal(f({"default": [1]}), [2.0])
    np.testing.assert_array_equal(f(np.array([1], np.int64)), [3.0])


def test_state_is_kept_between_calls_and_new_for_each_block(spec: hubplug.ModuleSpec) -> None:
    for _ in range(2):
        with hubplug.eval_function_for_module(spec) as f:
            assert [f([0.0])[0] for _ in range(3)] == [1.0, 2.0, 3.0]


def test_tables_are_initialized_and_a_colon_in_a_name_does_no_harm(f: Any) -> None:
    assert f(["b", "x"], signature="look:up").tolist() == [2, 0]


def test_all_outputs_come_as_a_dict(f: Any) -> None:
    result = f([1.0], as_dict=True)
    assert sorted(result) == ["default", "input"]
    np.testing.assert_array_equal(result["input"], [1.0])


def test_a_signature_without_inputs_takes_nothing(f: Any) -> None:
    assert f(signature="constant") == f({}, signature="constant") == 1.5
    with pytest.raises(TypeError, match="expects no inputs"):
        f([1.0], signature="constant")


def test_sparse_and_ragged_values_go_in_and_come_out(f: Any) -> None:
    sparse = v1.SparseTensorValue([[0, 0]], [1.0], [1, 3])
    ragged = v1.ragged.constant_value([[1.0], [2.0, 3.0]], dtype=np.float32)
    result = f({"s": sparse, "r": ragged}, signature="kinds", as_dict=True)
    assert isinstance(result["s"], v1.SparseTensorValue)
    assert result["s"].values.tolist() == [2.0]
    assert result["r"].to_list() == [[2.0], [4.0, 6.0]]


@pytest.mark.usefixtures("eager")
def test_an_eager_tensor_goes_in(spec: hubplug.ModuleSpec) -> None:
    x = tf.constant([1.0])
    with hubplug.eval_function_for_module(spec) as f:
        np.testing.assert_array_equal(f(x), [2.0])


def test_what_does_not_fit_is_an_error(f: Any) -> None:
    with pytest.raises(TypeError, match=r"missing \['default'\], extra given \['q'\]"):
        f({"q": [1.0]})
    with pytest.raises(TypeError, match="missing"):
        f()
    with pytest.raises(TypeError, match="Use a dict"):
        f([1.0], signature="two")
    with pytest.raises(TypeError, match="no output named 'default'"):
        f([1.0], signature="named")
    with pytest.raises(ValueError, match="default/default"):
        f([[1.0]])


def test_an_unknown_signature_is_a_key_error(f: Any) -> None:
    with pytest.raises(UnknownSignatureError, match="'zz'") as got:
        f([1.0], signature="zz")
    assert isinstance(got.value, KeyError)


def test_unknown_tags_are_a_value_error(spec: hubplug.ModuleSpec) -> None:
    with pytest.raises(ValueError, match="No such graph variant"), hubplug.eval_function_for_module(spec, {"q"}):
        pass


def test_after_the_block_the_function_is_dead(spec: hubplug.ModuleSpec) -> None:
    with hubplug.eval_function_for_module(spec) as f:
        pass
    with pytest.raises(RuntimeError, match="after its with block"):
        f([1.0])


@pytest.mark.usefixtures("eager")
def test_eager_execution_is_off_inside_and_on_again_outside(spec: hubplug.ModuleSpec) -> None:
    with hubplug.eval_function_for_module(spec):
        assert not tf.executing_eagerly()
    assert tf.executing_eagerly()


def test_a_handle_and_tags_will_do(tmp_path: Path, export_module: Any) -> None:
    path = export_module(hubplug.create_module_spec(module_fn, [({"train"}, {})]), tmp_path / "m", tags={"train"})
    with hubplug.eval_function_for_module(str(path), tags={"train"}) as f:
        np.testing.assert_array_equal(f([1.0]), [2.0])


def test_each_signature_enters_the_graph_once(f: Any) -> None:
    f([1.0])
    graph = f.module.variables[0].graph
    size = len(graph.get_operations())
    f([1.0])
    assert len(graph.get_operations()) == size


def test_inside_of_the_block_the_default_graph_and_session_are_those_of_before(spec: hubplug.ModuleSpec) -> None:
    with tf.Graph().as_default() as graph, v1.Session() as session, hubplug.eval_function_for_module(spec) as f:
        assert v1.get_default_graph() is graph
        assert v1.get_default_session() is session
        assert session.run(tf.constant(1.0) + f([1.0])).tolist() == [3.0]


def test_without_a_block_nothing_around_changes_until_it_is_closed(spec: hubplug.ModuleSpec) -> None:
    before = tf.executing_eagerly()
    f = hubplug.EvalFunction(spec, config=v1.ConfigProto(inter_op_parallelism_threads=-1))
    assert tf.executing_eagerly() == before
    np.testing.assert_array_equal(f([1.0]), [2.0])
    f.close()
    f.close()
    with pytest.raises(RuntimeError, match="after it was closed"):
        f([1.0])


def test_only_what_is_selected_is_computed(spec: hubplug.ModuleSpec) -> None:
    f = hubplug.EvalFunction(spec)
    assert f([1.0], as_dict=True, select=["input"]).keys() == {"input"}
    np.testing.assert_array_equal(f([1.0]), [2.0])  # what counts the calls was not run before
    f.close()


def test_other_threads_may_call_it(f: Any) -> None:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(f([0.0])))
    thread.start()
    thread.join()
    assert results[0].tolist() == [1.0]


def test_a_ragged_value_of_another_depth_is_refused(f: Any) -> None:
    sparse = v1.SparseTensorValue([[0, 0]], [1.0], [1, 3])
    deep = v1.ragged.constant_value([[[1.0, 2.0], [7.0]], [[9.0]]], np.float32)
    with pytest.raises(TypeError, match=r"'r': Got a ragged value of ragged rank 2\. Expected 1"):
        f({"s": sparse, "r": deep}, signature="kinds", as_dict=True)
    with pytest.raises(TypeError, match=r"Got a ragged value of ragged rank 1\. Expected 0"):
        f(v1.ragged.constant_value([[1.0], [2.0, 3.0]], np.float32))


def test_an_output_that_is_not_there_cannot_be_selected(f: Any) -> None:
    with pytest.raises(TypeError, match="has no output 'nope'"):
        f([1.0], as_dict=True, select=["nope"])
