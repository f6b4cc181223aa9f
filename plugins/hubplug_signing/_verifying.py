"""Whether a directory is what somebody signed: read what the signature says, see that it covers everything, and verify it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hubplug.errors import needs
from hubplug.files.names import MANIFEST_NAME, abridged
from hubplug.files.signatures import SIGNATURE_NAME
from hubplug.shown.words import printable
from hubplug_signing._bundle import Bundle, read_bundle
from hubplug_signing._contents import signable_files
from hubplug_signing._errors import SignatureFault
from hubplug_signing._signers import Signer, names_of

_MISMATCH = (
    "Signature mismatch"  # how model-signing begins what it says when the signature is good and the files are not
)
_CHANGED = re.compile(r"Hash mismatch for '(.+?)': Expected")
_MOST_NAMED = 5
_LONGEST_REASON = 300


def verify(directory: Path, signers: Sequence[Signer], *, of_a_cache: bool, offline: bool) -> Signer:
    """Finds out which of some signers signed a directory as it is now.

    Args:
        directory: Of a module.
        signers: Alternatives.
        of_a_cache: Whether it is an entry of a cache, with the cache's manifest in it.
        offline: Whether no server may be asked what Sigstore trusts.

    Raises:
        SignatureFault: None of them did, or that cannot be found out.
        OSError: A file cannot be read.
        MissingDependencyError: The library is not installed.
    """
    bundle = read_bundle(directory)
    with _library():
        found = [signer for signer in signers if signer.signed(bundle)]
    if not found:
        raise SignatureFault(
            "foreign",
            f"it is signed by {signer_in_words(bundle)}, expected {' or '.join(signer.said for signer in signers)}",
            "if that is right, add a rule for it to the options of the plugin signing",
        )
    _compare(bundle.files, signable_files(directory, of_a_cache=of_a_cache))
    faults = []
    for signer in found:
        try:
            _verify_with(signer, directory, bundle, offline)
        except SignatureFault as fault:
            faults.append(fault)
        else:
            return signer
    raise faults[0]


def signer_in_words(bundle: Bundle) -> str:
    """Who made a signature by its own account, which nobody has verified."""
    if bundle.kind == "key":
        return f"the key {printable(bundle.key_hint)[:16]}"
    with _library():
        names = ", ".join(sorted(map(printable, names_of(bundle.certificates[0]))))
    return f"a certificate of {names[:_LONGEST_REASON] or 'nobody'}"


def _compare(signed: Iterable[str], there: Iterable[str]) -> None:
    signed, there = set(signed), set(there)
    differences = [
        f"{what} {_listed(names)}"
        for what, names in (("it was signed without", there - signed), ("it was signed with", signed - there))
        if names
    ]
    if differences:
        raise SignatureFault(
            "altered", f"it is not what was signed: {'; '.join(differences)}", "fetch it again, or ask its publisher"
        )


def _verify_with(signer: Signer, directory: Path, bundle: Bundle, offline: bool) -> None:
    with _library(), _as_file(bundle.to_json()) as signature:
        from model_signing.hashing import Config as Hashing
        from model_signing.verifying import Config as Verifying

        # What is there and was not signed has been found by now, also below these names.
        hashing = Hashing().set_ignored_paths(paths=[SIGNATURE_NAME, MANIFEST_NAME], ignore_git_paths=False)
        try:
            config = signer.use(Verifying(), offline=offline)
        except (SignatureFault, ImportError):
            raise
        except Exception as error:
            raise SignatureFault(
                "not-checked",
                f"what {signer.said} stands for cannot be had: {_said(error)}",
                "try again, or name a file",
            ) from error
        try:
            # model-signing refuses a directory that is named by a link.
            config.set_hashing_config(hashing).verify(directory.resolve(), signature)
        except (OSError, ImportError):
            raise
        except Exception as error:  # of four libraries
            raise _fault_of(error, signer) from error


def _fault_of(error: Exception, signer: Signer) -> SignatureFault:
    said = str(error)
    if isinstance(error, ValueError) and said.startswith(_MISMATCH):
        names = _CHANGED.findall(said)
        what = f"the content of {_listed(names)} is another" if names else "its files are others"
        return SignatureFault(
            "altered", f"it is not what was signed: {what}", "fetch it again, or ask its publisher for what was signed"
        )
    return SignatureFault("invalid", f"the signature is not one of {signer.said}: {_said(error)}", "do not use it")


def _said(error: Exception) -> str:
    said = printable(str(error)) or type(error).__name__
    return said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}..."


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _MOST_NAMED} more" if len(ordered) > _MOST_NAMED else ""
    return ", ".join(map(abridged, ordered[:_MOST_NAMED])) + more


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """The path of a file with this content, in memory: a machine that only reads modules may have no place to write."""
    if not hasattr(os, "memfd_create"):  # not Linux
        with tempfile.TemporaryDirectory(prefix="hubplug-") as folder:
            Path(folder, SIGNATURE_NAME).write_bytes(data)
            yield os.path.join(folder, SIGNATURE_NAME)
        return
    descriptor = os.memfd_create(SIGNATURE_NAME)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


@contextmanager
def _library() -> Iterator[None]:
    """What is missing of it is said: model-signing does not declare all that it imports."""
    with needs("model_signing", "signing"), needs("OpenSSL", "signing"), needs("cryptography", "signing"):
        yield
