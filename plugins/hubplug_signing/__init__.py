"""The plugin ``signing``: modules signed with OpenSSF model-signing, and the profile ``signed``.

This package decides who may sign the modules under a prefix, and what a signature has to cover: every file. A module whose
signature cannot be checked, for whatever reason, does not keep the profile.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypedDict

import hubplug

# Names of hubplug that only a hook needs are imported when it is asked: `hubplug --help` loads this file.
if TYPE_CHECKING:
    from hubplug.files.signatures import SignatureState, SigningKey
    from hubplug.spec import ModuleSpec
    from hubplug.types import Finding
    from hubplug_signing._signers import Signer

PROFILE = "signed"


class SignerOptions(TypedDict, total=False):
    """All that can stand in a rule; which of it goes together is said in ``_signers``."""

    prefix: str
    key: str
    certificates: str
    name: str
    identity: str
    issuer: str
    trust_config: str


class Signing:
    """The plugin ``signing``: signs modules, and says by whom they are signed.

    ::

        signing:
          options:
            signers:
              - {prefix: "https://hub.example.com/", key: /etc/hubplug/models.pub}
              - {prefix: "https://hub.example.com/vision/", certificates: /etc/hubplug/ca.pem, name: vision@example.com}
    """

    profiles: ClassVar[Sequence[str]] = (PROFILE,)
    # Who names a key vouches for every module that is signed with it.
    trusted_options: ClassVar[Sequence[str]] = ("signers",)

    def __init__(self, *, signers: Sequence[SignerOptions] = ()) -> None:
        """Checks the rules; reads no file yet.

        Args:
            signers: Each has a ``prefix`` and says who signs what lies under it. Of several prefixes that cover a URL the longest counts; rules
                with the same prefix are alternatives. Not taken from a ``hubplug.yaml`` that was merely found in the working directory.

                - ``key``: the file of a public key (PEM, elliptic curve).
                - ``certificates`` (a file with the root certificates, PEM) and ``name``: a name that the signer's certificate
                  has, as its common name or as an alternative one (e-mail address, DNS name, URI); ``"*"``: whoever has a certificate from there.
                - ``identity`` and ``issuer``: keyless signatures of Sigstore, by who the signer is for an identity provider;
                  ``trust_config``: the file of another instance than the public one.

        Raises:
            ConfigError: A rule is not valid.
        """
        self._signers: list[Signer] = []
        if signers:
            from hubplug_signing._signers import read_signer

            self._signers = [read_signer(rule, f"signers[{index}]") for index, rule in enumerate(signers)]

    @hubplug.hookimpl
    def hubplug_validate(self, spec: ModuleSpec, profile: str) -> list[Finding] | None:
        """Says whether a module is signed by whom it should be; None for another profile."""
        if profile != PROFILE:
            return None
        from hubplug_signing._profile import check_signed

        return check_signed(spec, self._signers)

    def sign_module(self, directory: Path, key: SigningKey, *, offline: bool) -> None:
        """Writes ``model.sig`` into a module directory; see ``hubplug.files.signatures``."""
        from hubplug_signing._making import sign

        sign(directory, key, offline=offline)

    def signature_of(self, directory: Path) -> SignatureState:
        """Who signed what is in a directory: any of the signers of the configuration; no server is asked."""
        from hubplug_signing._profile import signature_of

        return signature_of(directory, self._signers)

    def signers_key(self) -> str:
        """Changes with the rules, and with the files that they name."""
        return "|".join(signer.fingerprint() for signer in self._signers)

    def describe_state(self) -> dict[str, object]:
        """What a support ticket should say of the rules."""
        from hubplug.urls import redact

        said = {f"{redact(signer.prefix)} ({signer.said})": signer.find_problem() or "set" for signer in self._signers}
        return {**said, "problems": self.find_problems()}

    def find_problems(self) -> list[str]:
        """What the rules lack at the moment: ``config check`` says it."""
        return [problem for signer in self._signers if (problem := signer.find_problem())]
