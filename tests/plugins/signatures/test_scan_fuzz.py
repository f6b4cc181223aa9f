"""Whatever unsafe op is put into whatever module at whatever kind of place, the scan finds it; what only computes is quiet."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from hubplug_format import ModuleBuilder, write_module
from tests.conftest import SHARED_MODULES
from tests.plugins.signatures.conftest import image_builder, text_builder
from tests.plugins.signatures.mutations import run_trials
from tests.plugins.signatures.test_saver_exception import tf1_saver


def table_builder() -> ModuleBuilder:
    builder = ModuleBuilder()
    path = builder.asset("vocab.txt", b"a\nb\n")
    table = builder.node("HashTableV2", name="table")
    builder.node("InitializeTableFromTextFileV2", [table, path], name="fill")
    builder.collection("table_initializer").node_list.value.append("fill")
    words = builder.placeholder("words", "string", [None])
    builder.signature(inputs={"words": words}, outputs={"default": builder.node("LookupTableFindV2", [table, words])})
    return builder


@pytest.fixture
def modules(tmp_path: Path) -> list[Path]:
    """Of hubplug's own writer and, where they are, published ones."""
    for name, build in (
        ("text", text_builder),
        ("image", image_builder),
        ("saver", tf1_saver),
        ("table", table_builder),
    ):
        write_module(tmp_path / name, build())
    if SHARED_MODULES.is_dir():
        shutil.copytree(SHARED_MODULES / "DM21m", tmp_path / "DM21m", copy_function=shutil.copyfile)
        with tarfile.open(SHARED_MODULES / "half_plus_two_v1.tar.gz") as archive:
            file = archive.extractfile("saved_model.pb")
            assert file is not None
            (tmp_path / "half_plus_two").mkdir()
            (tmp_path / "half_plus_two" / "saved_model.pb").write_bytes(file.read())
    return sorted(tmp_path.iterdir())


def test_unsafe_ops_are_found_wherever_they_are_put(modules: list[Path]) -> None:
    figures = run_trials(modules, 400, seed=11)
    assert figures.missed == []
    assert figures.alarms == []


@pytest.mark.soak
def test_unsafe_ops_are_found_wherever_they_are_put_10000_times(modules: list[Path]) -> None:
    figures = run_trials(modules, 10_000, seed=110)
    print(figures)
    assert figures.missed == []
    assert figures.alarms == []
