"""Archives of modules: what is in them, that they are the same everywhere, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from hubplug.errors import ExportError, FormatError, HubplugError
from hubplug.files.tree import TreeWriter
from hubplug.types import ArchiveStream
from hubplug_archive import TarArchive
from hubplug_hosting import pack_module
from hubplug_hosting._archive_bytes import gzip_deflated, gzip_stored, tar_bytes
from hubplug_hosting._commands import pack
from hubplug_hosting._members import ListedMember
from tests.left_over import left_over


def content(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def unpacked(archive: Path, dest: Path) -> dict[str, bytes]:
    dest.mkdir()
    with ArchiveStream(archive.open("rb"), name=str(archive)) as stream:
        tree = TreeWriter(dest)
        TarArchive().hubplug_unpack(stream).run(tree)
        tree.finish()
    return content(dest)


@pytest.mark.parametrize("compress", [False, True])
def test_a_packed_module_unpacks_to_itself(compress, module, tmp_path):
    packed = pack_module(module, tmp_path / "m.tar.gz", compress=compress)
    assert unpacked(packed.path, tmp_path / "dest") == content(module)
    assert packed.size == packed.path.stat().st_size
    assert packed.sha256 == hashlib.sha256(packed.path.read_bytes()).hexdigest()
    assert packed.files == len(content(module))
    assert packed.content_size == sum(map(len, content(module).values()))


def test_the_root_of_the_archive_is_the_root_of_the_module_and_nobody_owns_it(module, tmp_path):
    pack_module(module, tmp_path / "m.tar.gz")
    with tarfile.open(tmp_path / "m.tar.gz") as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == [
        "./assets",
        "./assets/vocabulary.txt",
        "./saved_model.pb",
        "./tfhub_module.pb",
        "./variables",
        "./variables/variables.data-00000-of-00001",
        "./variables/variables.index",
    ]
    for member in members:
        assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", 0)
        assert member.mode == (0o755 if member.isdir() else 0o644)


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar program here")
@pytest.mark.parametrize("compress", [False, True])
def test_gnu_tar_reads_a_packed_module(compress, module, tmp_path):
    (module / "assets" / ("d" * 150)).mkdir()
    (module / "assets" / ("d" * 150) / ("f" * 150)).write_bytes(b"a name that needs a pax record")
    (module / "assets" / ("p" * 90)).mkdir()
    (module / "assets" / ("p" * 90) / ("q" * 90)).write_bytes(b"a name in two parts")
    (module / "assets" / "\u00e9t\u00e9").write_bytes(b"accents")
    pack_module(module, tmp_path / "m.tar.gz", compress=compress)
    (tmp_path / "dest").mkdir()
    done = subprocess.run(
        ["tar", "-xzf", tmp_path / "m.tar.gz", "-C", tmp_path / "dest"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert content(tmp_path / "dest") == content(module) == unpacked(tmp_path / "m.tar.gz", tmp_path / "ours")


PACK = """
import os, sys, time
os.umask(int(sys.argv[3], 8))
time.tzset()
from hubplug_hosting import pack_module
print(pack_module(sys.argv[1], sys.argv[2]).sha256)
"""


def test_the_bytes_are_the_same_under_every_umask_time_zone_and_locale(module, tmp_path):
    digests = set()
    for number, (umask, zone, locale) in enumerate(
        [
            ("022", "UTC", "C"),
            ("077", "Asia/Tokyo", "C.UTF-8"),
            ("002", "America/Lima", "tr_TR.UTF-8"),
            ("000", "", "POSIX"),
        ]
    ):
        copy = tmp_path / f"copy{number}" / "elsewhere"
        names = sorted(content(module), reverse=number % 2 == 1)
        for name in names:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(module / name, copy / name)
            os.utime(copy / name, (number, number))
            (copy / name).chmod(0o600 + number)
        (copy / ".hubplug.json").write_text(f"{number}")
        environment = {
            **os.environ,
            "TZ": zone,
            "LC_ALL": locale,
            "PYTHONHASHSEED": str(number),
            "SOURCE_DATE_EPOCH": "1",
        }
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        done = subprocess.run(
            [sys.executable, "-c", PACK, copy, tmp_path / f"{number}.tar.gz", umask],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout)
    assert len(digests) == 1


def test_the_bytes_of_the_format_have_not_changed():
    """A digest that somebody has pinned must hold with the next release as well."""
    members = [ListedMember("d", None), ListedMember("d/f", 70_000), ListedMember("e" * 120, 3)]
    contents = {"d/f": bytes(70_000), "e" * 120: b"abc"}
    tar = b"".join(tar_bytes(members, lambda member: [contents[member.name]]))
    archive = b"".join(gzip_stored([tar]))
    assert gzip.decompress(archive) == tar
    assert hashlib.sha256(archive).hexdigest() == "a478dab83c6c4c21f7f01267edd3ceb41f01d1ae7319f3aacd2f5071646e3aa5"


@pytest.mark.parametrize("make", [gzip_stored, gzip_deflated])
@pytest.mark.parametrize("size", [0, 1, 65534, 65535, 65536, 131070, 200_001])
def test_the_stream_does_not_depend_on_how_the_pieces_come(make, size):
    data = os.urandom(size)
    whole = b"".join(make([data]))
    assert gzip.decompress(whole) == data
    assert b"".join(make([data[at : at + 777] for at in range(0, size, 777)])) == whole


def test_a_size_beyond_the_field_gets_a_pax_record():
    huge = 9 << 30
    tar = tar_bytes([ListedMember("variables/huge", huge)], lambda member: [])
    head = next(tar) + next(tar)
    with tarfile.open(fileobj=io.BytesIO(head + bytes(1024)), mode="r:") as archive:
        assert archive.next().size == huge


def test_an_existing_archive_is_replaced_only_with_force(module, tmp_path):
    out = tmp_path / "m.tar.gz"
    out.write_bytes(b"precious")
    with pytest.raises(ExportError, match="exists already"):
        pack_module(module, out)
    assert out.read_bytes() == b"precious"
    pack_module(module, out, force=True)
    assert unpacked(out, tmp_path / "dest") == content(module)


@pytest.mark.parametrize(
    ("out", "message", "hint"),
    [
        ("gs://user:canary@bucket/m.tar.gz", "gs://bucket/m.tar.gz is not a local path", "copy it there"),
        ("nowhere/m.tar.gz", "There is no directory nowhere to write m.tar.gz into", "make it first"),
        ("m.zip", "m.zip would be a gzipped tar archive under the name of something else", "name it m.tar.gz"),
        ("m.tar.bz2", "m.tar.bz2 would be a gzipped tar archive", "name it m.tar.gz"),
        ("module", "module is a directory", "name a file in it: module/model.tar.gz"),
    ],
)
def test_a_place_that_cannot_be_meant_is_named(out, message, hint, module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(pack, [str(module), "-o", out])
    assert isinstance(done.exception, ExportError)
    assert done.exception.message.startswith(message)
    assert hint in done.exception.hint
    assert [path.name for path in tmp_path.iterdir()] == ["module"]


@pytest.mark.parametrize("odd", ["link", "broken link", "directory link", "fifo", "backslash", "newline"])
def test_odd_files_are_refused_and_nothing_is_left(odd, module, tmp_path):
    path = module / "assets" / "odd"
    if odd == "link":
        path.symlink_to(module / "saved_model.pb")
    elif odd == "broken link":
        path.symlink_to("nowhere")
    elif odd == "directory link":
        path.symlink_to(module)
    elif odd == "fifo":
        os.mkfifo(path)
    elif odd == "backslash":
        path.with_name("o\\dd").touch()
    else:
        path.with_name("o\ndd").touch()
    with pytest.raises(ExportError, match="assets/o"):
        pack_module(module, tmp_path / "m.tar.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["module"]


def test_names_that_collide_elsewhere_are_refused(module, tmp_path):
    (module / "assets" / "VOCABULARY.txt").touch()
    with pytest.raises(ExportError, match="one name"):
        pack_module(module, tmp_path / "m.tar.gz")


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_bytes(b""), "is a file"),
        (lambda path: path.mkdir(), "holds nothing"),
        (lambda path: ((path / "model").mkdir(parents=True), (path / "model/saved_model.pb").touch()), "did you mean"),
    ],
)
def test_what_is_no_module_is_named(make, word, tmp_path):
    make(tmp_path / "dir")
    with pytest.raises(FormatError, match=word) as caught:
        pack_module(tmp_path / "dir", tmp_path / "m.tar.gz")
    assert caught.value.hint
    assert not (tmp_path / "m.tar.gz").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda module: (module / "variables/variables.index").unlink(),
        lambda module: (module / "assets/vocabulary.txt").unlink(),
        lambda module: (module / "saved_model.pb").write_bytes(b"\xff" * 100),
        lambda module: (module / "tfhub_module.pb").write_bytes(b"\x08\x02"),
    ],
)
def test_an_incomplete_module_is_refused(damage, module, tmp_path):
    damage(module)
    with pytest.raises(FormatError, match="not a complete module"):
        pack_module(module, tmp_path / "m.tar.gz")
    assert not (tmp_path / "m.tar.gz").exists()


def test_the_archive_may_not_lie_inside_the_module(module):
    with pytest.raises(ExportError, match="inside"):
        pack_module(module, module / "assets" / "m.tar.gz")


def test_a_directory_that_cannot_be_written_is_an_error_that_names_it(module, tmp_path):
    with pytest.raises(ExportError, match="missing"):
        pack_module(module, tmp_path / "missing" / "m.tar.gz")


def test_the_archive_tells_nothing_of_the_machine(module, tmp_path):
    data = gzip.decompress(pack_module(module, tmp_path / "m.tar.gz").path.read_bytes())
    for canary in (os.fsencode(tmp_path), os.uname().nodename.encode(), b"root"):
        assert canary not in data


def test_the_command_prints_what_a_publisher_needs(module, tmp_path):
    out = tmp_path / "m.tar.gz"
    done = CliRunner().invoke(pack, [str(module), "-o", str(out)])
    assert done.exit_code == 0
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert f"{out.stat().st_size:,} bytes" in done.output
    assert f"sha256 {digest}" in done.output
    assert f"#sha256={digest}" in done.output
    again = CliRunner().invoke(pack, [str(module), "-o", str(out)])
    assert isinstance(again.exception, HubplugError)
    assert CliRunner().invoke(pack, [str(module), "-o", str(out), "--force"]).exit_code == 0


def test_more_files_than_are_unpacked_are_not_packed(module, tmp_path):
    for number in range(10_001):
        (module / "assets" / f"{number}").touch()
    with pytest.raises(ExportError, match="10,000"):
        pack_module(module, tmp_path / "m.tar.gz")


def test_packing_deletes_what_a_killed_one_left(module, tmp_path):
    left = left_over(tmp_path / "m.tar.gz")
    pack_module(module, tmp_path / "m.tar.gz")
    assert not left.exists()
    assert [path.name for path in tmp_path.iterdir() if path != module] == ["m.tar.gz"]
