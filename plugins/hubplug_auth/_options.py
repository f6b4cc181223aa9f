"""What can be written in a rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict


class RuleOptions(TypedDict, total=False):
    """All that can stand in a rule; which of it goes together is said in ``_rules``."""

    prefix: str
    token: str
    token_env: str
    token_file: str
    token_command: str | Sequence[str]
    username: str
    password: str
    password_env: str
    password_file: str
    password_command: str | Sequence[str]
    credential_command: str | Sequence[str]
    netrc: bool | str
    header: str
    value: str
    value_env: str
    value_file: str
    value_command: str | Sequence[str]
    token_url: str
    client_id: str
    client_secret: str
    client_secret_env: str
    client_secret_file: str
    client_secret_command: str | Sequence[str]
    scope: str
    audience: str
    client_auth: Literal["header", "body"]
    ca_bundle: str
    google: bool
