"""Archives that must work: every layout that programs in use write."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from hubplug.files.tree import TreeWriter
from hubplug.types import ArchiveStream
from hubplug_archive import TarArchive
from tests import archives

FILES = archives.MODULE_FILES
gnu_tar = pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar program here")


def content(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def write_files(root: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.mark.parametrize("compression", archives.COMPRESSIONS)
def test_each_compression_is_recognized_by_its_content(compression, unpack, tmp_path):
    unpack(archives.compressed(archives.module_tar(), compression))
    assert content(tmp_path / "module") == FILES


@pytest.mark.parametrize("compression", archives.COMPRESSIONS)
def test_the_records_and_the_digest_are_of_the_whole(compression, tmp_path):
    data = archives.compressed(archives.module_tar(end=bytes(10240)), compression)
    with ArchiveStream(io.BytesIO(data), name="m") as archive:
        tree = TreeWriter(tmp_path)
        TarArchive().hubplug_unpack(archive).run(tree)
        assert archive.sha256() == hashlib.sha256(data).hexdigest()
        assert {record.path: (record.size, record.sha256) for record in tree.finish()} == {
            name: (len(body), hashlib.sha256(body).hexdigest()) for name, body in FILES.items()
        }


@pytest.mark.parametrize("layout", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_python_writes_is_read(layout, unpack, tmp_path):
    long = {**FILES, "assets/" + "d" * 90 + "/" + "f" * 60: b"long", "assets/" + "\u00e9t\u00e9.txt": b"accents"}
    unpack(archives.stdlib_tar(layout, long))
    assert content(tmp_path / "module") == long


@gnu_tar
@pytest.mark.parametrize("layout", ["v7", "oldgnu", "gnu", "ustar", "posix"])
@pytest.mark.parametrize("how", ["--gzip", "--bzip2", "--xz", "--no-auto-compress"])
@pytest.mark.parametrize("member", [".", "*"])
def test_what_gnu_tar_writes_is_read(layout, how, member, unpack, tmp_path):
    files = dict(FILES)
    if layout != "v7":
        files["assets/" + "n" * 90] = b"a name that fills its field"
    if layout in ("gnu", "oldgnu", "posix"):
        files["assets/" + "n" * 200] = b"a long name"
    source = tmp_path / "source"
    write_files(source, files)
    (source / "assets").mkdir(exist_ok=True)
    members = ["."] if member == "." else sorted(path.name for path in source.iterdir())
    made = subprocess.run(
        ["tar", f"--format={layout}", how, "-C", source, "-cf", tmp_path / "m.tar", *members], capture_output=True
    )
    if made.returncode:
        pytest.skip(made.stderr.decode())
    unpack((tmp_path / "m.tar").read_bytes())
    assert content(tmp_path / "module") == files
    assert (tmp_path / "module" / "assets").is_dir()


@gnu_tar
@pytest.mark.parametrize("layout", ["gnu", "posix"])
def test_a_sparse_file_of_gnu_tar_is_refused_by_name(layout, unpack, tmp_path):
    source = tmp_path / "source"
    write_files(source, FILES)
    with (source / "hole").open("wb") as hole:
        hole.truncate(10 << 20)
        hole.write(b"x")
    subprocess.run(["tar", f"--format={layout}", "--sparse", "-C", source, "-cf", tmp_path / "m.tar", "."], check=True)
    with pytest.raises(ValueError, match=r"hole.*sparse"):
        unpack((tmp_path / "m.tar").read_bytes())


def test_parents_without_a_member_of_their_own_are_made(unpack, tmp_path):
    unpack(archives.file(b"a/b/c/d.txt", b"deep") + archives.END)
    assert content(tmp_path / "module") == {"a/b/c/d.txt": b"deep"}


def test_a_file_comes_before_its_directory(unpack, tmp_path):
    unpack(archives.file(b"a/b.txt", b"x") + archives.directory(b"a/") + archives.directory(b"a") + archives.END)
    assert content(tmp_path / "module") == {"a/b.txt": b"x"}


def test_two_zero_blocks_without_padding_end_an_archive(unpack, tmp_path):
    unpack(archives.module_tar(end=bytes(1024)))
    assert content(tmp_path / "module") == FILES


@pytest.mark.parametrize(
    "member",
    [
        archives.file(b"x", b"abc", flag=b"\0"),
        archives.file(b"x", b"abc", magic=archives.V7, flag=b"\0"),
        archives.file(b"x", b"abc", magic=archives.GNU),
        archives.header(b"x", size_field=b"\x80" + bytes(10) + b"\x03") + archives.padded(b"abc"),
        archives.header(b"x", size_field=b"         3\0 ") + archives.padded(b"abc"),
        archives.header(b"x", size_field=b"00000000003 ") + archives.padded(b"abc"),
        archives.header(b"x", size_field=b"000000000003") + archives.padded(b"abc"),
        archives.file(b"x", b"abc", uid=b"\x80" + b"\xff" * 7),
        archives.file(b"x", b"abc", mode=b"        "),
        archives.pax((b"size", b"3"), (b"mtime", b"1.5"), (b"LIBARCHIVE.xattr.user.x", b"\xff\0\n="))
        + archives.file(b"x", b"abc"),
        archives.pax((b"comment", b"made by hand"), flag=b"g") + archives.file(b"x", b"abc"),
        archives.pax((b"hdrcharset", b"ISO-IR 10646 2000 UTF-8")) + archives.file(b"x", b"abc"),
        archives.pax((b"path", b"x")) + archives.file(b"shortened", b"abc"),
        archives.pax((b"path", b"./x")) + archives.file(b"shortened", b"abc"),
        archives.long_name(b"./x") + archives.file(b"shortened", b"abc", magic=archives.GNU),
        archives.file(b"././x", b"abc"),
    ],
)
def test_an_odd_but_legal_member_is_read(member, unpack, tmp_path):
    unpack(member + archives.END)
    assert content(tmp_path / "module") == {"x": b"abc"}


def test_a_signed_checksum_of_an_old_program_is_right(unpack, tmp_path):
    name = "\u00e9".encode()
    unpack(archives.header(name, 3, signed=True) + archives.padded(b"abc") + archives.END)
    assert content(tmp_path / "module") == {"\u00e9": b"abc"}


def test_a_name_in_two_parts_is_put_together(unpack, tmp_path):
    unpack(archives.file(b"x", b"abc", prefix=b"variables") + archives.END)
    assert content(tmp_path / "module") == {"variables/x": b"abc"}


def test_the_prefix_field_of_gnu_tar_is_not_a_name(unpack, tmp_path):
    unpack(archives.file(b"x", b"abc", magic=archives.GNU, prefix=b"00000000000\0") + archives.END)
    assert content(tmp_path / "module") == {"x": b"abc"}


@pytest.mark.parametrize("flag", [b"0", b"\0", b"5"])
def test_a_directory_of_an_old_program_ends_with_a_slash(flag, unpack, tmp_path):
    unpack(archives.header(b"assets/", 0, flag, magic=archives.V7) + archives.module_tar())
    assert (tmp_path / "module" / "assets").is_dir()


def test_the_largest_names_that_systems_take_are_taken(unpack, tmp_path):
    name = "n" * 255
    unpack(archives.pax((b"path", name.encode())) + archives.file(b"x", b"abc") + archives.END)
    assert content(tmp_path / "module") == {name: b"abc"}


@pytest.mark.parametrize("how", ["gzip", "bzip2", "xz"])
def test_streams_one_after_the_other_are_one_archive(how, unpack, tmp_path):
    whole = archives.module_tar()
    parts = [whole[at : at + 700] for at in range(0, len(whole), 700)]
    unpack(b"".join(archives.compressed(part, how) for part in parts))
    assert content(tmp_path / "module") == FILES


def test_an_empty_last_gzip_stream_is_the_mark_of_bgzip(unpack, tmp_path):
    unpack(archives.compressed(archives.module_tar(), "gzip") + archives.compressed(b"", "gzip"))
    assert content(tmp_path / "module") == FILES


def test_a_stream_that_drips_is_read_to_its_end(tmp_path):
    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 7, 7))

    data = archives.compressed(archives.module_tar(), "gzip")
    with ArchiveStream(Dripping(data), name="m") as archive:
        tree = TreeWriter(tmp_path)
        TarArchive().hubplug_unpack(archive).run(tree)
        assert archive.sha256() == hashlib.sha256(data).hexdigest()
    assert content(tmp_path) == FILES


def test_files_larger_than_every_buffer_come_out_whole(unpack, tmp_path):
    files = {"variables/a": os.urandom(3_000_001), "variables/b": os.urandom(5 << 20), "variables/c": b""}
    unpack(archives.compressed(archives.stdlib_tar(tarfile.GNU_FORMAT, files), "gzip"))
    assert content(tmp_path / "module") == files


def test_a_published_module_is_unpacked(shared_modules, unpack, tmp_path):
    unpack((shared_modules / "half_plus_two_v1.tar.gz").read_bytes())
    assert set(content(tmp_path / "module")) == {
        "saved_model.pb",
        "tfhub_module.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
    }
    assert (tmp_path / "module" / "assets").is_dir()


@pytest.mark.parametrize("again", [b"saved_model.pb", b"./saved_model.pb", b"././variables/variables.index"])
@pytest.mark.parametrize("compression", archives.COMPRESSIONS)
def test_a_member_may_be_there_twice_with_the_same_bytes(again, compression, unpack, tmp_path):
    member = archives.file(again, FILES[again.decode().replace("./", "")])
    unpack(archives.compressed(archives.module_tar(member, member), compression))
    assert content(tmp_path / "module") == FILES


def test_a_whole_module_may_be_there_twice(unpack, tmp_path):
    """A program that adds a directory and then, one by one, the files in it, makes such an archive."""
    write_files(tmp_path / "source", FILES)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        tar.add(tmp_path / "source", arcname=".")
        for name in FILES:
            tar.add(tmp_path / "source" / name, arcname=name)
    unpack(made.getvalue())
    assert content(tmp_path / "module") == FILES
