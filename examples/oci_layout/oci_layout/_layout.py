"""Reads an OCI image layout (OCI Image Format Specification 1.1, image-layout.md): index.json -> manifest -> layer."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from hubplug.errors import DigestMismatch, FormatError, MissingError
from hubplug.types import ArchiveStream

_TAG = "org.opencontainers.image.ref.name"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


def open_layer(folder: str, tag: str) -> ArchiveStream:
    """The layer of the artifact with a tag; its digest is checked before a byte of it is used.

    Raises:
        MissingError: There is no such layout, tag or blob.
        FormatError: The layout cannot be read, or the artifact has not exactly one layer.
        DigestMismatch: A blob is not what its name says.
    """
    root = Path(folder)
    manifests = [
        one for one in _read(root / "index.json").get("manifests", []) if one.get("annotations", {}).get(_TAG) == tag
    ]
    if len(manifests) != 1:
        raise MissingError(f"{root} has {len(manifests)} artifacts with the tag that was asked for, expected 1")
    layers = json.loads(_blob(root, manifests[0]).read_bytes()).get("layers", [])
    if len(layers) != 1:
        raise FormatError(f"The artifact in {root} has {len(layers)} layers, and a module is one")
    path = _blob(root, layers[0])
    return ArchiveStream(path.open("rb"), name=str(path), size=path.stat().st_size)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise MissingError(f"{path} is not there", hint="give the directory of an OCI image layout") from None
    except ValueError as error:
        raise FormatError(f"{path} is not JSON: {error}") from error


def _blob(root: Path, descriptor: Any) -> Path:
    digest = _DIGEST.fullmatch(str(descriptor.get("digest")))
    if digest is None:
        raise FormatError(f"{root}: a descriptor has the digest {descriptor.get('digest')!r}, expected sha256:<hex>")
    path = root / "blobs" / "sha256" / digest[1]
    if not path.is_file():
        raise MissingError(f"{path} is not there")
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            sha256.update(data)
    if sha256.hexdigest() != digest[1]:
        raise DigestMismatch(f"{path} has the sha256 {sha256.hexdigest()}, and its name says {digest[1]}")
    return path
