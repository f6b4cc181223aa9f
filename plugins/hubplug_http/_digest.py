"""The digest that a server announces for an archive, where it announces one, is held against what arrives."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from hubplug.errors import DigestMismatch
from hubplug.types import ArchiveStream

# RFC 9530: sha-256=:<base64>:   RFC 3230, before it: SHA-256=<base64>
_SHA256 = re.compile(r"(?:^|,)\s*sha-256=:?([A-Za-z0-9+/]+={0,2}):?\s*(?=,|;|$)", re.IGNORECASE)


def announced_sha256(repr_digest: str | None, digest: str | None) -> str | None:
    """The sha256 of the whole body in hexadecimal digits, or None.

    Args:
        repr_digest: The header ``Repr-Digest``.
        digest: The older header ``Digest``.
    """
    for value in (repr_digest, digest):
        if match := _SHA256.search(value or ""):
            try:
                raw = base64.b64decode(match[1], validate=True)
            except binascii.Error:
                continue
            if len(raw) == 32:
                return raw.hex()
    return None


class CheckedStream(ArchiveStream):
    """An archive whose last byte is only handed on when all of them have the announced digest."""

    def __init__(self, stream: Any, *, announced: str, **known: Any) -> None:
        """Takes what an ArchiveStream takes, and the announced sha256 in hexadecimal digits."""
        super().__init__(stream, **known)
        self._announced = announced
        self._count = 0

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none only at the end of the archive.

        Raises:
            DigestMismatch: These are the last bytes, and the digest is not the announced one.
        """
        data = super().read(size)
        self._count += len(data)
        at_end = not data if self.size is None else self._count >= self.size
        if size > 0 and at_end and self.sha256() != self._announced:
            raise DigestMismatch(
                f"{self.name}: the server announced the sha256 {self._announced}, what it sent has {self.sha256()}; "
                "nothing was kept",
                hint="try again; if it keeps happening, a proxy alters the download, or the server is faulty",
            )
        return data
