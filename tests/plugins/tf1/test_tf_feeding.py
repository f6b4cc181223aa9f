"""What a Module takes as inputs, and what it says to the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug
from hubplug.errors import HubplugError, InputError

v1 = tf.compat.v1


def module_fn() -> None:
    x = v1.placeholder(tf.float32, [None, 2], name="x")
    i = v1.placeholder(tf.int32, [None], name="i")
    sparse = v1.sparse_placeholder(tf.float32, [None, 2], name="sparse")
    ragged = v1.ragged.placeholder(tf.int64, 1, [], name="ragged")
    hubplug.add_signature(inputs=x, outputs=x * 2.0)
    hubplug.add_signature("two", inputs={"x": x, "i": i}, outputs={"a": x + 1.0, "i": i})
    hubplug.add_signature("none", outputs=tf.constant(3.0))
    hubplug.add_signature("sparse", inputs=sparse, outputs={"default": sparse, "dense": tf.sparse.to_dense(sparse)})
    hubplug.add_signature("ragged", inputs=ragged, outputs={"default": ragged, "dense": ragged.to_tensor()})


@pytest.fixture
def module(new_graph: tf.Graph) -> hubplug.Module:
    return hubplug.Module(hubplug.create_module_spec(module_fn))


def run(tensors: Any) -> Any:
    with v1.Session() as session:
        return session.run(tensors)


@pytest.mark.parametrize(
    "value",
    [
        [[1.0, 2.0]],
        [[1, 2]],
        np.array([[1.0, 2.0]]),
        np.array([[1, 2]]),
        {"default": [[1.0, 2.0]]},
        ((1.0, 2.0),),
    ],
)
def test_what_converts_is_converted(module: Any, value: Any) -> None:
    np.testing.assert_array_equal(run(module(value)), [[2.0, 4.0]])


@pytest.mark.parametrize("nothing", [None, {}])
def test_a_signature_without_inputs_takes_nothing(module: Any, nothing: Any) -> None:
    assert run(module(nothing, signature="none")) == 3.0


@pytest.mark.parametrize(
    ("inputs", "signature", "message"),
    [
        (None, "default", r"Cannot convert dict_inputs: missing \['default'\], extra given \[\]"),
        ({}, "two", r"missing \['i', 'x'\], extra given \[\]"),
        ({"default": [[1.0, 2.0]], "q": 1}, "default", r"missing \[\], extra given \['q'\]"),
        ([[1.0, 2.0]], "two", r"Signature expects multiple inputs. Use a dict\."),
        ([], "none", r"Signature expects no inputs\."),
        ({"q": 1}, "none", r"missing \[\], extra given \['q'\]"),
        ({"x": [[1, 2]], "i": [1.5]}, "two", r"Can't convert 'i': .*1\.5"),
        ("abc", "default", r"Can't convert 'default': .*abc"),
        ([[1.0, 2.0]], "sparse", r"Can't convert 'default': Got Tensor\. Expected SparseTensor\."),
        ([[1, 2]], "ragged", r"Can't convert 'default': Got Tensor\. Expected RaggedTensor\."),
    ],
)
def test_what_does_not_fit_is_a_type_error(module: Any, inputs: Any, signature: str, message: str) -> None:
    with pytest.raises(TypeError, match=message) as caught:
        module(inputs, signature=signature, as_dict=True)
    assert isinstance(caught.value, InputError)


@pytest.mark.parametrize(
    ("make", "signature", "message"),
    [
        (
            lambda: tf.ones([2, 3]),
            "default",
            r"Can't convert 'default': Got TensorSpec\(shape=\(2, 3\).*Expected TensorSpec\(shape=\((None|\?), 2\)",
        ),
        (lambda: tf.sparse.from_dense([[1.0, 2.0]]), "default", r"Got SparseTensor\. Expected Tensor\."),
        (lambda: tf.ragged.constant([[1.0, 2.0]]), "default", r"Got RaggedTensor\. Expected Tensor\."),
        (lambda: tf.ones([1, 2]), "sparse", r"Got Tensor\. Expected SparseTensor\."),
        (
            lambda: tf.sparse.from_dense([[1.0, 2.0, 3.0]]),
            "sparse",
            r"SparseTensorSpec\(TensorShape\(\[(1|Dimension\(1\)), ",
        ),
        (
            lambda: tf.ragged.constant([[1, 2]], dtype=tf.int64, row_splits_dtype=tf.int32),
            "ragged",
            r"tf\.int32\)\. Expected RaggedTensorSpec",
        ),
    ],
)
def test_another_kind_or_shape_is_a_type_error(module: Any, make: Any, signature: str, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        module(make(), signature=signature)


@pytest.mark.parametrize("error", [TypeError, ValueError, HubplugError])
@pytest.mark.parametrize(
    ("make", "signature"),
    [
        (lambda: tf.ones([2, 2], tf.float64), "default"),
        (lambda: tf.sparse.from_dense([[1, 2]]), "sparse"),
        (lambda: tf.ragged.constant([[1, 2]], dtype=tf.int32), "ragged"),
    ],
)
def test_another_dtype_is_a_type_error_and_a_value_error(
    module: Any, make: Any, signature: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match="Can't convert 'default'"):
        module(make(), signature=signature)


def test_a_list_that_is_no_tensor_names_its_input(module: Any) -> None:
    with pytest.raises(ValueError, match="Can't convert 'x'"):
        module({"x": [[1.0, 2.0], [3.0]], "i": [1]}, signature="two", as_dict=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda: tf.SparseTensor([[0, 1]], [5.0], [1, 2]),
        lambda: v1.SparseTensorValue([[0, 1]], [5.0], [1, 2]),
    ],
)
def test_sparse_inputs_and_their_values_are_taken(module: Any, make: Any) -> None:
    outputs = module(make(), signature="sparse", as_dict=True)
    assert isinstance(outputs["default"], tf.SparseTensor)
    np.testing.assert_array_equal(run(outputs["dense"]), [[0.0, 5.0]])


@pytest.mark.parametrize(
    "make",
    [
        lambda: tf.ragged.constant([[1, 2], [3]], dtype=tf.int64),
        lambda: v1.ragged.RaggedTensorValue(np.array([1, 2, 3], np.int64), np.array([0, 2, 3], np.int64)),
    ],
)
def test_ragged_inputs_and_their_values_are_taken(module: Any, make: Any) -> None:
    outputs = module(make(), signature="ragged", as_dict=True)
    assert isinstance(outputs["default"], tf.RaggedTensor)
    np.testing.assert_array_equal(run(outputs["dense"]), [[1, 2], [3, 0]])


def test_an_unknown_shape_passes(module: Any) -> None:
    assert module(v1.placeholder(tf.float32)).shape.as_list() == [None, 2]


def test_all_outputs_come_as_a_dict(module: Any) -> None:
    assert set(module([[1.0, 2.0]], as_dict=True)) == {"default"}
    outputs = module({"x": [[1.0, 2.0]], "i": [4]}, signature="two", as_dict=1)
    np.testing.assert_array_equal(run(outputs["a"]), [[2.0, 3.0]])


def test_no_default_output_is_a_type_error_that_lists_the_outputs(module: Any) -> None:
    with pytest.raises(TypeError, match=r"There is no output named 'default'\. Use as_dict=True\..*'a', 'i'"):
        module({"x": [[1.0, 2.0]], "i": [4]}, signature="two")


def test_names_count_a_call_without_a_default_output_and_no_other_refused_one(module: Any) -> None:
    inputs = {"x": [[1.0, 2.0]], "i": [4]}
    for refused, arguments in [
        ({"x": [[1.0, 2.0]]}, {"as_dict": True}),
        ({"x": [[1.0]], "i": [4]}, {"as_dict": True}),
        (inputs, {}),
    ]:
        with pytest.raises(TypeError):
            module(refused, signature="two", **arguments)
    assert module(inputs, signature="two", as_dict=True)["a"].name.startswith("module_apply_two_1/")


@pytest.mark.parametrize("error", [KeyError, ValueError, HubplugError])
def test_an_unknown_signature_lists_those_there_are(module: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"Signature 'zz' is missing from meta graph.*'default', 'none'"):
        module([[1.0, 2.0]], signature="zz")


def test_an_unknown_signature_is_told_what_those_there_are_take_and_give(module: Any) -> None:
    with pytest.raises(KeyError) as caught:
        module([[1.0, 2.0]], signature="zz")
    told = str(caught.value)
    pairs, vector = tf.TensorShape([None, 2]), tf.TensorShape([None])
    assert f"'default' from {{'default': float32 {pairs}}} to {{'default': float32 {pairs}}}" in told
    assert (
        f"'two' from {{'i': int32 {vector}, 'x': float32 {pairs}}} to {{'a': float32 {pairs}, 'i': int32 {vector}}}"
        in told
    )
    assert "'none' from {} to {'default': float32 ()}" in told
    assert f"'sparse' from {{'default': sparse float32 {pairs}}}" in told
    assert f"'ragged' from {{'default': composite int64 {tf.TensorShape([None, None])}}}" in told


def test_of_many_signatures_an_error_describes_a_few(new_graph: tf.Graph) -> None:
    def many() -> None:
        for number in range(100):
            hubplug.add_signature(f"s{number:02}", outputs=tf.constant(1.0))

    with pytest.raises(KeyError) as caught:
        hubplug.Module(hubplug.create_module_spec(many))()
    message, hint = str(caught.value).splitlines()
    assert "'s99'" in message
    assert hint.endswith("'s07' from {} to {'default': float32 ()}; ...")


def test_an_empty_signature_name_is_the_default(module: Any) -> None:
    assert module([[1.0, 2.0]], signature="").name.startswith("module_apply_default/")


def test_the_argument_between_is_not_a_signature(module: Any) -> None:
    assert module([[1.0, 2.0]], "two").name.startswith("module_apply_default/")


@pytest.mark.parametrize("value", [np.array([4], np.int64), np.array([4.7]), np.array([4], np.uint8)])
def test_arrays_of_another_dtype_are_cast(module: Any, value: Any) -> None:
    outputs = module({"x": np.array([[1, 2]], np.int16), "i": value}, signature="two", as_dict=True)
    assert [array.tolist() for array in run([outputs["a"], outputs["i"]])] == [[[2.0, 3.0]], [4]]


@pytest.mark.parametrize(("dtype", "value"), [(tf.int32, 1.5), (tf.bool, 1), (tf.string, 1)])
def test_lists_of_another_kind_are_type_errors(new_graph: tf.Graph, dtype: Any, value: Any) -> None:
    def one_input() -> None:
        x = v1.placeholder(dtype, [None])
        hubplug.add_signature(inputs=x, outputs=tf.identity(x))

    with pytest.raises(TypeError, match="Can't convert 'default'"):
        hubplug.Module(hubplug.create_module_spec(one_input))([value])


@pytest.mark.parametrize("inputs", [{"x": [[1.0, 2.0]], "i": [4]}, {"i": [4], "x": [[1.0, 2.0]]}])
def test_inputs_are_converted_in_the_order_of_their_keys(module: Any, inputs: Any) -> None:
    outputs = module(inputs, signature="two", as_dict=True)
    assert outputs["i"].name == "Const:0"
