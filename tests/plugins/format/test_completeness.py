"""Whether every file of a module is there, without reading more than needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hubplug_format import ModuleBuilder, check_complete, find_asset_name_error, message_class, write_module


def test_a_whole_module_is_complete(small_module: Path) -> None:
    assert check_complete(small_module) == []


def test_published_modules_are_complete(shared_modules: Path) -> None:
    assert check_complete(shared_modules / "DM21m") == []


@pytest.mark.parametrize(
    "name",
    ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001", "assets/vocab.txt"],
)
def test_each_missing_file_is_named(small_module: Path, name: str) -> None:
    (small_module / name).unlink()
    (problem,) = check_complete(small_module)
    assert Path(name).name in problem


@pytest.mark.parametrize(
    "name",
    ["saved_model.pb", "tfhub_module.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"],
)
def test_each_emptied_file_is_named(small_module: Path, name: str) -> None:
    (small_module / name).write_bytes(b"")
    (problem,) = check_complete(small_module)
    assert Path(name).name in problem


def test_without_tfhub_module_pb_it_is_checked_as_a_plain_saved_model(small_module: Path) -> None:
    (small_module / "tfhub_module.pb").unlink()
    assert check_complete(small_module) == []


def test_a_module_without_variables_needs_no_checkpoint(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    builder.signature(outputs={"default": builder.constant(1.0)})
    write_module(tmp_path / "m", builder)
    assert check_complete(tmp_path / "m") == []


def test_data_files_without_their_index_are_noticed(tmp_path: Path) -> None:
    write_module(tmp_path / "m", ModuleBuilder())
    (tmp_path / "m/variables/variables.data-00000-of-00001").write_bytes(b"")
    (problem,) = check_complete(tmp_path / "m")
    assert "variables.index is missing" in problem


def test_a_tf2_saved_model_needs_its_checkpoint(tmp_path: Path) -> None:
    builder = ModuleBuilder(["serve"])
    builder.meta_graph.object_graph_def.nodes.add()
    model = message_class("SavedModel")(meta_graphs=[builder.meta_graph])
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    (problem,) = check_complete(tmp_path)
    assert "a TF2 SavedModel has one" in problem


def test_a_linked_asset_is_refused(small_module: Path, tmp_path: Path) -> None:
    asset = small_module / "assets" / "vocab.txt"
    asset.rename(tmp_path / "elsewhere")
    asset.symlink_to(tmp_path / "elsewhere")
    (problem,) = check_complete(small_module)
    assert "is a link" in problem


def test_a_fifo_in_place_of_a_file_does_not_hang(small_module: Path) -> None:
    (small_module / "saved_model.pb").unlink()
    os.mkfifo(small_module / "saved_model.pb")
    (problem,) = check_complete(small_module)
    assert "not a regular file" in problem


def test_no_directory_is_one_problem(tmp_path: Path) -> None:
    assert check_complete(tmp_path / "absent") == [f"There is no directory {tmp_path / 'absent'}"]


@pytest.mark.parametrize("name", ["vocab.txt", "a/b/c.txt", "..foo", "a..b", "naïve.txt", "with space"])
def test_plain_relative_paths_are_good_asset_names(name: str) -> None:
    assert find_asset_name_error(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a/../b",
        "..",
        ".",
        "a//b",
        "./a",
        "a/",
        "..\\x",
        "C:\\x",
        "C:x",
        "a\0b",
        "a\nb",
    ],
)
def test_other_asset_names_are_refused(name: str) -> None:
    assert find_asset_name_error(name)


def test_an_asset_that_leads_out_is_a_problem_even_if_the_file_is_there(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    builder.meta_graph.asset_file_def.add(filename="../assets_evil/x")
    write_module(tmp_path / "m", builder)
    (tmp_path / "m" / "assets_evil").mkdir()
    (tmp_path / "m" / "assets_evil" / "x").write_bytes(b"")
    (problem,) = check_complete(tmp_path / "m")
    assert "leads out of assets/" in problem
