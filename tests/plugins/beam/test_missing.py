"""Where Beam is not installed, one sentence says what to install."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubplug.testing import write_tiny_module
from tests.core.test_missing_packages import run


@pytest.mark.parametrize(
    "code",
    [
        "import hubplug_beam; hubplug_beam.ApplyToFiles",
        "import hubplug_beam; hubplug_beam.ModuleHandler",
        "from hubplug_beam._running import check_options; check_options([], 1)",
    ],
)
def test_beam_is_named_where_it_is_needed_and_missing(code: str, tmp_path: Path) -> None:
    write_tiny_module(tmp_path / "module")
    said = run(code, "apache_beam")
    assert "MissingDependencyError: This needs apache_beam, which is not installed" in said
    assert "pip install 'hubplug[beam]'" in said
