"""Archives that would fill memory, disk or time, unpacked by a child process under hard limits."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hubplug.files.tree import Limits
from tests import archives

UNPACK = """
import resource, sys
from pathlib import Path
from hubplug.errors import ArchiveError
from hubplug.files.tree import TreeWriter
from hubplug.types import ArchiveStream
from hubplug_archive import TarArchive
import hubplug_archive._unpacking
limit = 512 << 20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
with ArchiveStream(Path(sys.argv[1]).open("rb"), name="bomb") as archive:
    try:
        TarArchive().hubplug_unpack(archive).run(TreeWriter(Path(sys.argv[2])))
    except ArchiveError as error:
        print(type(error).__name__, error.message)
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(status["VmHWM"].split()[0], file=sys.stderr)
"""
GIB = 1 << 30


def gzip_of(pieces: Iterator[bytes], level: int = 1) -> Iterator[bytes]:
    compressor = zlib.compressobj(level, zlib.DEFLATED, 31)
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()


def zeros(count: int) -> Iterator[bytes]:
    block = bytes(1 << 20)
    for _ in range(count >> 20):
        yield block


def sized(head: bytes, size: int) -> Iterator[bytes]:
    yield head
    yield from zeros(size)


def huge_file() -> Iterator[bytes]:
    """Twice the floor of the ratio."""
    return gzip_of(sized(archives.header(b"variables/zeros", 2 * GIB), 2 * GIB), 1)


def claimed_size() -> Iterator[bytes]:
    yield archives.header(b"x", size_field=b"\x80" + (1 << 60).to_bytes(11, "big"))
    yield bytes(10240)


def pax_of_64_mib() -> Iterator[bytes]:
    yield from gzip_of(iter([archives.pax((b"comment", b"c" * (64 << 20))), archives.module_tar()]))


def many_members() -> Iterator[bytes]:
    yield from gzip_of(archives.header(b"%d" % number) for number in range(20_000))


def many_global_headers() -> Iterator[bytes]:
    header = archives.pax((b"comment", b"c" * 1_000_000), flag=b"g")
    yield from gzip_of(header for _ in range(300))


def many_roots() -> Iterator[bytes]:
    root = archives.directory(b"./")
    yield from gzip_of(root * 1000 for _ in range(500))


def deep_path() -> Iterator[bytes]:
    for number in range(1000):
        yield archives.pax((b"path", b"%d/" % number * 180 + b"x")) + archives.file(b"x", b"")
    yield archives.END


def endless_padding() -> Iterator[bytes]:
    yield from gzip_of(sized(archives.module_tar(), 256 << 20), 1)


def nested() -> Iterator[bytes]:
    yield gzip.compress(gzip.compress(bytes(100 << 20)))


def bzip2_of_zeros() -> Iterator[bytes]:
    compressor = bz2.BZ2Compressor()
    yield compressor.compress(archives.header(b"variables/zeros", 7 * GIB))
    for piece in zeros(64 << 20):
        yield compressor.compress(piece)
    yield compressor.flush()


def xz_with_a_huge_dictionary() -> Iterator[bytes]:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(archives.module_tar(), filters=filters))
    # The block header's dictionary size: one byte, after the sizes of header and filter flags; then its CRC again.
    at = data.index(b"\x21\x01", 12) + 2
    data[at] = 40
    length = (data[12] + 1) * 4
    data[12 + length - 4 : 12 + length] = zlib.crc32(data[12 : 12 + length - 4]).to_bytes(4, "little")
    yield bytes(data)


BOMBS: list[Callable[[], Iterator[bytes]]] = [
    claimed_size, pax_of_64_mib, many_members, many_global_headers, many_roots, deep_path, endless_padding, nested,
    bzip2_of_zeros, xz_with_a_huge_dictionary,
]  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_within_memory_and_time(bomb, tmp_path):
    explode(bomb, tmp_path)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        pytest.param(
            lambda: archives.pax(raw=b"", flag=b"g") * (2 * Limits().max_members + 1), "extended headers", id="headers"
        ),
        pytest.param(
            lambda: archives.pax(raw=archives.pax_record(b"a", b"b") * 170_000, flag=b"g"), "records", id="records"
        ),
    ],
)
def test_headers_and_records_that_say_nothing_are_counted(what, said, tmp_path):
    """An archive of 100 KB can have ten million of them."""
    archive, dest = tmp_path / "archive", tmp_path / "module"
    archive.write_bytes(gzip.compress(what() + archives.module_tar(), 1))
    dest.mkdir()
    done = subprocess.run([sys.executable, "-c", UNPACK, archive, dest], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("UnsafeArchiveError"), done
    assert said in done.stdout


@pytest.mark.soak
def test_a_file_of_gigabytes_of_zeros_is_refused_at_the_ratio(tmp_path):
    explode(huge_file, tmp_path)


def explode(bomb: Callable[[], Iterator[bytes]], tmp_path: Path) -> None:
    archive = tmp_path / "bomb"
    with archive.open("wb") as out:
        for piece in bomb():
            out.write(piece)
    dest = tmp_path / "module"
    dest.mkdir()
    done = subprocess.run([sys.executable, "-c", UNPACK, archive, dest], capture_output=True, text=True, check=True)
    assert "ArchiveError" in done.stdout, done
    assert int(done.stderr) < 256 << 10
    written = sum(path.stat().st_size for path in dest.rglob("*") if path.is_file())
    assert written <= Limits().ratio_floor + (1 << 20)
