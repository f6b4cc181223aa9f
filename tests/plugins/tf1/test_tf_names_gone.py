"""A TensorFlow that lacks one of the private names: modules work the slower way, or it is said what does not.

A name is taken away from the code that uses it, which looks for another one that is not there: TensorFlow itself needs it.
"""

from __future__ import annotations

import ast
import gc
import importlib
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import hubplug
import hubplug_tf1
from hubplug_tf1._errors import PrivateNameError
from hubplug_tf1._graph.tensor_info import build_tensor_info, parse_tensor_info
from hubplug_tf1._private_tensorflow import columns, functions, gradients, graphs, single_ops, tapes, type_specs
from tests.module_kinds import export, function_call

v1 = tf.compat.v1

ROOM = {
    "columns": columns,
    "functions": functions,
    "gradients": gradients,
    "graphs": graphs,
    "single_ops": single_ops,
    "tapes": tapes,
    "type_specs": type_specs,
}


def private_names() -> Iterator[tuple[str, str]]:
    """The file and the name of what is imported from ``tensorflow.python`` or ``.core``, used of that, or begins with ``_``."""
    for file, module in ROOM.items():
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        imports = [each for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)]
        imported = {a.name for each in imports if str(each.module).startswith("tensorflow.") for a in each.names}
        used = {
            each.attr
            for each in ast.walk(tree)
            if isinstance(each, ast.Attribute)
            and (each.attr[0] == "_" or (isinstance(each.value, ast.Name) and each.value.id in {*imported, "c_api"}))
        }
        yield from ((file, name) for name in sorted((imported | used) - {"__version__"}))


def without(code: CodeType, name: str) -> CodeType:
    return code.replace(
        co_names=tuple("no_such_name" if each == name else each for each in code.co_names),
        co_consts=tuple(without(each, name) if isinstance(each, CodeType) else each for each in code.co_consts),
    )


@pytest.fixture(autouse=True)
def probed_again() -> Iterator[None]:
    caches = (single_ops._are_made_well, tapes._tapes)
    for each in caches:
        each.cache_clear()
    yield
    for each in caches:
        each.cache_clear()


def take_away(monkeypatch: pytest.MonkeyPatch, file: str, name: str) -> None:
    functions = {getattr(each, "__wrapped__", each) for each in vars(ROOM[file]).values() if callable(each)}
    for each in functions:
        if isinstance(each, FunctionType) and each.__module__ == ROOM[file].__name__:
            monkeypatch.setattr(each, "__code__", without(each.__code__, name))


def module_fn() -> None:
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    w = v1.get_variable("w", [3, 2], initializer=v1.ones_initializer(), partitioner=v1.fixed_size_partitioner(3))
    bias = v1.get_variable("bias", [2], initializer=v1.ones_initializer(), use_resource=False)
    with v1.colocate_with(bias.op):
        y = tf.identity(x @ w) + bias
    hubplug.add_signature(inputs=x, outputs={"default": y, "both": tf.concat([y, y], 0)})
    ragged = v1.ragged.placeholder(tf.float32, 1, name="ragged")
    hubplug.add_signature("ragged", ragged, tf.reduce_sum(ragged, axis=1))


