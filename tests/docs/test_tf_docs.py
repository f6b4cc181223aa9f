"""The examples of the documentation that build a graph: they run, over modules of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.documents import PAGES, needs_tensorflow, run

# Where the pages say hub.example.com, the tests have a directory.
CONFIG = """
version: 1
chain: [cache, file, http, archive, tf1]
plugins:
  http: {{options: {{rewrite: [{{from: 'https://hub\\.example\\.com/.*', to: '{module}'}}]}}}}
"""


@pytest.mark.parametrize("page", [page for page in PAGES if needs_tensorflow(page)], ids=lambda page: page.name)
def test_the_examples_of_a_page_run(page: Path, tmp_path: Path) -> None:
    config = tmp_path / "docs.yaml"
    config.write_text(CONFIG.format(module=tmp_path / "models" / "publisher" / "model" / "1"))
    run(page, tmp_path, HUBPLUG_CONFIG=str(config))
