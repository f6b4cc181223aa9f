"""Whether a client certificate can be used: OpenSSL would ask a terminal for the pass phrase of an encrypted key."""

from __future__ import annotations

import ssl
from functools import cache

from hubplug.errors import ConfigError


@cache
def demand_usable(certificate: str | tuple[str, ...]) -> None:
    """Reads a certificate and its key.

    Args:
        certificate: The file of both, or the two files.

    Raises:
        ConfigError: The key is encrypted, does not belong to the certificate, or one of them cannot be read.
    """
    files = (certificate,) if isinstance(certificate, str) else certificate
    key = files[1] if len(files) > 1 else None
    asked: list[bool] = []

    def no_pass_phrase() -> str:
        asked.append(True)
        return ""

    reason = None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(files[0], key, no_pass_phrase)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
    if asked:
        raise ConfigError(
            f"client_cert: the key in {files[-1]!r} is encrypted, and hubplug does not ask for a pass phrase",
            hint="write it without one into a file that only you can read: openssl pkey -in KEY -out PLAIN; chmod 600 PLAIN",
        )
    if reason is not None:
        raise ConfigError(
            f"client_cert: {' and '.join(map(repr, files))} cannot be used: {str(reason).replace('_', ' ').lower()}",
            hint="it has to be a certificate with its own key, in PEM format",
        )
