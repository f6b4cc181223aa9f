"""Keys and certificates, made for a test."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

PASSWORD = "canary-password-0123"


class Key:
    """A key pair as files: ``NAME.key`` and ``NAME.pub``."""

    def __init__(self, folder: Path, name: str, *, password: str = "", curve: ec.EllipticCurve | None = None) -> None:
        self.made = ec.generate_private_key(curve or ec.SECP256R1())
        self.private, self.public = folder / f"{name}.key", folder / f"{name}.pub"
        encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        self.private.write_bytes(self.made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        self.public.write_bytes(self.made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


class Authority:
    """A certificate authority with one file of roots, ``ca.pem``."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._certificate(self.name, self.key.public_key(), [], is_authority=True)
        self.roots = folder / f"{name.replace(' ', '-')}.pem"
        self.roots.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def issue(self, key: Key, common_name: str, email: str = "", **usage: bool) -> Path:
        """The file of a certificate of a key."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        others: list[x509.GeneralName] = [x509.RFC822Name(email)] if email else []
        made = self._certificate(name, key.made.public_key(), others, is_authority=False, **usage)
        path = key.private.with_suffix(".crt")
        path.write_bytes(made.public_bytes(Encoding.PEM))
        return path

    def _certificate(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        others: list[x509.GeneralName],
        *,
        is_authority: bool,
        signs: bool = True,
    ) -> x509.Certificate:
        now = datetime.now(timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1 if not is_authority else 2))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=signs and not is_authority,
                    key_cert_sign=is_authority,
                    crl_sign=is_authority,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=not signs,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        )
        if others:
            builder = builder.add_extension(x509.SubjectAlternativeName(others), critical=False)
        return builder.sign(self.key, SHA256())
