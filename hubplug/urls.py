"""What may be shown of a URL, and which URLs lie under a prefix."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, unquote, urlsplit

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_URL_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://(?:(?![A-Za-z][A-Za-z0-9+.-]{0,30}://)\S)*")
_QUERY_VALUE = re.compile(r"([?&][^\s=&?'\"]*=)[^\s&'\")]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
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
        return redact_all(text) if "://" in text else text
    rest = text[len(scheme) + 3 :].partition("#")[0]
    address, question, query = rest.partition("?")
    if "://" in address:  # a URL within a URL, as proxies and lists have them
        shown = redact_all(f"{scheme}://{address}")
    else:
        authority, slash, path = address.partition("/")
        shown = f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
    if question and query:
        parts = [part.partition("=") for part in query.split("&")]
        names = [f"{name}=***" if equals else "***" for name, equals, _ in parts]
        shown += "?" + "&".join(names)
    return shown


def redact_all(text: str) -> str:
    """A text with every URL in it redacted, and every value of a query that stands alone ("url: /m?token=...")."""
    return _QUERY_VALUE.sub(r"\1***", _URL_IN_TEXT.sub(lambda url: redact(url[0]), text))


def find_url_error(url: str) -> str | None:
    """What makes programs disagree on which host a URL names, or None.

    Python's ``urllib.parse`` and ``urllib3`` read ``https://a\\@b/`` as two different hosts, and drop tabs and newlines
    differently: a credential for one host would go to another.
    """
    if _CONTROL.search(url):
        return "it has a control character"
    if "\\" in re.split("[/?#]", url[len(scheme_of(url)) + 3 :], maxsplit=1)[0]:
        return "its host has a backslash"
    return None


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port in their normal form: two URLs of one origin may share a credential."""
    parts = urlsplit(url)
    return parts.scheme.lower(), (parts.hostname or "").rstrip("."), _port_of(parts)


def under_prefix(url: str, prefix: str) -> bool:
    """Whether ``url`` lies under ``prefix``, compared by component: ``https://h/team`` does not cover ``https://h/teams``.

    Compared as a server understands them: without percent-encoding, and with ``.`` and ``..`` resolved.
    """
    if not scheme_of(prefix) or not scheme_of(url) or find_url_error(url) or find_url_error(prefix):
        return False
    try:
        if origin_of(url) != origin_of(prefix):
            return False
        wanted, given = _components(prefix), _components(url)
    except ValueError:  # no URL at all, as https://[
        return False
    return given[: len(wanted)] == wanted


def _components(url: str) -> list[str]:
    kept: list[str] = []
    for part in unquote(urlsplit(url).path).split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    return kept


def _port_of(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        return -1
    return port if port is not None else _DEFAULT_PORTS.get(parts.scheme.lower())
