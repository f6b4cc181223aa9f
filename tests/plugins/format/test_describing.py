"""What `hubplug show` says of a module's files, whole and not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hubplug.cli.main import hubplug
from hubplug_format import ModuleBuilder, describe_directory, write_module


@pytest.fixture
def module(tmp_path: Path) -> Path:
    builder = ModuleBuilder()
    builder.variable("w", [1.0, 2.0])
    builder.asset("vocab.txt", b"a\n")
    builder.node("MysteryOp")
    builder.node("SentencepieceOp")
    write_module(tmp_path / "m", builder)
    return tmp_path / "m"


def shown(path: Path, *options: str) -> str:
    result = CliRunner().invoke(hubplug, ["show", str(path), *options], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_ops_of_unknown_packages_are_said_to_be_so(module: Path) -> None:
    assert "ops of other packages: MysteryOp unknown, SentencepieceOp tensorflow-text" in shown(module)
    assert json.loads(shown(module, "--format", "json"))["ops_of_other_packages"]["MysteryOp"] is None


def test_a_whole_module_has_no_problem(module: Path) -> None:
    about = describe_directory(module)
    assert about["variables"] == {"count": 1, "bytes": 8, "data_files": 1}
    assert about["assets"] == [{"file": "vocab.txt", "bytes": 2}]


def test_a_missing_index_of_the_variables_is_said_and_not_counted_as_none(module: Path) -> None:
    (module / "variables/variables.index").unlink()
    variables = describe_directory(module)["variables"]
    assert (variables["count"], variables["bytes"], variables["data_files"]) == (None, None, None)
    assert "variables.index is missing, and the module has 1 variables" in variables["problem"]
    (line,) = [line for line in shown(module).splitlines() if line.startswith("variables:")]
    assert line == f"variables: problem {variables['problem']}"


def test_a_damaged_index_is_said(module: Path) -> None:
    (module / "variables/variables.index").write_bytes(b"no table")
    variables = describe_directory(module)["variables"]
    assert variables["count"] is None
    assert "variables.index" in variables["problem"]


def test_a_missing_data_file_and_a_missing_asset_are_said_beside_what_is_known(module: Path) -> None:
    (module / "variables/variables.data-00000-of-00001").unlink()
    (module / "assets/vocab.txt").unlink()
    about = describe_directory(module)
    assert about["variables"]["count"] == 1
    assert "variables.data-00000-of-00001" in about["variables"]["problem"]
    assert about["assets"][0]["bytes"] is None
    assert "vocab.txt is missing" in about["assets"][0]["problem"]


def test_a_module_without_variables_needs_no_index(tmp_path: Path) -> None:
    write_module(tmp_path / "m", ModuleBuilder())
    assert describe_directory(tmp_path / "m")["variables"] == {"count": 0, "bytes": 0, "data_files": 0}
