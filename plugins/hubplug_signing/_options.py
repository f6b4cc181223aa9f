"""What can be written in a rule."""

from __future__ import annotations

from typing import TypedDict


class SignerOptions(TypedDict, total=False):
    """All that can stand in a rule; which of it goes together is said in ``_signers``."""

    prefix: str
    key: str
    certificates: str
    name: str
    identity: str
    issuer: str
    trust_config: str
