"""Signs a module directory with model-signing: everything in it, and nothing that a later reader would pass over."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hubplug.errors import ConfigError, ExportError, HubplugError, OfflineError, needs
from hubplug.files.signatures import SIGNATURE_NAME, SigningKey
from hubplug_signing._bundle import read_bundle
from hubplug_signing._contents import signable_files
from hubplug_signing._errors import SignatureFault

if TYPE_CHECKING:
    from model_signing.signing import Config

_LARGEST_FILE = 1 << 20


def sign(directory: Path, key: SigningKey, *, offline: bool) -> None:
    """Writes the signature of a directory into it, over one that is there.

    Args:
        directory: Of a module; no other program changes it meanwhile.
        key: With what.
        offline: Whether Sigstore may not be asked.

    Raises:
        ConfigError: The key or the certificate cannot be used.
        ExportError: Something in the directory cannot be signed, or the signature did not come about.
        OfflineError: A keyless signature needs the network.
        MissingDependencyError: The library is not installed.
    """
    with (
        needs("model_signing", "signing"),
        needs("OpenSSL", "signing"),
        tempfile.TemporaryDirectory(prefix="hubplug-") as folder,
    ):
        from model_signing.hashing import Config as Hashing
        from model_signing.signing import Config as Signing

        config = _configured(Signing(), key, Path(folder), offline)
        target, made = directory / SIGNATURE_NAME, Path(folder, SIGNATURE_NAME)
        with _as_export_errors(directory):
            if target.is_dir():
                raise ExportError(f"{target} is a directory, and the signature has that name", hint="rename it")
            target.unlink(missing_ok=True)
            there = signable_files(directory, of_a_cache=False)
            hashing = Hashing().set_ignored_paths(paths=[], ignore_git_paths=False)
            config.set_hashing_config(hashing).sign(directory, made)
            target.write_bytes(made.read_bytes())
            if read_bundle(directory).files != there:
                raise ExportError(f"{directory} changed while it was signed", hint="try again")


def _configured(config: Config, key: SigningKey, folder: Path, offline: bool) -> Config:
    if key.key is None:
        if offline:
            raise OfflineError(
                "A keyless signature is made by Sigstore's servers, and hubplug is offline", hint="sign with a key"
            )
        return config.use_sigstore_signer(use_ambient_credentials=True)
    data = _read(key.key)
    password = _password_for(key, data)
    try:
        if key.certificate is None:
            return config.use_elliptic_key_signer(private_key=key.key, password=password)
        own, above = _certificates(key.certificate, folder)
        if password is not None:
            raise ConfigError(
                f"{key.key} has a password, and model-signing signs with a certificate only by a key without one",
                hint="decrypt it into memory: openssl pkey -in KEY -out /dev/shm/key.pem, and delete that afterwards",
            )
        return config.use_certificate_signer(private_key=key.key, signing_certificate=own, certificate_chain=above)
    except HubplugError:
        raise
    except (ValueError, TypeError, AttributeError) as error:
        said = str(error)
        if "password" in said.lower():
            raise ConfigError(f"The password does not open {key.key}", hint="give the right one") from None
        raise ConfigError(
            f"{key.key} cannot sign: {said if isinstance(error, ValueError) else 'it is not an elliptic-curve key'}",
            hint="openssl ecparam -name prime256v1 -genkey -noout makes one in PEM form",
        ) from None


def _password_for(key: SigningKey, data: bytes) -> bytes | None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        load_pem_private_key(data, None)
    except TypeError:  # it has a password
        if key.password is None:
            raise ConfigError(f"{key.key} has a password", hint="name a variable that holds it") from None
        return key.password().encode()
    except Exception:
        raise ConfigError(
            f"{key.key} is not a private key in PEM form",
            hint="openssl ecparam -name prime256v1 -genkey -noout makes one",
        ) from None
    return None


def _certificates(path: Path, folder: Path) -> tuple[Path, list[Path]]:
    """The signer's certificate, and a file of those above it, if there are any."""
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_pem_x509_certificates

    try:
        found = [one.public_bytes(Encoding.PEM) for one in load_pem_x509_certificates(_read(path))]
    except ValueError:
        raise ConfigError(f"{path} holds no certificates in PEM form", hint="the signer's own is the first") from None
    own, above = folder / "own.pem", folder / "above.pem"
    own.write_bytes(found[0])
    # What reads the others refuses an empty file: a certificate without others stands for itself.
    above.write_bytes(b"".join(found[1:]) or found[0])
    return own, [above]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_FILE)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", hint="give the file of a key in PEM form"
        ) from None


@contextmanager
def _as_export_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except SignatureFault as fault:
        raise ExportError(f"{directory} cannot be signed: {fault.message}", hint=fault.hint or None) from fault
    except (HubplugError, ImportError):
        raise
    except OSError as error:
        where = os.fsdecode(error.filename) if error.filename else directory
        raise ExportError(f"{directory} cannot be signed: {where}: {error.strerror or error}") from error
    except Exception as error:  # of Sigstore's client
        raise ExportError(f"{directory} could not be signed: {type(error).__name__}: {error}") from error
