"""Ops that are made singly are the ops that an import makes, whatever is in effect around the application.

An application of the whole graph of a module is imported, an application of the needed part is made op by op.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import hubplug
from hubplug_tf1._graph.protos import SavedModel
from tests.module_kinds import (
    KINDS,
    Define,
    batch_norm,
    dense_layer,
    export,
    function_call,
    image_features,
    vocabulary,
)

v1 = tf.compat.v1

Surroundings = Callable[[tf.Graph], AbstractContextManager[Any]]


def placeholders(module: hubplug.Module, signature: str) -> dict[str, Any]:
    def placeholder(info: Any) -> Any:
        if info.is_sparse:
            return v1.sparse_placeholder(info.dtype, info.get_shape())
        if info.is_composite:
            return v1.ragged.placeholder(info.dtype, 1, [])
        return v1.placeholder(info.dtype, info.get_shape())

    return {key: placeholder(info) for key, info in module.get_input_info_dict(signature).items()}


def ops_of_two_applications(path: Path, surroundings: Surroundings) -> dict[str, tuple[Any, ...]]:
    """By name of an op everything that a graph knows of it."""
    with tf.Graph().as_default() as graph:
        module = hubplug.Module(str(path), trainable=True)
        calls = [(signature, placeholders(module, signature)) for signature in module.get_signature_names()]
        with surroundings(graph):
            for signature, fed in calls * 2:
                module(fed or None, signature=signature, as_dict=True)
        found = {op.name: op for op in graph.get_operations() if op.name.startswith("module_apply")}
        return {name: (node_of(op), shapes_of(op), op._gradient_function) for name, op in found.items()}


def node_of(op: Any) -> Any:
    node = op.node_def
    # An import keeps the position of a first output, and the order of control edges.
    data = [edge.removesuffix(":0") for edge in node.input if edge[0] != "^"]
    node.input[:] = [*data, *sorted(edge for edge in node.input if edge[0] == "^")]
    return node


def shapes_of(op: Any) -> list[list[int | None] | None]:
    return [output.shape.as_list() if output.shape.rank is not None else None for output in op.outputs]


def assert_made_as_imported(path: Path, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ops_of_two_applications(path, surroundings)
    monkeypatch.setenv("HUBPLUG_IMPORT_WHOLE_GRAPH", "1")
    imported = ops_of_two_applications(path, surroundings)
    assert len({name.split("/")[0] for name in made}) >= 2
    assert made == {name: imported[name] for name in made}


@pytest.mark.parametrize("define", KINDS, ids=lambda define: define.__name__)
def test_the_ops_of_a_module_are_those_of_an_import(
    define: Define, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if define is image_features and not hasattr(hubplug, "ImageModuleInfo"):
        pytest.skip("this release has no ImageModuleInfo")
    assert_made_as_imported(export(tf, hubplug, define, tmp_path), lambda _: nullcontext(), monkeypatch)


@pytest.mark.parametrize("define", KINDS, ids=lambda define: define.__name__)
def test_every_kind_of_module_is_made_op_by_op(define: Define, tmp_path: Path) -> None:
    """From the second call on, as the first one of a signature that calls functions is imported with them.

    TensorFlow 1's loops and conditions are always imported.
    """
    if define is image_features and not hasattr(hubplug, "ImageModuleInfo"):
        pytest.skip("this release has no ImageModuleInfo")
    imports = []

    def trace(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_name == "_import_graph_def_internal":
            imports.append(frame)

    with tf.Graph().as_default():
        path = export(tf, hubplug, define, tmp_path)
        module = hubplug.Module(str(path))
        calls = [(signature, placeholders(module, signature)) for signature in module.get_signature_names()]
        for signature, fed in calls:
            module(fed or None, signature=signature, as_dict=True)
        sys.setprofile(trace)
        try:
            for signature, fed in calls:
                module(fed or None, signature=signature, as_dict=True)
        finally:
            sys.setprofile(None)
    saved_model = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    has_contexts = not {"cond_context", "while_context"}.isdisjoint(saved_model.meta_graphs[0].collection_def)
    assert bool(imports) == has_contexts


def control_dependencies(graph: Any) -> AbstractContextManager[Any]:
    return graph.control_dependencies([tf.no_op(name="before"), tf.constant(1.0, name="also_before")])


def colocation(graph: Any) -> AbstractContextManager[Any]:
    return graph.colocate_with(tf.no_op(name="beside"))


def on_a_device(graph: Any) -> AbstractContextManager[Any]:
    return graph.device("/job:worker/device:CPU:0")


def by_a_device_function(graph: Any) -> AbstractContextManager[Any]:
    return graph.device(lambda op: "/device:CPU:1" if op.type == "MatMul" else "")


def gradient_override(graph: Any) -> AbstractContextManager[Any]:
    return graph.gradient_override_map({"MatMul": "Other"})


def kernel_label(graph: Any) -> AbstractContextManager[Any]:
    return graph._kernel_label_map({"MatMul": "other"})


def attribute(graph: Any) -> AbstractContextManager[Any]:
    return graph._attr_scope({"_other": v1.AttrValue(b=True)})


def container(graph: Any) -> AbstractContextManager[Any]:
    return graph.container("box")


SURROUNDINGS = [
    control_dependencies,
    colocation,
    on_a_device,
    by_a_device_function,
    gradient_override,
    kernel_label,
    attribute,
    container,
]


@pytest.mark.parametrize("define", [dense_layer, batch_norm, vocabulary, function_call], ids=lambda each: each.__name__)
@pytest.mark.parametrize("surroundings", SURROUNDINGS, ids=lambda each: each.__name__)
def test_what_is_around_reaches_ops_as_it_reaches_imported_ones(
    define: Define, surroundings: Surroundings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_made_as_imported(export(tf, hubplug, define, tmp_path), surroundings, monkeypatch)


def test_a_stated_shape_that_contradicts_the_input_is_refused_as_by_an_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [None, 4])
        y = tf.identity(x)
        y.set_shape([2, 4])
        hubplug.add_signature(inputs=x, outputs=y)

    path = export(tf, hubplug, lambda *_: module_fn(), tmp_path)
    for variable in ("0", "1"):
        monkeypatch.setenv("HUBPLUG_IMPORT_WHOLE_GRAPH", variable)
        with tf.Graph().as_default():
            module = hubplug.Module(str(path))
            with pytest.raises(
                ValueError, match=r"_output_shapes attribute inconsistent .* must be equal, but are 3 and 2"
            ):
                module(tf.ones([3, 4]))
            assert module(tf.ones([2, 4])).shape.as_list() == [2, 4]
            assert module(v1.placeholder(tf.float32, [None, 4])).shape.as_list() == [2, 4]


def test_a_type_of_an_input_that_the_module_leaves_to_its_default_is_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [None, 4])
        hubplug.add_signature(inputs=x, outputs=tf.reduce_sum(x, axis=1, name="sum"))

    path = export(tf, hubplug, lambda *_: module_fn(), tmp_path)
    saved_model = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    for node in saved_model.meta_graphs[0].graph_def.node:
        node.attr.pop("Tidx", None)
    (path / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    assert_made_as_imported(path, lambda _: nullcontext(), monkeypatch)
    with tf.Graph().as_default() as graph:
        hubplug.Module(str(path))([[1.0, 2.0, 3.0, 4.0]])
        assert graph.get_operation_by_name("module_apply_default/sum").get_attr("Tidx") == tf.int32


def outcome(path: Path, whole: bool) -> str:
    with tf.Graph().as_default():
        module = hubplug.Module(str(path))
        module._impl._whole = whole  # type: ignore[attr-defined]
        try:
            module([[1.0, 2.0]])
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:30]}"
        return "applied"


def control_edge_first(node: Any) -> None:
    node.input.insert(0, "^other")


def surplus_input(node: Any) -> None:
    node.input.append("other")


def missing_input(node: Any) -> None:
    del node.input[1]


def no_such_output(node: Any) -> None:
    node.input[0] = "other:3"


def missing_attribute(node: Any) -> None:
    del node.attr["T"]


def empty_attribute(node: Any) -> None:
    node.attr["grad_a"].CopyFrom(v1.AttrValue())


def more_shapes_than_outputs(node: Any) -> None:
    node.attr["_output_shapes"].list.shape.add()


def fewer_shapes_than_outputs(node: Any) -> None:
    del node.attr["_output_shapes"].list.shape[:]


def impossible_length(node: Any) -> None:
    node.attr["_output_shapes"].list.shape[0].dim[0].size = -7


def impossible_name(node: Any) -> None:
    node.name = "a\\b"


@pytest.mark.parametrize(
    "damage",
    [
        control_edge_first,
        surplus_input,
        missing_input,
        no_such_output,
        missing_attribute,
        empty_attribute,
        more_shapes_than_outputs,
        fewer_shapes_than_outputs,
        impossible_length,
        impossible_name,
    ],
    ids=lambda each: each.__name__,
)
def test_a_graph_that_is_not_well_formed_gets_what_an_import_says(
    damage: Callable[[Any], None], tmp_path: Path
) -> None:
    def module_fn() -> None:
        x = v1.placeholder(tf.float32, [None, 2])
        other = tf.constant([[1.0], [1.0]], name="other")
        hubplug.add_signature(inputs=x, outputs=tf.identity(tf.matmul(x, other, name="damaged"), name="result"))

    path = export(tf, hubplug, lambda *_: module_fn(), tmp_path)
    saved_model = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    nodes = {node.name: node for node in saved_model.meta_graphs[0].graph_def.node}
    damage(nodes["damaged"])
    nodes["result"].input[0] = nodes["damaged"].name
    (path / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    assert outcome(path, whole=False) == outcome(path, whole=True)
