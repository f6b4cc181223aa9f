"""What the one writer of tar files writes, the one reader and Python's own take alike."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

import hubplug
from hubplug.errors import ArchiveError
from hubplug.files.tar.reading import TarReader
from hubplug.files.tar.writing import END, member_bytes
from hubplug.files.tree import Limits

NAMES = [
    "a",
    "n" * 100,
    "n" * 101,
    "/".join(["d" * 90] * 2),
    "/".join(["d" * 50] * 5),
    f"{'d' * 155}/{'n' * 100}",
    f"{'d' * 156}/n",
    f"d/{'n' * 101}",
    "é字/" * 30 + "x",
    "x" * 10_000,
]


@pytest.mark.parametrize("size", [None, 0, 1, 511, 512, 513])
@pytest.mark.parametrize("name", NAMES, ids=lambda name: f"{name[:4]}-{len(name)}")
def test_both_readers_take_what_is_written(name: str, size: int | None) -> None:
    content = bytes(range(256)) * 3
    first = member_bytes(name, size, [] if size is None else [content[:size]])
    data = b"".join([*first, *member_bytes("last", 4, [b"la", b"st"]), END])
    pieces = [data[at : at + 100] for at in range(0, len(data), 100)]
    read = [(one.name, one.size, b"".join(one.content)) for one in TarReader(pieces, "t", Limits()).members()]
    assert read == [(name, size, content[: size or 0]), ("last", 4, b"last")]
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        theirs = [(one.name, None if one.isdir() else one.size) for one in tar.getmembers()]
    assert theirs == [(name, size), ("last", 4)]


def test_the_bytes_end_where_the_format_says(tmp_path: Path) -> None:
    data = b"".join([*member_bytes("a", 3, [b"abc"]), END])
    assert len(data) == 2 * 512 + 1024
    for end in range(512, len(data)):
        with pytest.raises(ArchiveError, match="is cut off"):
            for member in TarReader([data[:end]], "t", Limits()).members():
                b"".join(member.content)


def test_nothing_else_reads_or_writes_tar_files() -> None:
    core = Path(hubplug.__file__).parent
    for path in (path for folder in (core, core.parent / "plugins") for path in folder.rglob("*.py")):
        if path.parent != core / "testing":  # which makes archives that hubplug did not write
            assert "import tarfile" not in path.read_text(encoding="utf-8"), path
