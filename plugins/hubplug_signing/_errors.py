"""What is wrong with a signature."""

from __future__ import annotations


class SignatureFault(Exception):
    """A module does not have the signature that it should have.

    Attributes:
        rule: What is not kept: ``unsigned``, ``altered``, ...
        message: Why.
        hint: What to do about it, or an empty string.
    """

    def __init__(self, rule: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.hint = hint
