"""What is accepted means to GNU tar what it means here: no archive holds one module for us and another for others."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubplug.errors import ArchiveError
from tests import archives

pytestmark = pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar program here")

ORIGINS = (
    archives.module_tar(),
    archives.pax((b"path", b"assets/v.txt"), (b"size", b"4")) + archives.file(b"x") + archives.module_tar(),
    archives.long_name(b"assets/" + b"n" * 120) + archives.file(b"x", magic=archives.GNU) + archives.module_tar(),
    archives.file(b"v7", magic=archives.V7) + archives.file(b"f", b"q" * 700, prefix=b"pre/fix") + archives.END,
)
FIELDS = ((0, 100), (124, 136), (156, 157), (257, 265), (345, 500), (0, 512))
BYTES = b"\0 /.0159x\x80\xffgL"


def changed_headers(count: int, seed: int) -> Iterator[bytes]:
    """Good archives with one byte of one header changed, and the checksum made right again."""
    random_ = random.Random(seed)
    for _ in range(count):
        data = bytearray(random_.choice(ORIGINS))
        start = random_.choice([at for at in range(0, len(data), 512) if data[at + 257 : at + 262] == b"ustar"] or [0])
        first, end = random_.choice(FIELDS)
        data[start + random_.randrange(first, end)] = random_.choice(BYTES)
        data[start + 148 : start + 156] = b" " * 8
        data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
        yield bytes(data)


def files_below(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def compare(unpack, tmp_path: Path, count: int, seed: int) -> None:
    accepted = 0
    for data in changed_headers(count, seed):
        ours, theirs = tmp_path / "ours", tmp_path / "theirs"
        theirs.mkdir()
        try:
            unpack(data, dest=ours)
        except ArchiveError:
            pass
        else:
            accepted += 1
            # GNU tar also reads the owners, times and modes that are ignored here, and may complain about them.
            subprocess.run(["tar", "-xf", "-", "-C", theirs], input=data, capture_output=True)
            assert files_below(ours) == files_below(theirs)
        shutil.rmtree(theirs)
        shutil.rmtree(ours)
    assert accepted > count / 10


def test_gnu_tar_finds_the_same_files(unpack, tmp_path):
    compare(unpack, tmp_path, 200, seed=6)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_gnu_tar_finds_the_same_files_in_many_archives(unpack, tmp_path):
    compare(unpack, tmp_path, 20_000, seed=7)
