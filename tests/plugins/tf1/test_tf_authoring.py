"""create_module_spec, add_signature, attach_message."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

import hubplug

v1 = tf.compat.v1


def doubling(**arguments: Any) -> None:
    x = v1.placeholder(tf.float32, [None])
    hubplug.add_signature(inputs=x, outputs=x * 2.0)


def spec_of(inputs: Any = None, outputs: Any = None) -> Any:
    """A spec of one signature, from functions of the placeholder that both may use."""

    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [4])
        hubplug.add_signature("sig", inputs(x) if inputs else None, outputs(x) if outputs else None)

    return hubplug.create_module_spec(module_fn)


def test_module_fn_is_called_once_per_graph_variant_in_a_graph_of_its_own() -> None:
    calls: list[tuple[dict[str, Any], Any]] = []

    def module_fn(**arguments: Any) -> None:
        calls.append((arguments, v1.get_default_graph()))
        doubling()

    spec = hubplug.create_module_spec(module_fn, [(set(), {"a": 1}), ({"train"}, {"a": 2}), (["x", "y"], {})])
    assert [arguments for arguments, _ in calls] == [{"a": 1}, {"a": 2}, {}]
    assert len({id(graph) for _, graph in calls}) == 3
    assert spec.get_tags() == [frozenset(), frozenset({"train"}), frozenset({"x", "y"})]


@pytest.mark.parametrize("nothing", [None, []])
def test_without_tags_there_is_one_variant_for_inference(nothing: Any) -> None:
    assert hubplug.create_module_spec(doubling, nothing).get_tags() == [frozenset()]


def test_none_as_tags_stands_for_no_tags() -> None:
    assert hubplug.create_module_spec(doubling, [(None, {})]).get_tags() == [frozenset()]


def test_the_letters_of_a_string_are_tags() -> None:
    assert hubplug.create_module_spec(doubling, [("ab", {})]).get_tags() == [frozenset({"a", "b"})]


def test_the_caller_stays_eager_and_its_graph_stays_empty(new_graph: tf.Graph) -> None:
    hubplug.create_module_spec(doubling)
    assert new_graph.get_operations() == []


def test_variables_are_resource_variables_by_default() -> None:
    kinds = []

    def module_fn() -> None:
        variable = v1.get_variable("w", [])
        kinds.append(variable.op.type if hasattr(variable, "op") else "")
        hubplug.add_signature(outputs=variable + 0.0)

    hubplug.create_module_spec(module_fn)
    assert kinds == ["VarHandleOp"]


def test_an_exception_of_module_fn_reaches_the_caller() -> None:
    def module_fn() -> None:
        raise LookupError("no vocabulary")

    with pytest.raises(LookupError, match="no vocabulary"):
        hubplug.create_module_spec(module_fn)


def test_a_module_without_signatures_is_refused() -> None:
    with pytest.raises(ValueError, match=r"No signatures present[\s\S]*hub.add_signature"):
        hubplug.create_module_spec(lambda: None)


def test_repeated_tags_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Tags \['a', 'b'\] used repeatedly"):
        hubplug.create_module_spec(doubling, [(["a", "b"], {}), (["b", "a"], {})])


def with_collections() -> None:
    doubling()
    v1.add_to_collection("mine", tf.constant(1))
    v1.add_to_collection("numbers", 7)
    v1.train.create_global_step()


def test_every_unsupported_collection_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"Unsupported collections in graph: \['global_step', 'mine', 'numbers'\]"
    ) as got:
        hubplug.create_module_spec(with_collections)
    assert "drop_collections" in str(got.value)


def test_dropped_collections_are_left_out_and_their_ops_stay() -> None:
    spec = hubplug.create_module_spec(with_collections, drop_collections=["mine", "numbers", "global_step"])
    with tf.Graph().as_default():
        module = hubplug.Module(spec)
        assert "mine" not in v1.get_default_graph().get_all_collection_keys()
        assert sorted(module.variable_map) == ["global_step"]


def test_a_string_as_drop_collections_is_taken_as_letters_and_the_error_says_so() -> None:
    with pytest.raises(ValueError, match="a list of names, where 'mine' is a list of letters"):
        hubplug.create_module_spec(with_collections, drop_collections="mine")


@pytest.mark.filterwarnings("ignore")
def test_empty_nameless_and_unserializable_collections_are_ignored() -> None:
    def module_fn() -> None:
        doubling()
        v1.get_collection_ref("empty")
        v1.add_to_collection(("not", "a", "string"), tf.constant(1))
        v1.add_to_collection("objects", object())

    assert hubplug.create_module_spec(module_fn).get_signature_names() == ["default"]


def test_supported_collections_are_kept() -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [None])
        w = v1.get_variable("w", [], regularizer=lambda value: value * 0.5)
        v1.add_to_collection(v1.GraphKeys.MODEL_VARIABLES, w)
        v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, v1.assign(w, 1.0))
        hubplug.add_signature(inputs=x, outputs=x * w)

    spec = hubplug.create_module_spec(module_fn)
    with tf.Graph().as_default():
        hubplug.Module(spec, trainable=True)
        for key in ("GLOBAL_VARIABLES", "TRAINABLE_VARIABLES", "MODEL_VARIABLES", "REGULARIZATION_LOSSES"):
            assert len(v1.get_collection(getattr(v1.GraphKeys, key))) == 1, key


def test_a_state_op_colocated_with_another_op_is_refused() -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [None], name="x")
        with v1.colocate_with(x):
            w = v1.get_variable("w", [3])
        hubplug.add_signature(outputs=w + 0.0)

    with pytest.raises(ValueError, match=r"state-holding node x[\s\S]*node 'w' has op 'VarHandleOp'[\s\S]*loc:@x"):
        hubplug.create_module_spec(module_fn)


def test_a_state_op_may_be_colocated_with_another_state_op() -> None:
    def module_fn() -> None:
        w = v1.get_variable("w", [3])
        with v1.colocate_with(w.handle):
            w2 = v1.get_variable("w2", [3])
        hubplug.add_signature(outputs=w + w2)

    assert hubplug.create_module_spec(module_fn).get_signature_names() == ["default"]


def test_the_default_signature_and_single_tensors_are_called_default() -> None:
    spec = hubplug.create_module_spec(doubling)
    assert spec.get_signature_names() == ["default"]
    assert list(spec.get_input_info_dict()) == list(spec.get_output_info_dict()) == ["default"]


def test_a_signature_may_have_nothing_at_all() -> None:
    spec = hubplug.create_module_spec(lambda: hubplug.add_signature())
    assert spec.get_input_info_dict() == spec.get_output_info_dict() == {}


def test_the_last_signature_of_a_name_counts() -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [None])
        hubplug.add_signature("s", {"first": x}, x)
        hubplug.add_signature("s", {"second": x}, x)

    assert list(hubplug.create_module_spec(module_fn).get_input_info_dict("s")) == ["second"]


def test_dense_sparse_and_ragged_tensors_are_described() -> None:
    def module_fn() -> None:
        inputs = {
            "dense": v1.placeholder(tf.int32, [None, 3]),
            "sparse": v1.sparse_placeholder(tf.int64, [None, 4]),
            "ragged": v1.ragged.placeholder(tf.float32, 1, []),
        }
        hubplug.add_signature(inputs=inputs, outputs=inputs)

    spec = hubplug.create_module_spec(module_fn)
    for infos in (spec.get_input_info_dict(), spec.get_output_info_dict()):
        assert infos["dense"].type_spec == tf.TensorSpec([None, 3], tf.int32)
        assert infos["sparse"].type_spec.is_compatible_with(tf.SparseTensorSpec([None, 4], tf.int64))
        assert infos["ragged"].type_spec == tf.RaggedTensorSpec([None, None], tf.float32, 1, tf.int64)


def test_all_inputs_and_outputs_of_other_types_are_listed() -> None:
    with pytest.raises(ValueError, match="signature 'sig'") as got:
        spec_of(lambda x: {"a": "text", "b": x, "c": 3}, lambda x: {"y": [x], "z": None, "n": np.zeros(2)})
    message = str(got.value)
    for part in ("input 'a' has type str", "input 'c' has type int", "output 'y' has type list"):
        assert part in message
    assert "output 'z' has type NoneType" in message
    assert "output 'n' has type ndarray" in message
    assert "'b'" not in message


@pytest.mark.parametrize("what", ["operation", "variable"])
def test_operations_and_variables_are_no_inputs(what: str) -> None:
    with pytest.raises(ValueError, match="input 'default' has type"):
        spec_of(lambda x: x.op if what == "operation" else v1.get_variable("w", [4]), lambda x: x)


def test_names_of_inputs_are_strings() -> None:
    with pytest.raises(ValueError, match="input 1 has type"):
        spec_of(lambda x: {1: x}, lambda x: x)


@pytest.mark.usefixtures("eager")
def test_an_eager_tensor_is_no_output() -> None:
    outside = tf.constant(1.0)
    with pytest.raises(ValueError, match="output 'default' has type EagerTensor"):
        spec_of(outputs=lambda x: outside)


def test_a_tensor_of_another_graph_is_no_output() -> None:
    with tf.Graph().as_default():
        other = tf.constant(1.0)
    with pytest.raises(ValueError, match="output 'default' of signature 'sig' is 'Const:0' of another graph"):
        spec_of(outputs=lambda x: other)


def test_an_input_under_a_colocation_constraint_is_refused() -> None:
    def module_fn() -> None:
        anchor = tf.constant(1.0, name="anchor")
        with v1.colocate_with(anchor):
            x = v1.placeholder(tf.float32, [])
        hubplug.add_signature(inputs={"k": x}, outputs=x)

    with pytest.raises(ValueError, match=r"input 'k' of signature 'default'[\s\S]*loc:@anchor"):
        hubplug.create_module_spec(module_fn)


def test_an_input_of_an_op_with_several_outputs_logs_an_error(caplog: pytest.LogCaptureFixture) -> None:
    def inputs(x: tf.Tensor) -> dict[str, tf.Tensor]:
        a, b = tf.split(x, 2)
        return {"a": a, "b": b}

    with caplog.at_level(logging.ERROR):
        spec_of(inputs, lambda x: x)
    assert "ops with a single output" in caplog.text
    assert "a='split:0', b='split:1'" in caplog.text


def test_an_attached_message_comes_back_and_is_none_where_there_is_none() -> None:
    def module_fn() -> None:
        doubling()
        hubplug.attach_message("answer", Int32Value(value=42))

    spec = hubplug.create_module_spec(module_fn)
    assert spec.get_attached_message("answer", Int32Value).value == 42
    assert spec.get_attached_message("question", Int32Value) is None
    with pytest.raises(KeyError, match="question"):
        spec.get_attached_message("question", Int32Value, required=True)


def test_the_last_message_of_a_key_counts_and_later_changes_do_not() -> None:
    def module_fn() -> None:
        doubling()
        hubplug.attach_message("k", Int32Value(value=1))
        message = StringValue(value="published")
        hubplug.attach_message("k", message)
        message.value = "changed"

    assert hubplug.create_module_spec(module_fn).get_attached_message("k", StringValue).value == "published"


def test_each_graph_variant_has_its_own_messages() -> None:
    def module_fn(value: int) -> None:
        doubling()
        hubplug.attach_message("k", Int32Value(value=value))

    spec = hubplug.create_module_spec(module_fn, [(set(), {"value": 1}), ({"train"}, {"value": 2})])
    assert spec.get_attached_message("k", Int32Value).value == 1
    assert spec.get_attached_message("k", Int32Value, tags={"train"}).value == 2
    with pytest.raises(KeyError):
        spec.get_attached_message("k", Int32Value, tags={"other"})
    with tf.Graph().as_default():
        assert hubplug.Module(spec, tags={"train"}).get_attached_message("k", Int32Value).value == 2


@pytest.mark.parametrize("key", ["", "1a", "a-b", "a b", "_a", "a.b", "ä"])
def test_a_malformed_key_is_refused(key: str, new_graph: tf.Graph) -> None:
    with pytest.raises(ValueError, match="malformed key"):
        hubplug.attach_message(key, Int32Value())


def test_a_key_may_end_in_a_line_feed(new_graph: tf.Graph) -> None:
    hubplug.attach_message("k\n", Int32Value())


def test_only_messages_are_attached(new_graph: tf.Graph) -> None:
    with pytest.raises(TypeError, match="'k', got dict"):
        hubplug.attach_message("k", {"value": 1})
    with pytest.raises(TypeError, match="got int: 3"):
        hubplug.attach_message(3, Int32Value())  # type: ignore[arg-type]


def test_signatures_and_messages_leave_no_collection_that_others_see(new_graph: tf.Graph) -> None:
    doubling()
    hubplug.attach_message("k", Int32Value(value=1))
    assert [key for key in new_graph.get_all_collection_keys() if isinstance(key, str)] == []


def test_a_module_may_be_built_from_another_one() -> None:
    inner = hubplug.create_module_spec(_with_weight)

    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [None])
        hubplug.add_signature(inputs=x, outputs=hubplug.Module(inner, name="inner")(x) + 1.0)

    spec = hubplug.create_module_spec(module_fn)
    assert spec.get_attached_message("k", Int32Value) is None
    with tf.Graph().as_default():
        module = hubplug.Module(spec)
        result = module([1.0, 2.0])
        assert sorted(module.variable_map) == ["inner/w"]
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            np.testing.assert_array_equal(session.run(result), [4.0, 7.0])


def _with_weight() -> None:
    x = v1.placeholder(tf.float32, [None])
    w = v1.get_variable("w", [], initializer=v1.constant_initializer(3.0))
    hubplug.add_signature(inputs=x, outputs=x * w)
    hubplug.attach_message("k", Int32Value(value=1))
