"""Which certificate authorities are trusted where no option says so: what the environment names."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hubplug.errors import ConfigError
from hubplug.settings.config import environment_value


@dataclass(frozen=True)
class Bundle:
    """Certificates to trust.

    Attributes:
        file: In PEM format, or None.
        directory: As OpenSSL reads it (several are separated as in PATH), or None.
    """

    file: str | None
    directory: str | None

    @property
    def path(self) -> str:
        """For what takes one of them only."""
        return self.file or self.directory or ""


def trusted_certificates() -> Bundle | None:
    """What the first of ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` and ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` names.

    The last two are OpenSSL's, and hold as in urllib: where one is not set, the system's own is trusted besides the other.

    Returns:
        None when none is set.

    Raises:
        ConfigError: A variable names what is not there, or no certificates.
    """
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if value := environment_value(name):
            return bundle_at(value, name)
    file, directory = environment_value("SSL_CERT_FILE"), environment_value("SSL_CERT_DIR")
    if file is None and directory is None:
        return None
    import ssl

    if directory is not None and not any(map(os.path.isdir, directory.split(os.pathsep))):
        raise _nothing_there(directory, "SSL_CERT_DIR")
    if file is not None:
        _demand_certificates(file, "SSL_CERT_FILE")
    usual = ssl.get_default_verify_paths()
    return Bundle(file or usual.cafile, directory or usual.capath)


def bundle_at(path: str, said_by: str) -> Bundle:
    """The certificates in a file or directory.

    Args:
        path: Of it.
        said_by: The variable or option that names it.

    Raises:
        ConfigError: It is not there, or holds no certificates.
    """
    if os.path.isdir(path):
        return Bundle(None, path)
    _demand_certificates(path, said_by)
    return Bundle(path, None)


def _demand_certificates(path: str, said_by: str) -> None:
    import ssl

    if not os.path.exists(path):
        raise _nothing_there(path, said_by)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError(
            f"{said_by} names {path!r}, which holds no certificates that can be read: {str(reason).replace('_', ' ').lower()}",
            hint="it has to be a text file of certificates in PEM format",
        ) from None


def _nothing_there(path: str, said_by: str) -> ConfigError:
    return ConfigError(
        f"{said_by} names {path!r}, and there is no such file or directory",
        hint=f"set {said_by} to the file of the certificate authorities to trust, or unset it",
    )
