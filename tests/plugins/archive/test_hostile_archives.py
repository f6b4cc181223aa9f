"""Archives that are refused: which error, that nothing lands outside, and that nothing else gets out."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hubplug.errors import ArchiveError, UnsafeArchiveError
from hubplug.files.tree import Limits
from hubplug.types import ArchiveStream, Declined
from hubplug_archive import TarArchive
from tests import archives

UNSAFE = dict(archives.unsafe_archives())
DAMAGED = dict(archives.damaged_archives())
WRONG = {kind: (body, word) for kind, body, word in archives.wrong_answers()}


def refused(unpack, data, tmp_path, expected=ArchiveError):
    """Unpacks, and returns the error; nothing but the destination may have changed."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"untouched")
    with pytest.raises(expected) as caught:
        unpack(data)
    assert "\n" not in caught.value.message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["module", "outside"]
    assert outside.read_bytes() == b"untouched"
    assert not any(path.is_symlink() for path in (tmp_path / "module").rglob("*"))
    return caught.value


@pytest.mark.parametrize("family", UNSAFE)
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_an_archive_that_asks_for_what_no_module_needs_is_refused(family, compression, unpack, tmp_path):
    data = archives.compressed(UNSAFE[family], compression)
    refused(unpack, data, tmp_path, UnsafeArchiveError)


@pytest.mark.parametrize("family", DAMAGED)
def test_an_archive_that_is_not_whole_is_refused(family, unpack, tmp_path):
    refused(unpack, DAMAGED[family], tmp_path)


@pytest.mark.parametrize("kind", WRONG)
def test_what_came_instead_of_an_archive_is_named(kind, unpack, tmp_path):
    body, word = WRONG[kind]
    with (
        ArchiveStream(io.BytesIO(body), name="https://example.com/m/1") as archive,
        pytest.raises(ArchiveError) as caught,
    ):
        TarArchive().hubplug_unpack(archive)
    assert word in caught.value.message
    assert "https://example.com/m/1" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("head", "word"), [(b"PK\x03\x04", "zip"), (b"\x28\xb5\x2f\xfd", "Zstandard"), (b"\0\1\2", "")]
)
def test_another_archive_format_is_left_to_other_plugins(head, word):
    with ArchiveStream(io.BytesIO(head + bytes(range(1, 256)) * 4), name="m.zip") as archive:
        answer = TarArchive().hubplug_unpack(archive)
        assert isinstance(answer, Declined)
        assert word in answer.reason
        assert archive.read(4) == (head + b"\1\2")[:4]


def test_the_refusal_of_a_link_names_the_member_and_its_kind(unpack, tmp_path):
    data = archives.module_tar(archives.header(b"assets/vocab.txt", 0, b"2", link=b"/etc/passwd"))
    error = refused(unpack, data, tmp_path, UnsafeArchiveError)
    assert "'assets/vocab.txt' is a symbolic link" in error.message


def test_a_truncated_archive_says_after_which_member(unpack, tmp_path):
    error = refused(unpack, archives.module_tar(end=b""), tmp_path)
    assert "variables.data-00000-of-00001" in error.message
    assert "cut off" in error.message


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (Limits(max_bytes=1000), "1,000"),
        (Limits(max_file_bytes=700), "saved_model.pb"),
        (Limits(max_members=3), "3"),
        (Limits(max_header_bytes=10), "10"),
    ],
)
def test_each_cap_stops_the_archive_and_is_named(limits, word, unpack, tmp_path):
    data = archives.pax((b"comment", b"a comment")) + archives.module_tar()
    error = refused(lambda data: unpack(data, limits), data, tmp_path, UnsafeArchiveError)
    assert word in error.message


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "xz"])
def test_an_archive_that_grows_out_of_proportion_is_refused_above_the_floor(compression, unpack, tmp_path):
    zeros = archives.file(b"zeros", bytes(8 << 20))
    data = archives.compressed(archives.module_tar(zeros), compression)
    error = refused(
        lambda data: unpack(data, Limits(max_ratio=100, ratio_floor=4 << 20)), data, tmp_path, UnsafeArchiveError
    )
    assert "100:1" in error.message
    written = sum(path.stat().st_size for path in (tmp_path / "module").rglob("*") if path.is_file())
    assert written <= 5 << 20


