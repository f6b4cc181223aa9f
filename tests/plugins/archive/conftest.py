"""Unpacking as the core does it, into a directory of its own."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from hubplug.files.tree import Limits, TreeWriter
from hubplug.types import ArchiveStream, FileRecord, Plan
from hubplug_archive import TarArchive

Unpack = Callable[..., tuple[FileRecord, ...]]


@pytest.fixture
def unpack(tmp_path: Path) -> Unpack:
    """``unpack(data, limits)`` fills ``tmp_path / "module"``, made anew each time."""

    def unpack(data: bytes, limits: Limits = Limits(), dest: Path = tmp_path / "module") -> tuple[FileRecord, ...]:
        dest.mkdir()
        with ArchiveStream(io.BytesIO(data), name="archive.tar", size=len(data)) as archive:
            tree = TreeWriter(dest, limits)
            plan = TarArchive().hubplug_unpack(archive)
            assert isinstance(plan, Plan), plan
            plan.run(tree)
            return tree.finish()

    return unpack
