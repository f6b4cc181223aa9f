"""Who may ask, and what is written down of it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request

from hubplug.errors import ConfigError
from hubplug.settings.config import environment_value
from hubplug.shown.words import printable
from hubplug.urls import redact

CHALLENGE = 'Bearer realm="hubplug", Basic realm="hubplug", charset="UTF-8"'
_SHORTEST = 16
_SHOWN = ("tf-hub-format", "q")


def read_tokens(file: Path | None, variable: str | None) -> tuple[str, ...]:
    """The tokens of a file, one in a line, and of an environment variable; none of either if neither is named.

    Raises:
        ConfigError: One that is named holds none, or one that could be guessed.
    """
    tokens: list[str] = []
    if file is not None:
        try:
            lines = file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"The file of tokens {file} cannot be read: {getattr(error, 'strerror', error)}"
            ) from None
        found = [line.strip() for line in lines if line.strip()]
        if not found:
            raise ConfigError(f"The file of tokens {file} is empty", hint="write one token in each line")
        tokens += found
    if variable is not None:
        value = environment_value(variable)
        if value is None:
            raise ConfigError(f"The environment variable {variable} is not set, which was to hold the token")
        tokens.append(value)
    if any(len(token) < _SHORTEST for token in tokens):
        raise ConfigError(
            f"A token has less than {_SHORTEST} characters, and could be guessed",
            hint="make one with: python -c 'import secrets; print(secrets.token_urlsafe())'",
        )
    return tuple(tokens)


class Gate:
    """Lets in who has one of the tokens: as a bearer, or as the password of any user, which is what a browser can send."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._digests = [_digest(token) for token in tokens]

    def admits(self, request: Request) -> bool:
        """Whether a request may be answered; the time this takes says nothing about the tokens."""
        if not self._digests:
            return True
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        given = given.strip()
        if kind.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode("utf-8").partition(":")[2]
            except (binascii.Error, ValueError):
                given = ""
        elif kind.lower() != "bearer":
            given = ""
        offered = _digest(given)
        # All of them, so that it does not show which one was right.
        right = sum(hmac.compare_digest(offered, digest) for digest in self._digests)
        return bool(given) and right > 0


def line_of_log(request: Request, status: int, size: int, seconds: float) -> str:
    """One request in one line: no header that could hold a secret, and of the query only what is the server's own."""
    address = request.client.host if request.client else "-"
    query = [
        (name if name in _SHOWN else "***", value if name in _SHOWN else "***")
        for name, value in parse_qsl(request.url.query, keep_blank_values=True, max_num_fields=None)
    ][:8]
    path = (request.scope.get("raw_path") or b"/").decode("latin-1")
    if "://" in path:
        path = redact(path)
    target = f"{path}?{urlencode(query, safe='*')}" if query else path
    agent = request.headers.get("User-Agent", "-").replace('"', "'")
    return printable(f'{address} "{request.method[:20]} {target[:500]}" {status} {size} {seconds:.3f} "{agent[:200]}"')


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
