"""The pages of the documentation that build a graph: every block of them runs as it is printed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs.documents import PAGES, needs_running, needs_tensorflow, run

# Its programs are those of TensorFlow 2.
_OF_TENSORFLOW_2 = ("eager.md",)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if needs_running(page) and needs_tensorflow(page)], ids=lambda page: page.name
)
def test_every_block_of_a_page_runs_as_it_is_printed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page.name in _OF_TENSORFLOW_2:
        paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if not path.endswith("tf1_behavior")))
    run(page, tmp_path)
