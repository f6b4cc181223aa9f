"""The changelog as a page: its links are seen from docs/."""

from __future__ import annotations

import re
from pathlib import Path

_CHANGELOG = Path(__file__).resolve().parents[2] / "CHANGELOG.md"


def changelog() -> str:
    """CHANGELOG.md without its title."""
    _, _, text = _CHANGELOG.read_text(encoding="utf-8").partition("\n")
    text = re.sub(r"\[([^\]]+)\]\((?!docs/)[^)]+\)", r"`\1`", text)  # what is not on the site
    return text.replace("](docs/", "](").strip()
