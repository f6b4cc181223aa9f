"""What must not be shown although a server, or a library's log, may repeat it."""

from __future__ import annotations

import base64
import logging
import re
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit

from hubplug.shown.redaction import is_secret_name

# Headers of every request; all others were set by the user or by what signs the request.
_OPEN_HEADERS = {"user-agent", "accept", "accept-encoding", "connection", "range", "if-range", "content-length", "host"}
_LEAST_LENGTH = 4
_WORDS = {"compressed", "uncompressed", "Bearer", "Basic", "Digest"}


def secrets_of(prepared: Any, proxy_url: str | None) -> frozenset[str]:
    """The values of a request's headers and query, and the parts of its credentials and of its proxy's."""
    found = set(credentials_of(prepared, proxy_url))
    for name, value in prepared.headers.items():
        if name.lower() not in _OPEN_HEADERS:
            found.update(_pieces(_text(value)))
            if _text(value).startswith("Basic "):
                found.update(_decoded(_text(value)[6:]).split(":", 1))
    for part in urlsplit(str(prepared.url)).query.split("&"):
        name, equals, value = part.partition("=")
        found.add(value if equals else name)
        found.add(unquote_plus(value))
    return _long_enough(found)


def credentials_of(prepared: Any, proxy_url: str | None) -> frozenset[str]:
    """What is a secret wherever it stands: a server, or a proxy, may repeat it in a redirect or in a header."""
    found: set[str] = set()
    for name, value in prepared.headers.items():
        text = _text(value)
        if name.lower() not in _OPEN_HEADERS and (name.lower() == "cookie" or is_secret_name(name)):
            found.update(_pieces(text))
            if text.startswith("Basic "):
                found.add(_decoded(text[6:]).partition(":")[2])
    if proxy_url:
        userinfo = re.sub("^[a-z0-9+.-]*://", "", proxy_url, flags=re.IGNORECASE).rpartition("@")[0]
        password = userinfo.partition(":")[2]
        pair = f"{unquote(userinfo.partition(':')[0])}:{unquote(password)}"
        found |= {userinfo, password, unquote(password), base64.b64encode(pair.encode()).decode()}
    return _long_enough(found)


def _pieces(text: str) -> set[str]:
    return {text, *(part for piece in text.split() for part in piece.replace(";", "=").split("="))}


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _long_enough(found: set[str]) -> frozenset[str]:
    return frozenset(one for one in found - _WORDS if len(one) >= _LEAST_LENGTH)


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
