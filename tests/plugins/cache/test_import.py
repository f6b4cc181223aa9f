"""An archive of entries is taken whole and right, or refused with a typed error and nothing left of the bad entry."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hubplug.errors import ArchiveError, CacheError, DigestMismatch, HubplugError
from hubplug.types import FileRecord, Provenance
from hubplug_cache import CacheDirectory
from hubplug_cache._manifest import Manifest
from hubplug_cache._transfer import Add as AddEntry
from hubplug_cache._transfer import export_entries, import_entries
from tests.left_over import left_over
from tests.plugins.cache.origin import Origin, entry_of, find_wrong, leftovers

HANDLE = "https://example.com/module/1"
KEY = hashlib.sha1(HANDLE.encode()).hexdigest()
INDEX = b'{"format": 1}\n'


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An export of one entry."""
    home = CacheDirectory(str(tmp_path / "home"))
    Origin(size=100).resolve(home, HANDLE)
    export_entries(list(home.hubplug_entries().list()), tmp_path / "export.tar")
    return tmp_path / "export.tar"


def _add(root: Path) -> AddEntry:
    add = CacheDirectory(str(root)).hubplug_entries().add
    assert add is not None
    return add


def _import(root: Path, archive: Path) -> list[bool]:
    root.mkdir(exist_ok=True)
    return [imported.added for imported in import_entries(_add(root), archive)]


def _expect_nothing(root: Path) -> None:
    assert leftovers(root) == []
    assert not [path for path in root.iterdir() if path.name != ".hubplug-locks"]


def test_every_truncation_is_refused(archive: Path, root: Path) -> None:
    data = archive.read_bytes()
    end = len(data) - len(data) % 10240 + 10240
    content_end = max(index for index, byte in enumerate(data) if byte) + 1
    assert end >= len(data)
    for length in [*range(0, content_end, 97), *range(0, content_end, 512)]:
        archive.write_bytes(data[:length])
        with pytest.raises(ArchiveError):
            _import(root, archive)
        _expect_nothing(root)


def test_no_flipped_bit_gets_through(archive: Path, root: Path) -> None:
    data = bytearray(archive.read_bytes())
    content_end = max(index for index, byte in enumerate(data) if byte) + 1
    refused = 0
    for position in range(0, content_end, 13):
        data[position] ^= 1 << position % 8
        archive.write_bytes(data)
        data[position] ^= 1 << position % 8
        try:
            _import(root, archive)
        except (ArchiveError, DigestMismatch):
            refused += 1
            _expect_nothing(root)
        else:  # a bit of the padding between members
            assert find_wrong(entry_of(root, HANDLE), HANDLE, 100) is None
            assert leftovers(root) == []
            (root / KEY).rename(root.parent / f"right{position}")
            (root / f"{KEY}.descriptor.txt").unlink()
    assert refused > 100


def test_an_entry_that_is_damaged_here_is_mended_by_an_import(archive: Path, root: Path) -> None:
    _import(root, archive)
    (root / KEY / "saved_model.pb").unlink()
    assert _import(root, archive) == [True]
    assert find_wrong(root / KEY, HANDLE, 100) is None


def test_an_entry_of_another_handle_is_not_replaced(archive: Path, root: Path) -> None:
    other = Origin().resolve(CacheDirectory(str(root)), "https://example.com/other")
    other.path.rename(root / KEY)
    with pytest.raises(CacheError, match=r"holds https://example.com/other, and the archive has https://example"):
        _import(root, archive)
    assert (root / KEY / "saved_model.pb").stat().st_size == 1000


Add = Callable[[tarfile.TarFile], None]