def test_variables_of_zeros_are_fine_below_the_floor(unpack, tmp_path):
    zeros = archives.file(b"variables/zeros", bytes(8 << 20))
    unpack(archives.compressed(archives.module_tar(zeros), "gzip"))
    assert (tmp_path / "module/variables/zeros").stat().st_size == 8 << 20


def test_many_extended_headers_are_refused_together(unpack, tmp_path):
    comment = archives.pax((b"comment", b"c" * 900), flag=b"g")
    data = archives.compressed(comment * 200 + archives.module_tar(), "gzip")
    error = refused(lambda data: unpack(data, Limits(max_header_bytes=1000)), data, tmp_path, UnsafeArchiveError)
    assert "extended headers" in error.message


def test_endless_padding_is_refused(unpack, tmp_path):
    data = archives.compressed(archives.module_tar(end=bytes(20 << 20)), "gzip")
    refused(unpack, data, tmp_path, UnsafeArchiveError)


def test_an_archive_chopped_into_tiny_streams_is_refused(unpack, tmp_path):
    whole = archives.module_tar(end=END_OF_MANY)
    data = b"".join(archives.compressed(whole[at : at + 1], "gzip") for at in range(len(whole)))
    refused(unpack, data, tmp_path, UnsafeArchiveError)


END_OF_MANY = bytes(2048)


def test_a_full_stream_of_empty_members_ends_at_the_cap(unpack, tmp_path):
    data = archives.compressed(b"".join(archives.file(b"%d" % n, b"") for n in range(300)) + archives.END, "gzip")
    refused(lambda data: unpack(data, Limits(max_members=200)), data, tmp_path, UnsafeArchiveError)
    assert len(list((tmp_path / "module").iterdir())) <= 200


def test_the_mode_of_a_member_is_ignored(unpack, tmp_path):
    unpack(archives.module_tar(archives.file(b"run.sh", mode=b"0006777\0")))
    mode = (tmp_path / "module" / "run.sh").stat().st_mode & 0o7777
    reference = tmp_path / "reference"
    reference.touch(0o444)
    assert mode == reference.stat().st_mode & 0o7777


_UNPACK_ALL = """
import io, json, resource, sys, time
from pathlib import Path
from hubplug.errors import ArchiveError
from hubplug.files.tree import TreeWriter
from hubplug.types import ArchiveStream, Plan
from hubplug_archive import TarArchive
from tests import archives
import hubplug_archive._unpacking, shutil
resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
root = Path(sys.argv[1])
count, accepted, slowest = 0, [], 0.0
for family, data in [*archives.unsafe_archives(), *archives.damaged_archives()]:
    for how in archives.COMPRESSIONS:
        packed = archives.compressed(data, how)
        began = time.monotonic()
        count += 1
        (root / "module").mkdir()
        try:
            with ArchiveStream(io.BytesIO(packed), name="m") as archive:
                plan = TarArchive().hubplug_unpack(archive)
                assert isinstance(plan, Plan), (family, how)
                tree = TreeWriter(root / "module")
                plan.run(tree)
                tree.finish()
            accepted.append((family, how))
        except ArchiveError:
            pass
        slowest = max(slowest, time.monotonic() - began)
        assert [path.name for path in root.iterdir()] == ["module"], (family, how)
        assert not any(path.is_symlink() for path in root.rglob("*")), (family, how)
        shutil.rmtree(root / "module")
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps([count, accepted, slowest, int(status["VmHWM"].split()[0]) // 1024]))
"""


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_over_a_thousand_hostile_archives_are_refused_quickly_and_in_little_memory(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _UNPACK_ALL, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    count, accepted, slowest, mebibytes = json.loads(done.stdout)
    print(
        f"hostile archives: n={count}, accepted {len(accepted)}, slowest {slowest:.3f} s, {mebibytes} MiB resident at most"
    )
    assert accepted == []
    assert count > 1000
    assert slowest < 5
    assert mebibytes < 256
