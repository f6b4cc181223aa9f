"""The manifest inside an entry: where its files came from, and what they must be.

``.hubplug.json`` lies in the entry, so that one rename publishes both and a reader needs no lock. tensorflow_hub ignores
it. Everything in it is redacted; ``handle_sha256`` tells two handles apart without storing either. Its last member is the
sha256 of all bytes before that member, so that damage to the manifest itself is noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hubplug.errors import CacheError
from hubplug.files.names import MANIFEST_NAME as MANIFEST_NAME
from hubplug.files.strict_json import parse_json
from hubplug.types import FileRecord, Provenance

FORMAT = 1
# Some 60,000 files; a module has 10,000 at the most, unless the section limits says otherwise.
MAX_BYTES = 16 << 20
_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CHECKSUM = b' "checksum": "'


class ManifestError(ValueError):
    """The bytes are not a manifest."""


class OtherFormat(ManifestError):
    """The manifest was written by a hubplug that this one does not understand."""


@dataclass(frozen=True)
class Manifest:
    """What is known of an entry.

    Attributes:
        provenance: Where the files came from and what they are.
        time: When the entry was filled, ISO 8601 in UTC.
        hubplug: The version that filled it.
        intact: Whether the checksum of the manifest is right.
        times: When each file was written last (``st_mtime_ns``), by its path; empty where that was not recorded.
    """

    provenance: Provenance
    time: str
    hubplug: str
    intact: bool = True
    times: Mapping[str, int] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The manifest as JSON with a final newline.

        Raises:
            CacheError: It is larger than ``parse_manifest`` is given.
        """
        p = self.provenance
        content = {
            "format": FORMAT,
            "hubplug": self.hubplug,
            "time": self.time,
            "handle": p.handle,
            "handle_sha256": p.handle_sha256,
            "location": p.location,
            "etag": p.etag,
            "archive_sha256": p.archive_sha256,
            "files": [
                {"path": f.path, "size": f.size, "sha256": f.sha256}
                | ({"mtime_ns": self.times[f.path]} if f.path in self.times else {})
                for f in p.files
            ],
        }
        body = json.dumps(content, indent=1).encode("ascii").removesuffix(b"\n}") + b",\n"
        data = body + _CHECKSUM + hashlib.sha256(body).hexdigest().encode("ascii") + b'"\n}\n'
        if len(data) > MAX_BYTES:
            raise CacheError(
                f"{p.handle} has {len(p.files)} files, more than a cache entry can record",
                hint="pack the module's assets into fewer files, or use it from a local directory",
            )
        return data


def read_manifest(entry: Path, descriptor: int | None = None) -> bytes:
    """The bytes of an entry's manifest.

    Args:
        entry: The entry.
        descriptor: The same, opened; None: it is found by its path.

    Raises:
        ManifestError: It is larger than any manifest.
        OSError: The system could not read it.
    """
    place = entry / MANIFEST_NAME if descriptor is None else MANIFEST_NAME
    with open(os.open(place, _OPEN, dir_fd=descriptor), "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ManifestError(f"it has more than {MAX_BYTES:,} bytes")
    return data


def parse_manifest(data: bytes) -> Manifest:
    """Reads a manifest; one whose checksum is wrong is read as far as it makes sense.

    Raises:
        OtherFormat: Its format is newer than ``FORMAT``.
        ManifestError: It is not a manifest at all; says why.
    """
    try:
        content = parse_json(data)
    except ValueError as error:
        raise ManifestError(f"it is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise ManifestError("it is not a JSON object")
    version = content.get("format")
    if version != FORMAT:
        kind = OtherFormat if type(version) is int and version > FORMAT else ManifestError
        raise kind(f"its format is {reprlib.repr(version)}, and this hubplug reads {FORMAT}")
    files = content.get("files")
    if not isinstance(files, list) or not files:
        raise ManifestError("it lists no files")
    records = tuple(_record(item) for item in files)
    if len({record.path for record in records}) != len(records):
        raise ManifestError("it lists a file twice")
    provenance = Provenance(
        handle=_text(content, "handle"),
        handle_sha256=_text(content, "handle_sha256"),
        location=_text(content, "location"),
        archive_sha256=_text(content, "archive_sha256") if content.get("archive_sha256") is not None else None,
        etag=_text(content, "etag") if content.get("etag") is not None else None,
        files=records,
    )
    body, _, rest = data.rpartition(_CHECKSUM)
    intact = rest[:64] == hashlib.sha256(body).hexdigest().encode("ascii")
    times = {item["path"]: item["mtime_ns"] for item in files if type(item.get("mtime_ns")) is int}
    return Manifest(provenance, _text(content, "time"), _text(content, "hubplug"), intact, times)


def _record(item: Any) -> FileRecord:
    if not isinstance(item, dict):
        raise ManifestError("a file of it is not an object")
    size = item.get("size")
    if type(size) is not int or size < 0:
        raise ManifestError(f"the size {reprlib.repr(size)} of a file is not a number of bytes")
    return FileRecord(_text(item, "path"), size, _text(item, "sha256"))


def _text(content: dict[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str):
        raise ManifestError(f"its {name!r} is {reprlib.repr(value)}")
    return value


def own_version() -> str:
    """The version that manifests say."""
    try:
        return version("hubplug")
    except PackageNotFoundError:
        return "unknown"
