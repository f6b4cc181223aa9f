"""What may be shown of a URL, and which URLs lie under a prefix."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def scheme_of(text: str) -> str:
    """The part before ``://`` as written; empty for a path."""
    match = _SCHEME.match(text)
    return match[1] if match else ""


def redact(text: str) -> str:
    """A URL without its userinfo, the values of its query and its fragment; a path as it is.

    The names of query parameters stay, since they help to find a mistake; a bare query is dropped whole.
    """
    scheme = scheme_of(text)
    if not scheme:
        return text
    rest = text[len(scheme) + 3 :].partition("#")[0]
    address, question, query = rest.partition("?")
    authority, slash, path = address.partition("/")
    authority = authority.rpartition("@")[2]
    shown = f"{scheme}://{authority}{slash}{path}"
    if question and query:
        parts = [part.partition("=") for part in query.split("&")]
        names = [f"{name}=***" if equals else "***" for name, equals, _ in parts]
        shown += "?" + "&".join(names)
    return shown


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port in their normal form: two URLs of one origin may share a credential."""
    parts = urlsplit(url)
    return parts.scheme.lower(), (parts.hostname or "").rstrip("."), _port_of(parts)


def under_prefix(url: str, prefix: str) -> bool:
    """Whether ``url`` lies under ``prefix``, compared by component: ``https://h/team`` does not cover ``https://h/teams``."""
    if not scheme_of(prefix) or not scheme_of(url):
        return False
    if origin_of(url) != origin_of(prefix):
        return False
    wanted = [part for part in urlsplit(prefix).path.split("/") if part]
    given = [part for part in urlsplit(url).path.split("/") if part]
    return ".." not in given and given[: len(wanted)] == wanted


def _port_of(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        return -1
    return port if port is not None else _DEFAULT_PORTS.get(parts.scheme.lower())
