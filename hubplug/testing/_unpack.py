"""The contract of ``hubplug_unpack``."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hubplug.errors import HubplugError
from hubplug.files.tree import TreeWriter
from hubplug.testing._contract import PluginContract, missing
from hubplug.types import ArchiveStream


class UnpackContract(PluginContract):
    """Unpacks archives. Define the fixtures ``plugin``, ``archive`` and ``content``."""

    hook = "hubplug_unpack"

    @pytest.fixture
    def archive(self) -> bytes:
        """An archive of the plugin's format."""
        data: bytes = missing("archive")
        return data

    @pytest.fixture
    def content(self) -> Mapping[str, bytes]:
        """What is in it: path -> bytes of each file."""
        files: Mapping[str, bytes] = missing("content")
        return files

    @pytest.fixture
    def foreign_archives(self) -> Sequence[bytes]:
        """What is not an archive of this format."""
        return [b"", b"\0", b"What is this?", bytes(range(256)) * 8]

    def unpack(self, plugin: object, data: bytes, dest: Path) -> ArchiveStream:
        """Unpacks into a new directory."""
        dest.mkdir()
        stream = ArchiveStream(io.BytesIO(data), name="archive")
        tree = TreeWriter(dest)
        self.value(plugin, stream).run(tree)
        tree.finish()
        return stream

    def test_it_unpacks_every_file(
        self, plugin: object, archive: bytes, content: Mapping[str, bytes], own_dir: Path
    ) -> None:
        dest = own_dir / "dest"
        self.unpack(plugin, archive, dest)
        found = {path.relative_to(dest).as_posix(): path.read_bytes() for path in dest.rglob("*") if path.is_file()}
        assert found == dict(content)

    def test_it_reads_to_the_last_byte_so_that_the_digest_covers_all(
        self, plugin: object, archive: bytes, own_dir: Path
    ) -> None:
        stream = self.unpack(plugin, archive, own_dir / "dest")
        assert stream.sha256() == hashlib.sha256(archive).hexdigest()

    def test_deciding_consumes_nothing(self, plugin: object, archive: bytes) -> None:
        stream = ArchiveStream(io.BytesIO(archive), name="archive")
        self.value(plugin, stream)
        assert stream.sha256() == hashlib.sha256(b"").hexdigest()
        assert stream.read(4) == archive[:4]

    def test_it_declines_what_it_does_not_know(self, plugin: object, foreign_archives: Sequence[bytes]) -> None:
        for data in foreign_archives:
            try:
                answer = self.ask(plugin, ArchiveStream(io.BytesIO(data), name="archive"))
            except HubplugError:  # something that no plugin could unpack
                continue
            assert answer.member is None, data[:20]

    def test_a_truncated_archive_never_passes_for_a_whole_one(
        self, plugin: object, archive: bytes, own_dir: Path
    ) -> None:
        whole = len(archive.rstrip(b"\0"))  # what a format pads its end with is not content
        for index in range(1, 12):
            cut = whole * index // 12
            try:
                self.unpack(plugin, archive[:cut], own_dir / str(cut))
            except (HubplugError, AssertionError):  # refused, or so short that the plugin did not know it
                continue
            pytest.fail(f"{cut} of {len(archive)} bytes were taken for the whole", pytrace=False)
