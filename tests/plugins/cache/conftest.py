"""Places for the tests of the cache."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubplug_cache import CacheDirectory

OTHER = 12345


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "modules"


@pytest.fixture
def cache(root: Path) -> CacheDirectory:
    return CacheDirectory(str(root))


@pytest.fixture
def commons() -> Iterator[Path]:
    """A directory that other users reach as well; for root alone, who can become another user."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    path = Path(tempfile.mkdtemp(prefix="hubplug-commons-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)
