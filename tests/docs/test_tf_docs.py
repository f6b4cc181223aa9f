"""The pages of the documentation that build a graph: every block of them runs as it is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.documents import PAGES, needs_running, needs_tensorflow, run

# Their programs are those of TensorFlow 2.
_OF_TENSORFLOW_2 = ("convert.md", "eager.md", "keras.md", "onnx.md")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if needs_running(page) and needs_tensorflow(page)], ids=lambda page: page.name
)
def test_every_block_of_a_page_runs_as_it_is_printed(
    page: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if page.name == "onnx.md":
        pytest.importorskip("tf2onnx", reason="of the extra onnx")
    if page.name in _OF_TENSORFLOW_2:
        request.getfixturevalue("programs_of_tensorflow_2")
    run(page, tmp_path)
