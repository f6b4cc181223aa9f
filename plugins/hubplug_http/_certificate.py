"""Who signed the certificate of a server that is not trusted: an error that names the issuer can be acted upon."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit


def issuer_of(url: str, timeout: float) -> str | None:
    """Common name, or else organization, of the issuer of a server's certificate; None where it cannot be had.

    Python shows what is in a certificate only after it was verified. So it is asked for twice, the second time with itself as
    the one that is trusted. Sends no request.
    """
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 443)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=ssl.get_server_certificate(address, timeout=timeout))
        with (
            socket.create_connection(address, timeout) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as secure,
        ):
            issuer = (secure.getpeercert() or {}).get("issuer", ())
    except (OSError, ValueError):
        return None
    names = {pair[0]: str(pair[1]) for relative in issuer for pair in relative}
    name = names.get("commonName") or names.get("organizationName")
    return "".join(c for c in name if c.isprintable())[:100] if name else None
