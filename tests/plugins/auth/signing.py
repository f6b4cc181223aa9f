"""Asks the plugin through its hook and signs a real prepared request with its answer."""

from __future__ import annotations

from typing import Any

import requests

from hubplug.types import AuthRequest, Declined, Handle
from hubplug_auth import Credentials

URL = "https://hub.example.com/team/m/1"


def signer(rules: list[dict[str, Any]] | Credentials, url: str = URL, redirected_from: str | None = None) -> Any:
    """The plugin's answer for a URL; None when it declines."""
    plugin = rules if isinstance(rules, Credentials) else Credentials(rules=rules)
    answer = plugin.hubplug_auth(AuthRequest(url, Handle.parse(url), redirected_from))
    return None if isinstance(answer, Declined) else answer


def signed(
    rules: list[dict[str, Any]] | Credentials, url: str = URL, redirected_from: str | None = None
) -> dict[str, str]:
    """The headers that the answer adds to a request."""
    request = requests.Request("GET", url).prepare()
    answer = signer(rules, url, redirected_from)
    if answer is not None:
        request.prepare_auth(answer)
    return dict(request.headers)
