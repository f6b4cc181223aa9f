"""What a ``model.sig`` says, before anything of it is believed.

It is a Sigstore bundle (https://docs.sigstore.dev/about/bundle/) around a DSSE envelope (https://github.com/secure-systems-lab/dsse) around an
in-toto statement (https://github.com/in-toto/attestation/tree/main/spec/v1) of the predicate type of model-signing, version 1.0. It is
read strictly, and what is verified afterwards is what was read: ``to_json`` writes just that, so that no other reader can see another
payload in the same bytes.
"""

from __future__ import annotations

import base64
import binascii
import errno
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hubplug.files.names import abridged
from hubplug.files.signatures import SIGNATURE_NAME
from hubplug.files.strict_json import parse_json
from hubplug_signing._errors import SignatureFault

_LARGEST = 8 << 20
_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE_TYPE = "https://model_signing/signature/v1.0"
_MOST_CERTIFICATES = 16
Kind = Literal["key", "certificates", "identity"]
_KINDS: Mapping[str, Kind] = {
    "publicKey": "key",
    "x509CertificateChain": "certificates",
    "certificate": "identity",
}


@dataclass(frozen=True)
class Bundle:
    """A signature and what it is of.

    Attributes:
        kind: By what it was made.
        key_hint: Of a key: the hexadecimal sha256 of its PEM text.
        certificates: DER, the signer's first.
        files: The names that were signed.
        content: All of it that counts.
    """

    kind: Kind
    key_hint: str
    certificates: tuple[bytes, ...]
    files: frozenset[str]
    content: Mapping[str, Any]

    def to_json(self) -> bytes:
        """The same, and nothing else."""
        return json.dumps(self.content).encode()


def read_bundle(directory: str | os.PathLike[str]) -> Bundle:
    """Reads the signature of a module directory.

    Raises:
        SignatureFault: It has none, or it is damaged or of another kind.
        OSError: It cannot be read.
    """
    data = _read(os.path.join(directory, SIGNATURE_NAME))
    try:
        return _parse(data)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, binascii.Error) as error:
        said = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise SignatureFault(
            "damaged", f"{SIGNATURE_NAME} is not a signature that hubplug reads: {said}", "sign the module again"
        ) from error


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise SignatureFault(
            "unsigned",
            f"it is not signed: it has no {SIGNATURE_NAME}",
            "its publisher signs it with `hubplug publish --sign`",
        ) from None
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        raise SignatureFault("damaged", f"{SIGNATURE_NAME} is not a file") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SignatureFault("damaged", f"{SIGNATURE_NAME} is not a file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise SignatureFault("damaged", f"{SIGNATURE_NAME} has more than {_LARGEST:,} bytes")
    return data


def _parse(data: bytes) -> Bundle:
    said = _mapping(parse_json(data), "the file")
    if said["mediaType"] != _MEDIA_TYPE:
        raise ValueError(f"its media type is {abridged(str(said['mediaType']))}, expected {_MEDIA_TYPE}")
    material = _mapping(said["verificationMaterial"], "verificationMaterial")
    kinds = [name for name in _KINDS if name in material]
    if len(kinds) != 1:
        raise ValueError(
            f"it is made by {' and '.join(kinds) or 'nothing that is known'}, expected one of {', '.join(_KINDS)}"
        )
    held = _mapping(material[kinds[0]], kinds[0])
    hint = ""
    certificates: tuple[bytes, ...] = ()
    if kinds[0] == "publicKey":
        hint = _text(held["hint"], "hint")
        content: Any = {"hint": hint}
    elif kinds[0] == "x509CertificateChain":
        listed = _list(held["certificates"], "certificates")
        if not 0 < len(listed) <= _MOST_CERTIFICATES:
            raise ValueError(f"it has {len(listed)} certificates, expected 1 to {_MOST_CERTIFICATES}")
        certificates = tuple(_bytes(_mapping(one, "certificate")["rawBytes"], "rawBytes") for one in listed)
        content = {"certificates": [{"rawBytes": _as_text(one)} for one in certificates]}
    else:
        certificates = (_bytes(held["rawBytes"], "rawBytes"),)
        content = {"rawBytes": _as_text(certificates[0])}
    of_sigstore = {
        name: material[name]
        for name in ("tlogEntries", "timestampVerificationData")
        if kinds[0] == "certificate" and name in material
    }
    envelope = _mapping(said["dsseEnvelope"], "dsseEnvelope")
    if envelope["payloadType"] != _PAYLOAD_TYPE:
        raise ValueError(f"its payload is {abridged(str(envelope['payloadType']))}, expected {_PAYLOAD_TYPE}")
    signatures = _list(envelope["signatures"], "signatures")
    if len(signatures) != 1:
        raise ValueError(f"it has {len(signatures)} signatures, expected one")
    payload = _bytes(envelope["payload"], "payload")
    signature = _bytes(_mapping(signatures[0], "signature")["sig"], "sig")
    return Bundle(
        _KINDS[kinds[0]],
        hint,
        certificates,
        _signed_files(payload),
        {
            "mediaType": _MEDIA_TYPE,
            "verificationMaterial": {kinds[0]: content, "tlogEntries": [], **of_sigstore},
            "dsseEnvelope": {
                "payload": _as_text(payload),
                "payloadType": _PAYLOAD_TYPE,
                "signatures": [{"sig": _as_text(signature), "keyid": ""}],
            },
        },
    )


def _signed_files(payload: bytes) -> frozenset[str]:
    statement = _mapping(parse_json(payload), "the statement")
    if statement["_type"] != _STATEMENT_TYPE or statement["predicateType"] != _PREDICATE_TYPE:
        raise ValueError(f"what is signed is no statement of the type {_PREDICATE_TYPE}")
    predicate = _mapping(statement["predicate"], "predicate")
    how = _mapping(predicate["serialization"], "serialization")
    if how["method"] != "files" or how["hash_type"] != "sha256":
        raise ValueError("it is not over the sha256 of whole files")
    resources = _list(predicate["resources"], "resources")
    names = [_text(_mapping(resource, "resource")["name"], "name") for resource in resources]
    if len(set(names)) != len(names):
        raise ValueError("it names a file twice")
    return frozenset(names)


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not an object")
    return value


def _list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{what} is not a list")
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{what} is not a text")
    return value


def _bytes(value: object, what: str) -> bytes:
    return base64.b64decode(_text(value, what), validate=True)


def _as_text(data: bytes) -> str:
    return base64.b64encode(data).decode()
