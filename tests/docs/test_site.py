"""Nothing public is without a page, and the site can be built: every link leads somewhere."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

import hubplug
from hubplug.files.tree import Limits
from hubplug.settings.config import DEFAULT
from hubplug.settings.entry_points import installed_plugins
from hubplug.settings.options import option_parameters
from tests.docs.documents import PAGES, ROOT, text_of
from tools.documentation.commands import every_command
from tools.documentation.errors import error_classes
from tools.documentation.options import keys_of

needs_installation = pytest.mark.skipif("http" not in installed_plugins(), reason="hubplug is not installed here")

# The functions and methods that are given the name of a variable.
_READING = re.compile(r"(environment_value|environment_switch|environ\.get|environ\.setdefault|getenv)$")
_OURS = re.compile(r"(HUBPLUG|TFHUB)_[A-Z0-9_]*[A-Z0-9]")


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {page.name: text_of(page) for page in PAGES}


@needs_installation
def test_every_public_name_has_a_page(pages: dict[str, str]) -> None:
    whole = "\n".join(pages.values())
    missing = [name for name in hubplug.__all__ if f"      heading: hubplug.{name}\n" not in whole]
    assert missing == [], "name them in a mark `<!-- generated: api ... -->` of docs/api.md or docs/api-*.md"


@needs_installation
def test_every_error_says_its_cause_and_its_cure(pages: dict[str, str]) -> None:
    for kind in error_classes():
        assert f"## {kind.__name__}\n" in pages["errors.md"]
        assert len((kind.__doc__ or "").strip().split("\n\n")) > 1, f"{kind.__name__} does not say what to do"


@needs_installation
def test_every_command_has_a_section(pages: dict[str, str]) -> None:
    found = {context.command_path for context in every_command()}
    assert {"hubplug", *(f"hubplug {command.name}" for command in entry_points(group="hubplug.commands"))} <= found
    missing = [path for path in found - {"hubplug"} if f"## `{path}`\n" not in pages["commands.md"]]
    assert missing == []


@needs_installation
def test_every_option_of_our_plugins_is_in_the_page_about_configuration(pages: dict[str, str]) -> None:
    ours = [point for point in entry_points(group="hubplug") if point.dist and point.dist.name == "hubplug"]
    assert {point.name for point in ours} >= set(DEFAULT["chain"])
    for point in ours:
        _, found, about = pages["configuration.md"].partition(f"\n### {point.name}\n")
        assert found, f"the plugin {point.name} is not in the page"
        about, _, _ = about.partition("\n##")
        parameters, hints = option_parameters(point.load())
        for option in parameters:
            assert f"| `{option}` |" in about, f"{point.name}.{option}"
            assert all(f"`{key}`" in about for key in keys_of(hints[option])), f"{point.name}.{option}"


@needs_installation
def test_every_section_and_limit_is_in_the_page_about_configuration(pages: dict[str, str]) -> None:
    for name in [*DEFAULT, *(field.name for field in fields(Limits))]:
        assert f"`{name}`" in pages["configuration.md"], name


@needs_installation
def test_every_environment_variable_is_in_its_page(pages: dict[str, str]) -> None:
    told = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", pages["environment.md"]))
    asked = {name for path in sources() for name in variables_in(path)}
    assert asked >= {"TFHUB_CACHE_DIR", "HUBPLUG_OFFLINE", "NETRC", "HUBPLUG_IMPORT_WHOLE_GRAPH"}
    missing = [name for name in asked - told if not any(name in one for one in told)]  # beginnings of names, too
    assert missing == []


def sources() -> Iterator[Path]:
    yield from (path for path in (ROOT / "hubplug").rglob("*.py") if "testing" not in path.parts)
    yield from (ROOT / "plugins").rglob("*.py")


def variables_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _OURS.fullmatch(node.value):
            yield node.value
        elif isinstance(node, ast.Call) and node.args and _READING.search(ast.unparse(node.func)):
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield name.value


@needs_installation
@pytest.mark.skipif(find_spec("mkdocs") is None, reason="the site's builder is not here")
def test_the_site_can_be_built_and_asks_no_other_server(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for page in PAGES[1:]:
        html = (tmp_path / page.with_suffix(".html").name).read_text(encoding="utf-8")
        assert re.findall(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"?(?:https?:)?//[^\" >]+", html) == []