def _file(name: str, content: bytes = b"x", **fields: object) -> Add:
    def add(tar: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        for field, value in fields.items():
            setattr(member, field, value)
        tar.addfile(member, io.BytesIO(content))

    return add


def _manifest(*paths: str, handle: str = HANDLE, key: str = KEY) -> Add:
    files = tuple(FileRecord(path, 1, hashlib.sha256(b"x").hexdigest()) for path in paths)
    digest = hashlib.sha256(handle.encode()).hexdigest()
    return _file(f"{key}/.hubplug.json", Manifest(Provenance(handle, digest, handle, files=files), "", "").to_bytes())


def _link(name: str, kind: bytes) -> Add:
    return _file(name, b"", type=kind, linkname="/etc/passwd")


HOSTILE: dict[str, list[Add]] = {
    "no index": [_manifest("a"), _file(f"{KEY}/a")],
    "another index": [_file("hubplug-cache.json", json.dumps({"format": 2}).encode())],
    "no manifest": [_file("hubplug-cache.json", INDEX), _file(f"{KEY}/a")],
    "a manifest elsewhere": [_file("hubplug-cache.json", INDEX), _manifest("a", key="b" * 40), _file(f"{'b' * 40}/a")],
    "a manifest outside": [_file("hubplug-cache.json", INDEX), _manifest("a", key=f"../{KEY}")],
    "a file too few": [_file("hubplug-cache.json", INDEX), _manifest("a", "b"), _file(f"{KEY}/a")],
    "a file too many": [_file("hubplug-cache.json", INDEX), _manifest("a"), _file(f"{KEY}/a"), _file(f"{KEY}/b")],
    "a path upwards": [_file("hubplug-cache.json", INDEX), _manifest("../a"), _file(f"{KEY}/../a")],
    "an absolute path": [_file("hubplug-cache.json", INDEX), _manifest("/tmp/a"), _file(f"{KEY}//tmp/a")],
    "a reserved name": [_file("hubplug-cache.json", INDEX), _manifest(".hubplug.json"), _file(f"{KEY}/.hubplug.json")],
    "a file twice": [_file("hubplug-cache.json", INDEX), _manifest("a", "a"), _file(f"{KEY}/a"), _file(f"{KEY}/a")],
    "a larger file": [_file("hubplug-cache.json", INDEX), _manifest("a"), _file(f"{KEY}/a", b"xx")],
    "another content": [_file("hubplug-cache.json", INDEX), _manifest("a"), _file(f"{KEY}/a", b"y")],
    "a symbolic link": [_file("hubplug-cache.json", INDEX), _manifest("a"), _link(f"{KEY}/a", tarfile.SYMTYPE)],
    "a hard link": [_file("hubplug-cache.json", INDEX), _manifest("a"), _link(f"{KEY}/a", tarfile.LNKTYPE)],
    "a device": [_file("hubplug-cache.json", INDEX), _link(f"{KEY}/a", tarfile.CHRTYPE)],
    "a vendor's type": [_file("hubplug-cache.json", INDEX), _link(f"{KEY}/a", b"S")],
    "a comment": [
        _file("hubplug-cache.json", INDEX),
        _file(f"{KEY}/.hubplug.json", b"{}", pax_headers={"comment": "x" * 100}),
    ],
    "a huge comment": [
        _file("hubplug-cache.json", INDEX),
        _file(f"{KEY}/.hubplug.json", b"{}", pax_headers={"comment": "x" * 10_000_000}),
    ],
    "a record with thousands of digits": [
        _file("hubplug-cache.json", INDEX),
        _file("pax", b"1" * 5000 + b" path=a\n", type=tarfile.XHDTYPE),
        _manifest("a"),
    ],
    "a size with thousands of digits": [
        _file("hubplug-cache.json", INDEX),
        _file("pax", b"5011 size=" + b"1" * 5000 + b"\n", type=tarfile.XHDTYPE),
        _manifest("a"),
    ],
    "a manifest that is none": [_file("hubplug-cache.json", INDEX), _file(f"{KEY}/.hubplug.json", b"{}")],
    "no files": [_file("hubplug-cache.json", INDEX), _manifest()],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused(name: str, root: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "hostile.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for add in HOSTILE[name]:
            add(tar)
    before = {path for path in tmp_path.rglob("*") if root not in path.parents}
    with pytest.raises(HubplugError):
        _import(root, tmp_path / "hostile.tar")
    assert {path for path in tmp_path.rglob("*") if root not in path.parents} - {root} == before
    if name != "a file too many":
        _expect_nothing(root)


@pytest.mark.parametrize("content", [b"", b"x" * 511, b"<html>" * 200, b"\x1f\x8b" + b"\0" * 2000, b"\0" * 1024])
def test_what_is_no_archive_is_refused(content: bytes, root: Path, tmp_path: Path) -> None:
    (tmp_path / "no.tar").write_bytes(content)
    with pytest.raises(ArchiveError):
        _import(root, tmp_path / "no.tar")


def test_an_archive_that_is_not_there_is_a_typed_error(root: Path, tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"Cannot read .*no\.tar: No such file") as caught:
        _import(root, tmp_path / "no.tar")
    assert caught.value.hint == "check the path, and who may read it"
    with pytest.raises(CacheError, match=r"Cannot write .*nowhere") as caught:
        export_entries([], tmp_path / "nowhere/a.tar")
    assert caught.value.hint == "choose another place for the archive"


def test_long_and_foreign_names_survive_the_way(root: Path, tmp_path: Path) -> None:
    name = "assets/" + "/".join(["a" * 90] * 4) + "/é字.txt"
    with tarfile.open(tmp_path / "long.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for add in (_file("hubplug-cache.json", INDEX), _manifest(name), _file(f"{KEY}/{name}")):
            add(tar)
    assert _import(root, tmp_path / "long.tar") == [True]
    export_entries(list(CacheDirectory(str(root)).hubplug_entries().list()), tmp_path / "again.tar")
    assert _import(tmp_path / "other", tmp_path / "again.tar") == [True]
    assert (tmp_path / "other" / KEY / name).read_bytes() == b"x"


def test_an_export_deletes_what_a_killed_one_left(archive: Path, tmp_path: Path) -> None:
    left = left_over(archive)
    export_entries(list(CacheDirectory(str(tmp_path / "home")).hubplug_entries().list()), archive)
    assert not left.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.tar", "home"]
