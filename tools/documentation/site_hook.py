"""The hook of mkdocs that puts what the code says into the pages; ``mkdocs.yml`` names it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.documentation import expand


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page as it is to be rendered."""
    return expand(markdown)
