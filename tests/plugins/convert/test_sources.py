"""What is wrong with a source or with what is said of it is told before anything runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hubplug_format import ModuleBuilder, write_module
from tests.plugins.convert.conftest import Convert


@pytest.fixture
def frozen(tmp_path: Path) -> Path:
    builder = ModuleBuilder()
    x = builder.placeholder("net/x", "float32", [None])
    builder.node("Neg", [x], name="net/y", shape=[None])
    (tmp_path / "graph.pb").write_bytes(builder.meta_graph.graph_def.SerializeToString())
    return tmp_path / "graph.pb"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "its placeholders are net/x:0; nothing takes net/y:0"),
        (["--output", "default=net/z"], "There is no tensor net/z:0"),
        (["--output", "default"], "--output default is not of the form NAME=TENSOR"),
        (["--output", "a=net/y", "--output", "a=net/x"], "gives 'a' a second time"),
        (["--output", "default=net/y"], "The outputs need net/x:0, which no --input names"),
    ],
)
def test_of_a_graph_the_tensors_are_listed(arguments: list[str], said: str, convert: Convert, frozen: Path) -> None:
    status, error = convert(frozen, frozen.parent / "out", *arguments)
    assert status == 2
    assert said in error
    assert "hint: " in error


def test_a_graph_with_variables_is_refused(convert: Convert, tmp_path: Path) -> None:
    builder = ModuleBuilder()
    builder.variable("w", 1.0)
    (tmp_path / "graph.pb").write_bytes(builder.meta_graph.graph_def.SerializeToString())
    status, error = convert(tmp_path / "graph.pb", tmp_path / "out", "--output", "default=w")
    assert status == 2
    assert "has variables, whose values are not in it: w" in error


def test_a_file_that_is_no_graph_is_said(convert: Convert, tmp_path: Path) -> None:
    (tmp_path / "graph.pb").write_bytes(b"no graph at all")
    status, error = convert(tmp_path / "graph.pb", tmp_path / "out", "--output", "default=w")
    assert status == 2
    assert str(tmp_path / "graph.pb") in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--signature", "defalt"], "did you mean 'default'?"),
        (["--tag", "train"], "No such graph variant: tags=['train']"),
        (["--output", "default=y"], "--input and --output are for frozen graphs"),
        (["--example", "nowhere.npz"], "nowhere.npz cannot be read"),
        (["--to", "onyx"], "There is no conversion of a module in TF1 Hub format to 'onyx'"),
    ],
)
def test_what_does_not_fit_the_source_is_said(arguments: list[str], said: str, convert: Convert, module: Path) -> None:
    status, error = convert(module, module.parent / "out", *arguments)
    assert status == 2
    assert said in error
    assert not (module.parent / "out").exists()


@pytest.mark.parametrize("name", ["saved_model.pb", "tfhub_module.pb"])
def test_a_file_of_a_module_names_its_directory(name: str, convert: Convert, module: Path) -> None:
    status, error = convert(module / name, module.parent / "out")
    assert status == 2
    assert f"hint: give its directory: {module}" in error


def test_a_graph_is_called_one(convert: Convert, frozen: Path) -> None:
    status, error = convert(frozen, frozen.parent / "out", "--to", "saved-model", "--output", "default=net/y")
    assert status == 2
    assert "There is no conversion of a frozen graph to 'saved-model'" in error


def test_a_result_does_not_lie_in_its_source(convert: Convert, module: Path) -> None:
    status, error = convert(module, module / "inner" / "out", "--to", "Good")
    assert status == 2
    assert "lies in the source" in error


def test_an_example_has_an_array_for_each_input(convert: Convert, module: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", y=np.zeros(3))
    status, error = convert(module, tmp_path / "out", "--to", "Good", "--example", tmp_path / "e.npz")
    assert status == 2
    assert "has y, and the inputs of signature 'default' are x (dense float32)" in error


def test_an_example_is_compared_too(convert: Convert, module: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", x=np.full(4, 2e30, np.float32))
    arguments = ["--to", "WrongForLargeOnes", "--example", tmp_path / "e.npz", "--json"]
    status, report = convert(module, tmp_path / "out", *arguments)
    assert status == 1
    assert any("the example e.npz: output 'default'" in problem for problem in report["problems"])


def test_an_input_that_no_values_can_be_made_for_is_named(convert: Convert, tmp_path: Path) -> None:
    builder = ModuleBuilder()
    x = builder.placeholder("x", "variant", [])
    builder.signature(inputs={"x": x}, outputs={"default": x})
    write_module(tmp_path / "m", builder)
    status, error = convert(tmp_path / "m", tmp_path / "out", "--to", "Good")
    assert status == 2
    assert "no values can be generated for 'x' (dense variant)" in error
