"""What a stream of bytes is, from its first bytes: an archive, or one of the things servers send instead."""

from __future__ import annotations

from typing import Literal

from hubplug.errors import ArchiveError
from hubplug.files.tar.headers import BLOCK, has_right_checksum
from hubplug.shown.redaction import excerpt
from hubplug.shown.sniffing import sniff

Compression = Literal["none", "gzip", "bzip2", "xz"]

_GZIP = b"\x1f\x8b"
_XZ = b"\xfd7zXZ\0"
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")
_OTHER_ARCHIVES = {
    b"PK\x03\x04": "a zip archive",
    b"PK\x05\x06": "an empty zip archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard stream",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\x04\x22\x4d\x18": "an LZ4 stream",
    b"LZIP": "an lzip stream",
    b"\x1f\x9d": "a file of compress(1)",
    b"\x89HDF": "an HDF5 file (a Keras model?)",
}


def recognize(head: bytes) -> Compression | None:
    """Says how a tar archive is compressed that begins with these (at least 512) bytes; None if it is not one."""
    if head.startswith(_GZIP):
        return "gzip"
    if head.startswith(_XZ):
        return "xz"
    if head.startswith(b"BZh") and head[3:4] in b"123456789" and head[4:10] in _BZIP2_BLOCKS:
        return "bzip2"
    block = head[:BLOCK]
    if len(block) == BLOCK and (block[257:262] == b"ustar" or has_right_checksum(block) or not any(block)):
        return "none"
    return None


def find_wrong_answer(name: str, head: bytes, media_type: str | None = None) -> str:
    """Names something that is not a tar archive.

    Args:
        name: What a person calls the stream.
        head: Its first bytes.
        media_type: What the server says it is.

    Returns:
        What it is, for others to take it.

    Raises:
        ArchiveError: No plugin could unpack it.
    """
    for magic, kind in _OTHER_ARCHIVES.items():
        if head.startswith(magic):
            return f"it is {kind}, not a tar archive"
    says = f"; the server calls it {media_type[:80]}" if media_type else ""
    named, begins = sniff(head), excerpt(head)
    if named is None and begins:
        named = "text, not an archive", "check what is at that place"
    if named is not None:
        raise ArchiveError(
            f"{name} is {named[0]}" + (f"; it begins {begins!r}{says}" if begins and _is_quoted(name) else ""),
            hint=named[1],
        )
    return (
        f"it is neither a tar archive nor one compressed with gzip, bzip2 or xz (it begins {head[:8].hex(' ')}{says})"
    )


def refuse_wrong_content(name: str, head: bytes, compression: Compression) -> None:
    """Says what is in a compressed stream in place of a tar file.

    Raises:
        ArchiveError: These first decompressed bytes are not those of a tar file.
    """
    inside = recognize(head)
    if inside == "none":
        return
    if inside is not None:
        raise ArchiveError(
            f"{name} is compressed twice: in its {compression} stream is a {inside} stream, not a tar file",
            hint="decompress it once where it is hosted",
        )
    what = find_wrong_answer(f"What is in the {compression} stream of {name}", head)
    raise ArchiveError(
        f"{name} is not a tar archive: in its {compression} stream, {what}",
        hint="a module is published as a tar.gz of its directory; `hubplug pack` makes one",
    )


def _is_quoted(name: str) -> bool:
    """The first words of a response explain it; those of a local file may be a secret of this machine."""
    return "://" in name and "file://" not in name.lower()
