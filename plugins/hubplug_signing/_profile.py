"""The profile ``signed``: findings about the signature of a module, and who signed what a server has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hubplug.errors import MissingDependencyError
from hubplug.files.signatures import SignatureState
from hubplug.hub import Hub
from hubplug.shown.words import printable
from hubplug.spec import ModuleSpec
from hubplug.types import Finding
from hubplug.urls import covering, redact, under_prefix
from hubplug_signing._bundle import read_bundle
from hubplug_signing._errors import SignatureFault
from hubplug_signing._signers import ANY, Signer
from hubplug_signing._verifying import signer_in_words, verify

T = TypeVar("T")


def check_signed(spec: ModuleSpec, signers: Sequence[Signer]) -> list[Finding]:
    """Verifies the signature of a module against the rules for the places that it was asked for and found at.

    Where these lie under prefixes that have rules of their own, each of these prefixes has to be content.
    """
    module = spec.module
    if module is None:
        return [
            _finding(SignatureFault("not-checked", "the module was made in this process, so there is nothing signed"))
        ]
    offline = isinstance(spec.hub, Hub) and spec.hub.config.offline
    prefixes = list(dict.fromkeys(signer.prefix for signer in signers))
    covered = [prefix for place in spec.places if (prefix := covering(place, prefixes)) is not None]
    if not covered:
        fault = SignatureFault(
            "no-signer",
            f"nothing says who has to sign {module.handle.original}",
            "add a rule for its prefix to the options of the plugin signing in hubplug.yaml",
        )
        return [_finding(fault)]
    findings = []
    for prefix in dict.fromkeys(covered):
        # However they are written: each covers the other.
        alternatives = [
            signer for signer in signers if under_prefix(signer.prefix, prefix) and under_prefix(prefix, signer.prefix)
        ]
        found = _attempt(
            lambda alternatives=alternatives: verify(  # type: ignore[misc]
                module.path, alternatives, of_a_cache=module.provenance is not None, offline=offline
            )
        )
        if isinstance(found, SignatureFault):
            findings.append(_finding(found))
        else:
            findings.append(Finding("signed/by", "note", f"signed by {found.said}, as {redact(prefix)} demands"))
    return findings


def signature_of(directory: Path, signers: Sequence[Signer]) -> SignatureState:
    """Who signed what is in a directory: one of all signers that there are; no server is asked. Never an error."""
    claimed = _attempt(lambda: signer_in_words(read_bundle(directory)))
    if isinstance(claimed, SignatureFault):
        if claimed.rule == "not-checked":
            return SignatureState("not verified", "somebody")
        return SignatureState("unsigned") if claimed.rule == "unsigned" else _refused(claimed)
    if not signers:
        return SignatureState("not verified", claimed)
    found = _attempt(lambda: verify(directory, signers, of_a_cache=False, offline=True))
    if isinstance(found, Signer):
        return SignatureState("verified", claimed if found.name in ("", ANY) else printable(found.name))
    return SignatureState("not verified", claimed) if found.rule in ("foreign", "not-checked") else _refused(found)


def _refused(fault: SignatureFault) -> SignatureState:
    # What else faults say names files of this machine.
    said = fault.message if fault.rule in ("altered", "not-covered") else "the signature is not valid"
    return SignatureState("refused", problem=said)


def _attempt(run: Callable[[], T]) -> T | SignatureFault:
    """What came of it; a check that could not be made is a fault as well."""
    try:
        return run()
    except SignatureFault as fault:
        return fault
    except MissingDependencyError as error:
        return SignatureFault("not-checked", error.message, error.hint or "")
    except OSError as error:
        said = error.strerror or type(error).__name__
        return SignatureFault("not-checked", f"a file cannot be read: {printable(str(error.filename or ''))}: {said}")
    except RecursionError:
        return SignatureFault("damaged", "the signature is nested too deeply")


def _finding(fault: SignatureFault) -> Finding:
    hint = f" ({fault.hint})" if fault.hint else ""
    return Finding(f"signed/{fault.rule}", "error", f"{fault.message}{hint}")
