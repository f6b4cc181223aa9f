"""Who signed the certificate of a server that is not trusted: an error that names the issuer can be acted upon."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

_COMMON_NAME, _ORGANIZATION = b"\x55\x04\x03", b"\x55\x04\x0a"  # 2.5.4.3 and 2.5.4.10 of X.520
_VERSION = 0xA0  # the optional first field, explicitly tagged


def issuer_of(url: str, timeout: float) -> str | None:
    """The issuer of a server's certificate; None where it cannot be had. Sends no request."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # to look at what was refused
    try:
        address = (parts.hostname or "", parts.port or 443)
        with (
            socket.create_connection(address, timeout) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as secure,
        ):
            certificate = secure.getpeercert(binary_form=True)
        return issuer_in(certificate) if certificate else None
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def issuer_in(certificate: bytes) -> str | None:
    """Common name, or else organization, of the issuer in a DER certificate (RFC 5280, section 4.1)."""
    _, outer = next(_values(certificate))
    _, body = next(_values(outer))
    fields = [field for field in _values(body) if field[0] != _VERSION]
    names: dict[bytes, str] = {}
    for _, relative in _values(fields[2][1]):  # serial number, algorithm, issuer
        for _, attribute in _values(relative):
            (_, kind), (_, text) = list(_values(attribute))[:2]
            names[kind] = text.decode("utf-8", "replace")
    name = names.get(_COMMON_NAME) or names.get(_ORGANIZATION)
    return "".join(c for c in name if c.isprintable())[:100] if name else None


def _values(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each DER value, one after the other."""
    at = 0
    while at < len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            width = length & 0x7F
            length = int.from_bytes(data[at : at + width], "big")
            at += width
        yield tag, data[at : at + length]
        at += length
