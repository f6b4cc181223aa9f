"""What must not be shown although a server, or a library's log, may repeat it."""

from __future__ import annotations

import base64
import logging
from typing import Any
from urllib.parse import unquote_plus, urlsplit

# Headers of every request; all others were set by the user or by what signs the request.
_OPEN_HEADERS = {"user-agent", "accept", "accept-encoding", "connection", "range", "if-range", "content-length", "host"}
_LEAST_LENGTH = 4


def secrets_of(prepared: Any) -> frozenset[str]:
    """The values of a request's headers and query, and the parts of its credentials."""
    found: set[str] = set()
    for name, value in prepared.headers.items():
        if name.lower() not in _OPEN_HEADERS:
            text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
            found.add(text)
            found.update(part for piece in text.split() for part in piece.replace(";", "=").split("="))
            if text.startswith("Basic "):
                found.update(_decoded(text[6:]).split(":", 1))
    for part in urlsplit(str(prepared.url)).query.split("&"):
        name, equals, value = part.partition("=")
        found.add(value if equals else name)
        found.add(unquote_plus(value))
    found -= {"compressed", "uncompressed", "Bearer", "Basic", "Digest"}
    return frozenset(one for one in found if len(one) >= _LEAST_LENGTH)


def scrubbed(text: str, secrets: frozenset[str]) -> str:
    """``text`` with every secret replaced by ``***``."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode("utf-8", "replace")
    except ValueError:
        return ""


def redact_record(record: logging.LogRecord) -> bool:
    """A logging filter for urllib3: cuts queries off paths and URLs, and shows no headers that could not be parsed."""
    if isinstance(record.args, tuple):
        record.args = tuple(_showable(one) for one in record.args)
    record.exc_info = record.exc_text = None
    return True


def _showable(argument: object) -> object:
    if isinstance(argument, str):
        return argument.partition("?")[0] + "?***" if "?" in argument else argument
    return type(argument).__name__ if isinstance(argument, BaseException) else argument
