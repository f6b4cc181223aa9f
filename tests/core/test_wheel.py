"""What the built wheel holds: exactly what is meant to be installed."""

from __future__ import annotations

import configparser
import email
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    if find_spec("hatchling") is None:
        pytest.skip("the build backend is not here")
    folder = tmp_path_factory.mktemp("wheel")
    code = "import sys, hatchling.build as build; print(build.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_its_top_level_names_are_hubplug_and_the_plugins(wheel: zipfile.ZipFile) -> None:
    top = {name.partition("/")[0] for name in wheel.namelist()}
    (information,) = {name for name in top if name.endswith(".dist-info")}
    assert top - {information} == {"hubplug", *(path.name for path in (ROOT / "plugins").glob("hubplug_*"))}


def test_it_holds_every_module_of_the_sources_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    sources = {
        str(path.relative_to(base))
        for base, packages in ((ROOT, ROOT.glob("hubplug")), (ROOT / "plugins", (ROOT / "plugins").glob("hubplug_*")))
        for package in packages
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == sources


def test_it_is_typed(wheel: zipfile.ZipFile) -> None:
    assert "hubplug/py.typed" in wheel.namelist()


def entry_points(wheel: zipfile.ZipFile) -> configparser.ConfigParser:
    (name,) = (name for name in wheel.namelist() if name.endswith("/entry_points.txt"))
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(wheel.read(name).decode())
    return parser


def test_the_built_ins_are_entry_points_as_a_third_partys_are(wheel: zipfile.ZipFile) -> None:
    from hubplug.settings.config import DEFAULT

    parser = entry_points(wheel)
    assert set(parser["hubplug"]) == set(DEFAULT["chain"])
    assert parser["console_scripts"]["hubplug"] == "hubplug.cli.main:main"
    for value in parser["hubplug"].values():
        module, _, name = value.partition(":")
        assert re.fullmatch(r"hubplug_[a-z0-9]+", module)
        assert isinstance(getattr(import_module(module), name), type)


def test_every_subcommand_is_a_command(wheel: zipfile.ZipFile) -> None:
    import click

    for value in entry_points(wheel)["hubplug.commands"].values():
        module, _, name = value.partition(":")
        assert isinstance(getattr(import_module(module), name), click.Command)


def test_its_metadata_says_licence_and_lower_bounds(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    metadata = email.message_from_bytes(wheel.read(name))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.10"
    needed = metadata.get_all("Requires-Dist") or []
    assert needed
    assert all(">=" in line for line in needed)
