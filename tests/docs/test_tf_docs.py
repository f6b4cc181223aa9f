"""The pages of the documentation that build a graph: every block of them runs as it is printed."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.docs.documents import PAGES, blocks, needs_running, needs_tensorflow, run

# Run by the tox environments that install these: pages, and sections of pages.
_NEEDS = {
    "apply.md": "apache_beam",
    "onnx.md": "tf2onnx",
    "recipes.md#tf.Transform": "tensorflow_transform",
    "recipes.md#Spark": "pyspark",
    "recipes.md#Ray Data": "ray",
}


def _parts() -> list[Any]:
    """The pages; one with sections that need something of their own, section by section."""
    pages = [page for page in PAGES if needs_running(page) and needs_tensorflow(page)]
    apart = {name.partition("#")[0] for name in _NEEDS if "#" in name}
    parts: list[tuple[Path, str | None]] = [(page, None) for page in pages if page.name not in apart]
    for page in pages:
        if page.name in apart:
            parts += [(page, section) for section in dict.fromkeys(block.section for block in blocks(page))]
    return [
        pytest.param(page, section, id=f"{page.name}#{section}" if section else page.name) for page, section in parts
    ]


@pytest.mark.usefixtures("programs_of_tensorflow_2")
@pytest.mark.parametrize(("page", "section"), _parts())
def test_every_block_of_a_page_runs_as_it_is_printed(page: Path, section: str | None, tmp_path: Path) -> None:
    package = _NEEDS.get(f"{page.name}#{section}" if section else page.name)
    if package and find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    if package == "pyspark" and not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("Spark needs Java, which pip does not install")
    run(page, tmp_path, section)
