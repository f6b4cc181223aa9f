"""The signature of a module directory: its file, and what commands and pages ask of the plugin that makes and reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

SIGNATURE_NAME = "model.sig"
"""The file at the root of a module that holds its signature."""


@dataclass(frozen=True)
class SigningKey:
    """With what a module is to be signed.

    Attributes:
        key: The file of a private key; None: without one, for who the user is at an identity provider.
        certificate: The file of the key's certificate, and those above it; None: the key stands for itself.
        password: Gives the password of the key, if it has one.
    """

    key: Path | None
    certificate: Path | None = None
    password: Callable[[], str] | None = None


@dataclass(frozen=True)
class SignatureState:
    """Who signed a module, as strangers may be told: no path of this machine.

    Attributes:
        state: ``verified``: by one of those that the configuration names; ``refused``: it is not what was signed, or the signature
            is not valid; ``not verified``: it is signed, and nobody here can say whether that is right; ``unsigned``.
        by: Who, if it was verified; by its own account, if it was not; None.
        problem: Why it is refused; None.
    """

    state: Literal["verified", "refused", "not verified", "unsigned"]
    by: str | None = None
    problem: str | None = None


@runtime_checkable
class SignsModules(Protocol):
    """A plugin that signs; ``hub.instances(SignsModules)`` finds those of a chain."""

    def sign_module(self, directory: Path, key: SigningKey, *, offline: bool) -> None:
        """Writes the signature of a directory into it."""

    def signature_of(self, directory: Path) -> SignatureState:
        """Who signed what is in a directory, whatever prefixes it lies under."""

    def signers_key(self) -> str:
        """Changes when ``signature_of`` may give another answer for the same files."""