def results(path: Path) -> list[Any]:
    """What a module gives, applied twice, trained on, exported and applied again."""
    spec = hubplug.create_module_spec(module_fn)
    with tf.Graph().as_default(), v1.Session() as session:
        x = tf.constant([[1.0, 2.0, 3.0]])
        module = hubplug.Module(spec, trainable=True)
        with v1.control_dependencies([tf.no_op()]), tf.device("/cpu:0"):
            first, second = module(x, as_dict=True), module(2 * x)
        gradients = tf.gradients(second, [x, *module.variables])
        ragged = module(tf.ragged.constant([[1.0], [2.0, 3.0]]), signature="ragged")
        session.run(v1.global_variables_initializer())
        found = session.run([first["default"], first["both"], second, *map(tf.convert_to_tensor, gradients), ragged])
        module.export(str(path), session)
    with tf.Graph().as_default(), v1.Session() as session:
        again = hubplug.Module(str(path))(tf.constant([[1.0, 2.0, 3.0]]))
        session.run(v1.global_variables_initializer())
        return [*found, session.run(again)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return results(tmp_path_factory.mktemp("expected") / "m")


@pytest.mark.parametrize(("file", "name"), list(private_names()))
def test_without_a_private_name_a_module_gives_the_same(
    file: str, name: str, tmp_path: Path, expected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    take_away(monkeypatch, file, name)
    for found, wanted in zip(results(tmp_path / "m"), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", [name for file, name in private_names() if file == "type_specs"])
def test_without_a_name_for_type_specs_signatures_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with tf.Graph().as_default():
        value = v1.ragged.placeholder(tf.int64, 2, [3])
        there = build_tensor_info(value)
        take_away(monkeypatch, "type_specs", name)
        assert build_tensor_info(value) == there
        assert parse_tensor_info(there).type_spec == tf.type_spec_from_value(value)


@pytest.mark.parametrize("name", [name for file, name in private_names() if file == "single_ops"])
def test_without_a_name_that_makes_single_ops_a_graph_takes_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    take_away(monkeypatch, "single_ops", name)
    with tf.Graph().as_default() as graph:
        assert not single_ops.takes_single_ops(graph, [])


@pytest.mark.parametrize("name", [name for file, name in private_names() if file == "tapes"])
def test_without_a_name_that_speaks_to_tapes_that_is_said_once(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    take_away(monkeypatch, "tapes", name)
    with caplog.at_level(logging.WARNING), tf.Graph().as_default():
        module = hubplug.Module(hubplug.create_module_spec(module_fn), trainable=True)
        with tf.GradientTape():
            module(tf.ones([1, 3]))
            module(tf.ones([1, 3]))
        function = tf.function(lambda: module(tf.ones([1, 3])))
        assert {each.name for each in function.get_concrete_function().variables} >= {"module/w/part_0:0"}
    (warning,) = (each.getMessage() for each in caplog.records if "tf.GradientTape" in each.getMessage())
    assert tf.__version__ in warning
    assert "no_such_name" in warning


def test_an_op_beside_one_that_is_there_has_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    take_away(monkeypatch, "graphs", "_import_graph_def_internal")
    graph_def = v1.GraphDef()
    for name, groups in (("new", [b"loc:@there"]), ("newer", [b"loc:@there", b"loc:@new"])):
        node = graph_def.node.add(op="NoOp", name=name)
        node.attr["_class"].list.s.extend(groups)
    with tf.Graph().as_default() as graph:
        with tf.device("/device:CPU:1"):
            tf.no_op(name="there")
        graphs.import_beside_existing_ops(graph_def, {})
        new, newer = map(graph.get_operation_by_name, ("new", "newer"))
    assert [new.device, newer.device] == ["/device:CPU:1"] * 2
    assert newer.colocation_groups() == [b"loc:@new"]


def test_without_a_class_for_feature_columns_it_is_said_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_CLASSES", (("feature_column", "_Gone"), ("gone", "Gone")))
    with pytest.raises(ImportError, match=rf"TensorFlow {tf.__version__} has no _Gone or Gone"):
        columns.dense_feature_column()


def eager_results(path: Path) -> list[Any]:
    """What a module with a function gives under eager execution, with its gradient, and in a function around."""
    module = hubplug.Module(str(path), trainable=True)
    x = tf.constant([2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = module(x)
    return [y.numpy(), tape.gradient(y, x).numpy(), tf.function(lambda v: module(v), autograph=False)(x).numpy()]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("file", "name"), [each for each in private_names() if each[0] in ("functions", "gradients")])
def test_without_a_private_name_an_eager_module_gives_the_same_or_says_which_it_lacks(
    file: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = export(tf, hubplug, function_call, tmp_path)
    expected = eager_results(path)
    take_away(monkeypatch, file, name)
    with suppress(PrivateNameError):
        for ours, theirs in zip(eager_results(path), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", [name for file, name in private_names() if file == "functions"])
def test_a_module_is_freed_without_asking_for_a_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = hubplug.Module(str(export(tf, hubplug, function_call, tmp_path)))
    module(tf.constant([2.0, 3.0]))
    failures: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", failures.append)
    take_away(monkeypatch, "functions", name)
    del module
    gc.collect()
    assert not failures


def test_names_are_looked_for_in_every_file_of_the_room() -> None:
    room = Path(importlib.import_module("hubplug_tf1._private_tensorflow").__path__[0])
    assert {path.stem for path in room.glob("*.py")} == {*ROOM, "__init__"}
    assert hubplug_tf1.__name__ in room.parts
