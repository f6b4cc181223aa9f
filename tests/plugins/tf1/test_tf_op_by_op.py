"""Ops that are made singly are the ops that an import makes, whatever is in effect around the application.

An application of the whole graph of a module is imported, an application of the needed part is made op by op.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

import hubplug
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
