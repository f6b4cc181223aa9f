"""Who may sign the modules under a prefix: what a rule of the configuration means, and how a signature is verified against it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubplug.errors import ConfigError
from hubplug.shown.words import nearest, printable
from hubplug.urls import find_prefix_error, redact
from hubplug_signing._bundle import Bundle, Kind
from hubplug_signing._errors import SignatureFault

if TYPE_CHECKING:
    from model_signing.verifying import Config

_LARGEST_FILE = 1 << 20
ANY = "*"
# By the key that tells the kind of a rule: its other keys, and which of them it needs.
_KINDS: Mapping[Kind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "key": ((), ()),
    "certificates": (("name",), ("name",)),
    "identity": (("issuer", "trust_config"), ("issuer",)),
}


@dataclass(frozen=True)
class Signer:
    """A rule.

    Attributes:
        prefix: Of URLs.
        kind: What kind of signature it accepts.
        path: The file of the public key, of the root certificates, or of another instance of Sigstore; empty: the public one.
        name: What the certificate has to say; the identity.
        issuer: Of the identity.
    """

    prefix: str
    kind: Kind
    path: str
    name: str = ""
    issuer: str = ""

    @property
    def said(self) -> str:
        """Whom it names, for people."""
        if self.kind == "key":
            return f"the key {printable(self.path)}"
        if self.kind == "identity":
            return f"{printable(self.name)} of {printable(self.issuer)}"
        who = "whoever has a certificate" if self.name == ANY else printable(self.name)
        return f"{who} of {printable(self.path)}"

    def find_problem(self) -> str | None:
        """Why it can verify nothing at the moment, or None; no server is asked."""
        try:
            self._check_file()
        except SignatureFault as fault:
            return fault.message
        except ImportError:
            return "model-signing is not installed: pip install 'hubplug[signing]'"
        return None

    def fingerprint(self) -> str:
        """Changes with the rule, and with the file that it names."""
        try:
            content = self._read() if self.path else b""
        except SignatureFault as fault:
            content = fault.message.encode()
        digest = hashlib.sha256(content).hexdigest()
        return "\0".join((self.kind, self.path, self.name, self.issuer, digest))

    def signed(self, bundle: Bundle) -> bool:
        """Whether a signature says that it is this signer's, which remains to be verified.

        Raises:
            SignatureFault: The file that the rule names cannot be used.
        """
        if self.kind != bundle.kind:
            return False
        if self.kind == "key":
            return bundle.key_hint == self._key_hint()
        if self.kind == "certificates":
            return self.name == ANY or self.name in names_of(bundle.certificates[0])
        return True

    def use(self, config: Config, *, offline: bool) -> Config:
        """Tells model-signing to verify against this signer.

        Raises:
            SignatureFault: The file that the rule names cannot be used, or a server would have to be asked.
        """
        self._check_file()
        if self.kind == "key":
            return config.use_elliptic_key_verifier(public_key=self.path)
        if self.kind == "certificates":
            return config.use_certificate_verifier(certificate_chain=[self.path])
        if not self.path and offline:
            raise SignatureFault(
                "not-checked",
                "what Sigstore's public instance trusts would have to be fetched, and hubplug is offline",
                "name a file with trust_config in the rule",
            )
        return config.use_sigstore_verifier(
            identity=self.name, oidc_issuer=self.issuer, trust_config=Path(self.path) if self.path else None
        )

    def _key_hint(self) -> str:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

        data = self._read()
        try:
            text = load_pem_public_key(data).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        except Exception:
            what = "a private key: give the public one" if b"PRIVATE KEY" in data else "no public key in PEM form"
            raise self._fault(f"holds {what}") from None
        return hashlib.sha256(text).hexdigest()

    def _check_file(self) -> None:
        if self.kind == "key":
            self._key_hint()
        elif self.kind == "certificates":
            from cryptography.x509 import load_pem_x509_certificates

            data = self._read()
            try:
                load_pem_x509_certificates(data)
            except Exception:
                raise self._fault("holds no certificates in PEM form") from None
        elif self.path:
            self._read()

    def _read(self) -> bytes:
        try:
            with open(self.path, "rb") as file:
                data = file.read(_LARGEST_FILE + 1)
        except OSError as error:
            raise self._fault(f"cannot be read: {error.strerror}") from None
        if len(data) > _LARGEST_FILE:
            raise self._fault(f"has more than {_LARGEST_FILE:,} bytes")
        return data

    def _fault(self, problem: str) -> SignatureFault:
        return SignatureFault(
            "not-checked",
            f"{printable(self.path)}, which the rule for {redact(self.prefix)} names, {problem}",
            "mend the rule in the options of the plugin signing",
        )


def read_signer(rule: Mapping[str, Any], key_path: str) -> Signer:
    """Reads a rule.

    Raises:
        ConfigError: It names nobody, or several, or something else is not valid.
    """
    kinds = [kind for kind in _KINDS if kind in rule]
    if len(kinds) != 1:
        raise ConfigError(
            f"{key_path}: expected one kind of signer, got {' and '.join(kinds) or 'none'}",
            hint="one of key, certificates and name, identity and issuer",
        )
    kind = kinds[0]
    others, needed = _KINDS[kind]
    keys = ("prefix", kind, *others)
    if foreign := [key for key in rule if key not in keys]:
        raise ConfigError(
            f"{key_path}.{foreign[0]}: this is for another kind of signer than {kind}", hint=nearest(foreign[0], keys)
        )
    for key in ("prefix", kind, *needed):
        if not rule.get(key) or any(character < " " for character in rule[key]):
            what = ': who of them; "*" stands for whoever has a certificate' if key == "name" else ""
            raise ConfigError(f"{key_path}.{key}: expected a non-empty string{what}")
    prefix = rule["prefix"]
    if problem := find_prefix_error(prefix):
        raise ConfigError(
            f"{key_path}.prefix: expected the beginning of a URL, got {redact(prefix)!r}: {problem}",
            hint="write it with its scheme: https://hub.example.com/, file:///srv/models/",
        )
    if kind == "key":
        return Signer(prefix, kind, _expanded(rule["key"]))
    if kind == "certificates":
        return Signer(prefix, kind, _expanded(rule["certificates"]), rule["name"])
    return Signer(prefix, kind, _expanded(rule.get("trust_config", "")), rule["identity"], rule["issuer"])


def names_of(certificate: bytes) -> frozenset[str]:
    """The names that a certificate has, whoever made it: its common names, e-mail addresses, DNS names and URIs."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        read = x509.load_der_x509_certificate(certificate)
        found = [name.value for name in read.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        try:
            others = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return frozenset(map(str, found))
        for kind in (x509.RFC822Name, x509.DNSName, x509.UniformResourceIdentifier):
            found += others.get_values_for_type(kind)
    except Exception as error:  # of which the library has many, about a file of strangers
        said = f"the certificate of the signature cannot be read: {type(error).__name__}"
        raise SignatureFault("damaged", said) from error
    return frozenset(map(str, found))


def _expanded(path: str) -> str:
    try:
        return str(Path(path).expanduser()) if path else ""
    except RuntimeError:  # no user here has that home directory
        return path
