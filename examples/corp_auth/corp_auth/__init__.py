"""A company's module server: its handle scheme ``corp://team/model/3`` and its token service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hubplug
from hubplug.types import AuthRequest, Handle


class CorpAuth:
    """Signs requests to the module server with a token of the token service.

    Options: ``server``, where the modules are; ``token_service``, the URL that gives a token. Both decide who gets the token.
    A plugin with the hook ``hubplug_auth`` need not say so: only a configuration file that the user named may set its options.
    """

    def __init__(self, *, server: str, token_service: str) -> None:
        self._server, self._token_service = server.rstrip("/"), token_service

    @hubplug.hookimpl
    def hubplug_resolve(self, handle: Handle) -> Handle | None:
        if handle.scheme != "corp":
            return None
        return handle.instead(f"{self._server}/{handle.text.removeprefix('corp://')}")

    @hubplug.hookimpl
    def hubplug_auth(self, request: AuthRequest) -> Callable[[Any], Any] | None:
        if not hubplug.under_prefix(request.url, self._server):
            return None
        from corp_auth._token import TokenAuth

        return TokenAuth(self._token_service)
