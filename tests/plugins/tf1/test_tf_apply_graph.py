"""What applying a Module adds to a graph, and what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug
from hubplug_tf1._application import instance as _instance

v1 = tf.compat.v1
KEYS = v1.GraphKeys


def layers(count: int = 3) -> Any:
    """A function that makes a module of dense layers, each with an update op."""

    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        outputs, y = {}, x
        for i in range(count):
            with v1.variable_scope(f"layer_{i}"):
                w = v1.get_variable("w", [2, 2], regularizer=tf.nn.l2_loss)
                mean = v1.get_variable("mean", [2], trainable=False, initializer=v1.zeros_initializer())
                y = tf.nn.relu(tf.matmul(y, w) - mean)
                v1.add_to_collection(KEYS.UPDATE_OPS, v1.assign(mean, tf.reduce_mean(y, 0)).op)
            outputs[f"layer_{i}"] = y
        hubplug.add_signature(inputs=x, outputs={**outputs, "default": y})
        hubplug.add_signature("first", inputs=x, outputs=outputs["layer_0"])
        hubplug.add_signature("a:b", inputs=x, outputs=outputs["layer_0"])
        other = v1.placeholder(tf.float32, [2], name="other")
        hubplug.add_signature("other", inputs=other, outputs=other + 1.0)
        v1.add_to_collection(KEYS.UPDATE_OPS, v1.assign_add(mean, other).op)
        with tf.name_scope("without_inputs"):
            v1.add_to_collection(KEYS.UPDATE_OPS, v1.assign_add(mean, [1.0, 1.0]).op)
        hubplug.add_signature("second", inputs=outputs["layer_0"], outputs=outputs["layer_1"])

    return module_fn


@pytest.fixture
def spec() -> hubplug.ModuleSpec:
    return hubplug.create_module_spec(layers())


def added(graph: tf.Graph, apply: Any) -> tuple[Any, list[tf.Operation]]:
    before = len(graph.get_operations())
    result = apply()
    return result, graph.get_operations()[before:]


def test_only_what_the_outputs_need_is_added(spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec)
    x = tf.zeros([1, 2])
    _, ops = added(new_graph, lambda: module(x, signature="first"))
    assert sorted(op.name for op in ops) == [
        f"module_apply_first/layer_0/{name}"
        for name in ("MatMul", "MatMul/ReadVariableOp", "Relu", "sub", "sub/ReadVariableOp")
    ]


def test_the_hundredth_call_adds_what_the_first_did(spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec)
    x = tf.zeros([1, 2])
    sizes = {len(added(new_graph, lambda: module(x))[1]) for _ in range(100)}
    assert len(sizes) == 1


def test_scopes_are_counted_per_signature_within_the_scope_of_the_call(spec: Any, new_graph: tf.Graph) -> None:
    with v1.variable_scope("made"):
        module = hubplug.Module(spec)
    x = tf.zeros([1, 2])
    seen = [module(x).name, module(x).name, module(x, signature="first").name, module(x, signature="a:b").name]
    with tf.name_scope("ns"):
        seen.append(module(x).name)
    assert seen == [
        "module_apply_default/layer_2/Relu:0",
        "module_apply_default_1/layer_2/Relu:0",
        "module_apply_first/layer_0/Relu:0",
        "module_apply_a_b/layer_0/Relu:0",
        "ns/module_apply_default/layer_2/Relu:0",
    ]


def test_only_the_last_part_of_a_module_name_is_in_the_scope(spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec, name="p/q")
    assert module(tf.zeros([1, 2])).name.startswith("q_apply_default/")


def test_converted_inputs_are_outside_of_the_scope(spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec)
    with tf.name_scope("ns"):
        _, ops = added(new_graph, lambda: module([[1.0, 2.0]], signature="first"))
    assert ops[0].name == "ns/Const"


def test_a_name_in_the_scope_is_taken_afterwards(spec: Any, new_graph: tf.Graph) -> None:
    hubplug.Module(spec)(tf.zeros([1, 2]), signature="first")
    with tf.name_scope("module_apply_first/layer_0/"):
        assert tf.zeros([], name="Relu").op.name == "module_apply_first/layer_0/Relu_1"


def test_applications_share_the_state(spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec)
    x = tf.constant([[1.0, 2.0]])
    first, second = module(x), module(x * 2.0)
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        a, b = session.run([first, second])
        np.testing.assert_allclose(2 * a, b, rtol=1e-6)


@pytest.mark.parametrize("around", ["plain", "control dependencies", "colocation"])
def test_the_whole_graph_and_the_needed_part_give_equal_results(spec: Any, new_graph: tf.Graph, around: str) -> None:
    """The three ways in which an application comes into a graph: op by op, by an import, and by one of everything."""
    x = tf.constant([[1.0, -2.0], [3.0, 4.0]])
    module = hubplug.Module(spec, trainable=True)
    module(x)  # which is always imported
    whole = _instance.Instance(
        spec,
        module._impl._variant,
        graph=new_graph,
        scope="module",
        trainable=True,
        tags=frozenset(),
        variable_map=module.variable_map,
        trained={},
        import_whole_graph=True,
    )
    anchor = tf.constant(0.0)
    scopes = {
        "plain": lambda: tf.name_scope("p"),
        "control dependencies": lambda: tf.control_dependencies([anchor]),
        "colocation": lambda: v1.colocate_with(anchor, ignore_existing=True),
    }
    with scopes[around]():
        needed = module(x, as_dict=True)
    everything = whole.apply(x, None, True)
    assert [t.shape.as_list() for t in needed.values()] == [t.shape.as_list() for t in everything.values()]
    variables = [v for v in module.variables if "w" in v.name]
    gradients = [tf.gradients(outputs["default"], [x, *variables]) for outputs in (needed, everything)]
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        a, b = session.run([[needed, gradients[0]], [everything, gradients[1]]])
    tf.nest.map_structure(np.testing.assert_array_equal, a, b)


def test_every_op_of_an_application_has_the_control_dependencies_of_the_call(spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec)
    x, before = tf.zeros([1, 2]), tf.constant(0.0)
    with tf.control_dependencies([before]):
        _, ops = added(new_graph, lambda: module(x))
    assert all(before.op in op.control_inputs for op in ops)


def test_a_device_around_a_call_fills_what_the_module_leaves_open(new_graph: tf.Graph) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [])
        with tf.device("/device:CPU:0"):
            y = tf.negative(x, name="placed")
        hubplug.add_signature(inputs=x, outputs={"default": tf.negative(y, name="open"), "placed": y})

    module = hubplug.Module(hubplug.create_module_spec(module_fn))
    with tf.device("/job:w/device:CPU:2"):
        outputs = module(1.0, as_dict=True)
    assert outputs["default"].device == "/job:w/device:CPU:2"
    assert outputs["placed"].device == "/job:w/device:CPU:0"


def test_update_ops_come_when_trainable_without_those_of_inputs_not_fed(spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec, trainable=True)
    module(tf.zeros([1, 2]))
    assert [op.name.removeprefix("module_apply_default/") for op in v1.get_collection(KEYS.UPDATE_OPS)] == [
        "layer_0/AssignVariableOp",
        "layer_1/AssignVariableOp",
        "layer_2/AssignVariableOp",
        "without_inputs/AssignAddVariableOp",
    ]
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        session.run(v1.get_collection(KEYS.UPDATE_OPS))


def test_update_ops_of_the_fed_input_come_with_any_signature_that_has_it(spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec, trainable=True)
    module([1.0, 2.0], signature="other")
    assert [op.name for op in v1.get_collection(KEYS.UPDATE_OPS)] == [
        "module_apply_other/AssignAddVariableOp",
        "module_apply_other/without_inputs/AssignAddVariableOp",
    ]


def test_update_ops_computed_from_a_fed_inner_tensor_stay(spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec, trainable=True)
    module(tf.zeros([1, 2]), signature="second")
    updates = [op.name.removeprefix("module_apply_second/") for op in v1.get_collection(KEYS.UPDATE_OPS)]
    assert updates == [
        "layer_0/AssignVariableOp",
        "layer_1/AssignVariableOp",
        "layer_2/AssignVariableOp",
        "without_inputs/AssignAddVariableOp",
    ]


def test_no_update_ops_when_not_trainable(spec: Any, new_graph: tf.Graph) -> None:
    hubplug.Module(spec)(tf.zeros([1, 2]))
    assert v1.get_collection(KEYS.UPDATE_OPS) == []


def test_training_changes_the_variables(spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec, trainable=True)
    loss = tf.reduce_sum(module(tf.ones([1, 2]), signature="first")) + tf.add_n(v1.losses.get_regularization_losses())
    step = v1.train.GradientDescentOptimizer(0.1).minimize(loss)
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        before = session.run(module.variable_map["layer_0/w"])
        session.run(step)
        assert (session.run(module.variable_map["layer_0/w"]) != before).any()


def test_assets_are_recorded_at_each_call(tmp_path: Path, new_graph: tf.Graph) -> None:
    (tmp_path / "v.txt").write_text("a\n")

    def module_fn() -> None:
        asset = tf.constant(str(tmp_path / "v.txt"), name="asset")
        v1.add_to_collection(KEYS.ASSET_FILEPATHS, asset)
        hubplug.add_signature(outputs=tf.io.read_file(asset))

    module = hubplug.Module(hubplug.create_module_spec(module_fn))
    assert [t.name for t in v1.get_collection(KEYS.ASSET_FILEPATHS)] == ["module/asset:0"]
    module()
    module()
    assert [t.name for t in v1.get_collection(KEYS.ASSET_FILEPATHS)] == [
        "module/asset:0",
        "module_apply_default/asset:0",
        "module_apply_default_1/asset:0",
    ]


def test_an_input_that_is_an_output_comes_back_as_fed(new_graph: tf.Graph) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [])
        hubplug.add_signature(inputs=x, outputs={"default": x})

    x = tf.constant(1.0)
    module = hubplug.Module(hubplug.create_module_spec(module_fn))
    assert module(x) is x


def test_an_output_can_be_a_state_tensor(new_graph: tf.Graph) -> None:
    def module_fn() -> None:
        w = v1.get_variable("w", [2], use_resource=True)
        hubplug.add_signature(outputs={"default": w + 1.0, "handle": w.handle})

    outputs = hubplug.Module(hubplug.create_module_spec(module_fn))(as_dict=True)
    assert outputs["handle"].name == "module/w:0"


def test_a_state_tensor_can_be_fed(new_graph: tf.Graph) -> None:
    def module_fn() -> None:
        handle = v1.placeholder(tf.resource, [], name="handle")
        hubplug.add_signature(inputs=handle, outputs=tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32))

    v = v1.get_variable("v", [], use_resource=True, initializer=v1.constant_initializer(7.0))
    y = hubplug.Module(hubplug.create_module_spec(module_fn))(v.handle)
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        assert session.run(y) == 7.0


def test_control_edges_from_state_and_from_inputs_go_to_what_replaces_them(new_graph: tf.Graph) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [], name="x")
        w = v1.get_variable("w", [], use_resource=True)
        with tf.control_dependencies([x, w.handle.op]):
            hubplug.add_signature(inputs=x, outputs=tf.constant(3.0, name="after"))

    x = tf.constant(1.0, name="mine")
    y = hubplug.Module(hubplug.create_module_spec(module_fn))(x)
    assert {op.name for op in y.op.control_inputs} == {"mine", "module/w"}


def test_assertions_of_a_module_are_kept(new_graph: tf.Graph) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [])
        with tf.control_dependencies([v1.assert_positive(x)]):
            hubplug.add_signature(inputs=x, outputs=tf.identity(x))

    y = hubplug.Module(hubplug.create_module_spec(module_fn))(-1.0)
    with v1.Session() as session, pytest.raises(tf.errors.InvalidArgumentError, match="assert"):
        session.run(y)


@pytest.mark.parametrize("fed", [[None, 2], None, [4, 2]])
def test_shapes_that_the_publisher_set_survive(new_graph: tf.Graph, fed: Any) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [None, 2])
        y = v1.py_func(lambda v: v, [x], tf.float32)
        y.set_shape([None, 3])
        hubplug.add_signature(inputs=x, outputs=tf.concat([y, y], 1))

    module = hubplug.Module(hubplug.create_module_spec(module_fn))
    assert module(v1.placeholder(tf.float32, fed)).shape.as_list() == [None, 6]


def test_a_fed_shape_shows_in_the_outputs(spec: Any, new_graph: tf.Graph) -> None:
    assert hubplug.Module(spec)(tf.zeros([5, 2])).shape == [5, 2]


def test_functions_of_a_module_come_along(new_graph: tf.Graph) -> None:
    @tf.function
    def inner(x: Any) -> Any:
        return x * 3.0

    @tf.function
    def outer(x: Any) -> Any:
        return inner(x) + 1.0

    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [])
        hubplug.add_signature(inputs=x, outputs=outer(x))
        hubplug.add_signature("plain", inputs=x, outputs=x + 1.0)

    module = hubplug.Module(hubplug.create_module_spec(module_fn))
    module(1.0, signature="plain")
    assert not new_graph.as_graph_def().library.function
    ys = [module(2.0) for _ in range(3)]
    with v1.Session() as session:
        assert session.run(ys) == [7.0, 7.0, 7.0]


def test_a_finalized_graph_takes_no_application(spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec)
    x = tf.zeros([1, 2])
    new_graph.finalize()
    with pytest.raises(RuntimeError, match="finalized"):
        module(x)


def test_another_graph_is_a_runtime_error_that_speaks_of_threads(spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec)
    with (
        tf.Graph().as_default(),
        pytest.raises(RuntimeError, match="applied in the graph it was instantiated for") as caught,
    ):
        module([[1.0, 2.0]])
    assert "per thread" in str(caught.value)


def test_an_input_of_another_graph_is_a_value_error(spec: Any, new_graph: tf.Graph) -> None:
    module = hubplug.Module(spec)
    with tf.Graph().as_default():
        foreign = tf.zeros([1, 2], name="foreign")
    with pytest.raises(ValueError, match=r"foreign:0.*another graph"):
        module(foreign)


def test_an_application_goes_beside_ops_of_an_imported_graph_with_its_names(new_graph: tf.Graph) -> None:
    def module_fn() -> None:
        x = tf.compat.v1.placeholder(tf.float32, [None])
        hubplug.add_signature(inputs=x, outputs=tf.multiply(x, 2.0, name="double"))

    module = hubplug.Module(hubplug.create_module_spec(module_fn))
    with tf.Graph().as_default() as other:
        tf.constant([7.0], name="module_apply_default/double")
    tf.import_graph_def(other.as_graph_def(), name="")
    output = module([1.0, 2.0])
    assert output.name == "module_apply_default_1/double:0"
    with tf.compat.v1.Session() as session:
        np.testing.assert_array_equal(session.run(output), [2.0, 4.0])
