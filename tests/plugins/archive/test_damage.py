"""Every truncation, every bit flip and random mutations of a good archive: an error, or the right files.

The short form takes a seeded sample; the tests marked ``soak`` take all.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubplug.errors import ArchiveError, HubplugError
from hubplug.files.tree import Limits, TreeWriter
from hubplug.types import ArchiveStream, Plan
from hubplug_archive import TarArchive
from tests import archives

MUTATIONS = int(os.environ.get("HUBPLUG_TEST_MUTATIONS", "200000"))
SMALL_LIMITS = Limits(max_bytes=64 << 20, max_members=500, ratio_floor=32 << 20)


class Outcomes:
    """Unpacks many archives into one directory that is emptied each time."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def of(self, data: bytes) -> dict[str, bytes] | None:
        """The files, or None for an error of the one family; any other error gets out."""
        dest = Path(tempfile.mkdtemp(dir=self.root))
        try:
            with ArchiveStream(io.BytesIO(data), name="m") as archive:
                tree = TreeWriter(dest, SMALL_LIMITS)
                plan = TarArchive().hubplug_unpack(archive)
                if not isinstance(plan, Plan):
                    return None
                plan.run(tree)
                tree.finish()
            return {path.relative_to(dest).as_posix(): path.read_bytes() for path in dest.rglob("*") if path.is_file()}
        except ArchiveError:
            return None
        finally:
            assert [path.name for path in self.root.iterdir()] == [dest.name]
            shutil.rmtree(dest)


@pytest.fixture
def outcomes(tmp_path: Path) -> Iterator[Outcomes]:
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield Outcomes(tmp_path)
        return
    # Thousands of archives: what is synced there costs nothing.
    with tempfile.TemporaryDirectory(dir=memory) as root:
        yield Outcomes(Path(root))


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def sample(count: int, of: int, seed: int) -> list[int]:
    return sorted(random.Random(seed).sample(range(of), min(count, of)))


def check_truncations(outcomes: Outcomes, data: bytes, lengths: list[int]) -> None:
    good = [length for length in lengths if outcomes.of(data[:length]) is not None]
    assert good == []


def check_flips(outcomes: Outcomes, data: bytes, bits: list[int]) -> None:
    wrong = [bit for bit in bits if outcomes.of(flipped(data, bit)) not in (None, archives.MODULE_FILES)]
    assert wrong == []


@pytest.mark.parametrize("how", archives.COMPRESSIONS)
def test_a_truncation_is_noticed(how, outcomes):
    data = archives.compressed(archives.module_tar(), how)
    check_truncations(outcomes, data, [*sample(60, len(data), 1), *range(len(data) - 10, len(data))])


@pytest.mark.parametrize("how", ["gzip", "bzip2", "xz"])
def test_a_flipped_bit_is_noticed_or_harmless(how, outcomes):
    data = archives.compressed(archives.module_tar(), how)
    check_flips(outcomes, data, sample(250, len(data) * 8, 2))


def test_a_flipped_bit_in_a_header_of_a_plain_archive_is_noticed(outcomes):
    data = archives.module_tar()
    headers = [bit for bit in range(len(data) * 8) if data[bit // 4096 * 512 + 257 :][:5] == b"ustar"]
    check_flips(outcomes, data, random.Random(3).sample(headers, 250))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("how", archives.COMPRESSIONS)
def test_every_truncation_is_noticed(how, outcomes):
    data = archives.compressed(archives.module_tar(), how)
    check_truncations(outcomes, data, list(range(len(data))))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("how", ["gzip", "bzip2", "xz"])
def test_every_flipped_bit_is_noticed_or_harmless(how, outcomes):
    data = archives.compressed(archives.module_tar(), how)
    check_flips(outcomes, data, list(range(len(data) * 8)))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_every_flipped_bit_in_every_header_of_a_plain_archive_is_noticed(outcomes):
    data = archives.module_tar()
    check_flips(
        outcomes, data, [bit for bit in range(len(data) * 8) if data[bit // 4096 * 512 + 257 :][:5] == b"ustar"]
    )


def mutations(count: int, seed: int):
    """Good and hostile archives with some of their bytes changed, moved or dropped; headers get right checksums again."""
    random_ = random.Random(seed)
    origins = [
        archives.module_tar(),
        archives.pax((b"path", b"assets/vocab.txt"), (b"size", b"4")) + archives.module_tar(),
        archives.long_name(b"assets/" + b"n" * 120) + archives.module_tar(),
        *(data for _, data in archives.unsafe_archives() if len(data) < 20_000),
        *(data for _, data in archives.damaged_archives() if len(data) < 20_000),
    ]
    for _ in range(count):
        data = bytearray(random_.choice(origins))
        for _ in range(random_.randint(1, 6)):
            if not data:
                break
            at = random_.randrange(len(data))
            match random_.randrange(7):
                case 0:
                    data[at] = random_.randrange(256)
                case 1:
                    data[at : at + random_.choice([1, 8, 512])] = b""
                case 2:
                    block = at // 512 * 512
                    data[block:block] = data[block : block + 512]
                case 3:
                    data[at : at + 12] = random_.choice([b"\xff" * 12, b"\x80" + b"\xff" * 11, b"7" * 12, b"\0" * 12])
                case 4:
                    if (flag := at // 512 * 512 + 156) < len(data):
                        data[flag] = random_.choice(b"\x00012345678xgLKSVMND")
                case 5:
                    other = random_.choice(origins)
                    data[at // 512 * 512 : at // 512 * 512] = other[: random_.choice([512, 1024, 1536])]
                case 6:
                    del data[at:]
        if random_.random() < 0.8:
            mend_checksums(data)
        how = random_.choice(archives.COMPRESSIONS) if random_.random() < 0.3 else "none"
        yield archives.compressed(bytes(data), how)


def mend_checksums(data: bytearray) -> None:
    for start in range(0, len(data) - 511, 512):
        if data[start + 257 : start + 262] == b"ustar":
            data[start + 148 : start + 156] = b" " * 8
            data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])


def check_mutations(outcomes: Outcomes, count: int, seed: int) -> None:
    for data in mutations(count, seed):
        files = outcomes.of(data)
        assert files is None or files


def test_mutations_get_nothing_out_of_the_directory_and_no_foreign_error(outcomes):
    check_mutations(outcomes, 4000, seed=4)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(100, 100 + MUTATIONS // 20_000))
def test_many_mutations_get_nothing_out_of_the_directory_and_no_foreign_error(seed, outcomes):
    check_mutations(outcomes, 20_000, seed)


def test_an_error_of_the_stream_comes_through_as_it_is(tmp_path):
    class Lost(HubplugError):
        pass

    class Stream(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 1000:
                raise Lost("the connection is lost")
            return super().read(min(size or 512, 512))

    with ArchiveStream(Stream(archives.module_tar()), name="m") as archive, pytest.raises(Lost):
        TarArchive().hubplug_unpack(archive).run(TreeWriter(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] != ["variables"]


def test_an_error_of_the_disk_below_the_archive_names_the_archive(tmp_path):
    class Stream(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 1000:
                raise OSError(5, "Input/output error")
            return super().read(min(size or 512, 512))

    with ArchiveStream(Stream(archives.module_tar()), name="m.tar") as archive:
        plan = TarArchive().hubplug_unpack(archive)
        with pytest.raises(ArchiveError, match=r"Cannot read m\.tar: Input/output error"):
            plan.run(TreeWriter(tmp_path))
