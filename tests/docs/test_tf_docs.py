"""The pages of the documentation that build a graph: every block of them runs as it is printed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.documents import PAGES, needs_running, needs_tensorflow, run

# Run by the tox environments that install these.
_NEEDS = {"apply.md": "apache_beam", "onnx.md": "tf2onnx"}


@pytest.mark.usefixtures("programs_of_tensorflow_2")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if needs_running(page) and needs_tensorflow(page)], ids=lambda page: page.name
)
def test_every_block_of_a_page_runs_as_it_is_printed(page: Path, tmp_path: Path) -> None:
    if (package := _NEEDS.get(page.name)) and find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    run(page, tmp_path)
