"""A plugin for a compression gives the archive that is inside, and the plugin of that format unpacks it."""

from __future__ import annotations

import io
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hubplug
from hubplug.errors import ArchiveError, DigestMismatch, IncompleteDownload
from hubplug.testing import Reply, ScriptedServer, archive_of
from hubplug.types import ArchiveStream, Plan

MakeHub = Callable[..., hubplug.Hub]


class Lzma:
    """Unpacks ``.tar.lzma``."""

    @hubplug.hookimpl
    def hubplug_unpack(self, archive: ArchiveStream) -> Plan[Any] | None:
        if archive.peek(3) != b"]\0\0":
            return None

        def run(tree: Any) -> ArchiveStream:
            return ArchiveStream(lzma.open(archive, format=lzma.FORMAT_ALONE), name=f"what is in {archive.name}")  # type: ignore[call-overload]

        return Plan("decompress it", run)


@pytest.fixture
def packed(tiny_module: Path) -> bytes:
    return lzma.compress(archive_of(tiny_module, ""), lzma.FORMAT_ALONE)


def put(folder: Path, data: bytes) -> str:
    (folder / "m.tar").write_bytes(data)
    return str(folder / "m.tar")


def test_what_is_inside_is_unpacked_and_the_digest_is_of_the_outside(
    make_hub: MakeHub, packed: bytes, tmp_path: Path
) -> None:
    import hashlib

    module = make_hub(Lzma()).resolve(put(tmp_path, packed))
    assert (module.path / "tfhub_module.pb").is_file()
    assert module.provenance is not None
    assert module.provenance.archive_sha256 == hashlib.sha256(packed).hexdigest()
    with pytest.raises(DigestMismatch):
        make_hub(Lzma()).resolve(f"{put(tmp_path, packed)}#sha256={'0' * 64}")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-3],
        lambda data: data[:20] + bytes(200) + data[220:],
        lambda data: data + b"more",
        lambda data: data + bytes(100_000),
    ],
    ids=["half of it", "without its end", "zeros inside", "with more", "with zeros at the end"],
)
def test_what_is_damaged_is_said_to_be_and_no_plugin_is_to_blame(
    damage: Callable[[bytes], bytes], make_hub: MakeHub, packed: bytes, tmp_path: Path
) -> None:
    with pytest.raises(ArchiveError) as raised:
        make_hub(Lzma()).resolve(put(tmp_path, damage(packed)))
    assert "m.tar" in raised.value.message
    assert "\n" not in raised.value.message


def test_a_download_of_what_is_inside_that_breaks_off_is_said_to(
    make_hub: MakeHub, server: ScriptedServer, packed: bytes
) -> None:
    server.always(Reply(body=packed, cut_at=100))
    with pytest.raises(IncompleteDownload):
        make_hub(Lzma(), plugins={"http": {"options": {"retries": 0}}}).resolve(server.url("/m/1"))


def test_an_archive_that_unpacks_to_itself_comes_to_an_end(make_hub: MakeHub, tmp_path: Path) -> None:
    class Quine:
        @hubplug.hookimpl
        def hubplug_unpack(self, archive: ArchiveStream) -> Plan[Any]:
            return Plan("again", lambda tree: ArchiveStream(io.BytesIO(b"again"), name="it"))

    with pytest.raises(ArchiveError, match="is an archive in an archive, 3 deep"):
        make_hub(Quine()).resolve(put(tmp_path, b"again"))
