"""One normal form of URLs, which of them lie under a prefix, and what may be shown of one.

Two spellings of one place must not be two places: a credential would be missing, or a check be evaded. So handles, prefixes
and the targets of redirects are compared in one form, http(s) URLs are sent in it, and what has none is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

from hubplug.urls.hosts import ascii_name, normal_host
from hubplug.urls.redaction import redact, redact_all
from hubplug.urls.syntax import DEFAULT_PORTS, UNRESERVED, is_place, scheme_of, split_authority

__all__ = [
    "covering", "find_prefix_error", "find_url_error", "normal_form", "normal_host", "origin_of", "redact", "redact_all", "scheme_of", "under_prefix",
]  # fmt: skip

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PORT = re.compile(r"0*([0-9]{1,5})")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_PATH_CHARACTERS = "%/:@!$&'()*+,;=~"  # besides letters, digits and "-._"


class _Parts(NamedTuple):
    """A URL in pieces, each in its normal form; without its fragment."""

    scheme: str
    userinfo: str | None
    host: str
    port: int | None
    path: str
    query: str | None


def normal_form(url: str) -> str:
    """The one spelling of a URL among all that programs read as the same.

    Of an http(s) URL: scheme and host in lower case, the host in its ASCII form (IDNA by UTS 46, numbers as an IPv4 address)
    without a dot at its end, no default port, no ``.`` and ``..``, no escapes of unreserved characters, no fragment. Of
    others only the scheme is changed, since what follows is their plugins' affair.

    Raises:
        ValueError: It has none; the message is a clause that quotes nothing of it.
    """
    scheme = scheme_of(url).lower()
    if scheme not in DEFAULT_PORTS:
        return scheme + url[len(scheme) :]
    parts = _split(url)
    address = parts.host if parts.userinfo is None else f"{parts.userinfo}@{parts.host}"
    if parts.port != DEFAULT_PORTS[scheme]:
        address += f":{parts.port}"
    normal = f"{scheme}://{address}{parts.path}" + ("" if parts.query is None else f"?{parts.query}")
    try:
        urlsplit(normal)  # nothing is left that it, or urllib3, would stumble over
    except ValueError:
        raise ValueError("its user name or password has a character that must be percent-encoded") from None
    return normal


def find_url_error(url: str) -> str | None:
    """What makes programs disagree on which host or path a URL names, or None.

    Python's ``urllib.parse`` and ``urllib3`` read ``https://a\\@b/`` as two different hosts, and drop tabs and newlines
    differently: a credential for one host would go to another.
    """
    if _CONTROL.search(url):
        return "it has a control character"
    scheme = scheme_of(url)
    authority, tail = split_authority(url[len(scheme) + 3 :])
    if "\\" in authority:
        return "its host has a backslash"
    if scheme.lower() not in DEFAULT_PORTS:
        return None
    if "@" in tail and "@" not in authority and (tail[0] == "#" or authority[-1:] == ":" or not is_place(authority)):
        return "its password has a character (/, ? or #) that must be written as %2F, %3F or %23"
    try:
        normal_form(url)
    except ValueError as error:
        return str(error)
    return None


def find_prefix_error(prefix: str) -> str | None:
    """Why nothing, or not what it seems to say, would lie under a prefix of URLs; or None.

    ``under_prefix`` compares scheme, host, port and path: what else a prefix holds would be of no effect.
    """
    if not scheme_of(prefix):
        return "it has no scheme"
    if problem := find_url_error(prefix):
        return problem
    parts = _split(prefix)
    if parts.scheme in DEFAULT_PORTS and " " in prefix:
        return "it has a space"
    if parts.userinfo is not None:
        return "it has a user name or password"
    return "it has a query or fragment" if parts.query is not None or "#" in prefix else None


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port in their normal form: two URLs of one origin may share a credential.

    Raises:
        ValueError: It has no normal form.
    """
    parts = _split(url)
    return parts.scheme, parts.host, parts.port


def under_prefix(url: str, prefix: str) -> bool:
    """Whether ``url`` lies under ``prefix``, compared by component: ``https://h/team`` does not cover ``https://h/teams``.

    Compared in their normal form, and as a server understands them: without percent-encoding. A scheme alone, ``gs://``,
    covers all of its URLs; of http(s) there is no such prefix.
    """
    if not scheme_of(prefix) or not scheme_of(url) or find_url_error(url) or find_url_error(prefix):
        return False
    wanted, given = _split(prefix), _split(url)
    components = _components(wanted.path)
    if given.scheme == wanted.scheme and not wanted.host and not components:
        return True
    if given.scheme != wanted.scheme or given[2:4] != wanted[2:4]:
        return False
    return _components(given.path)[: len(components)] == components


def covering(url: str, prefixes: Iterable[str]) -> str | None:
    """Of the prefixes under which ``url`` lies, the one with the most components."""
    found = [prefix for prefix in prefixes if under_prefix(url, prefix)]
    return max(found, key=_precision, default=None)


def _precision(prefix: str) -> tuple[bool, int]:
    parts = _split(prefix)
    return bool(parts.host), len(_components(parts.path))


def _split(url: str) -> _Parts:
    scheme = scheme_of(url).lower()
    authority, tail = split_authority(url[len(scheme) + 3 :])
    path, question, query = tail.partition("#")[0].partition("?")
    userinfo, at, place = authority.rpartition("@")
    is_http = scheme in DEFAULT_PORTS
    host, port = _host_and_port(place, is_http)
    return _Parts(
        scheme,
        userinfo if at else None,
        host,
        port if port is not None else DEFAULT_PORTS.get(scheme),
        _normal_path(path) if is_http else path,
        query if question else None,
    )


def _host_and_port(place: str, is_http: bool) -> tuple[str, int | None]:
    host, colon, port = place.partition(":")
    if place.startswith("["):
        host, colon, port = place.rpartition("]")
        host, port = host + colon, port.removeprefix(":") if port[:1] in ("", ":") else "?"
    digits = _PORT.fullmatch(port)
    number = int(digits[1]) if digits else None
    if not is_http:  # a bucket, a team, ...: its plugin knows what it is
        return (_name_of_any(host), number) if number is not None or not port else (_name_of_any(place), None)
    if port and (number is None or not 0 < number < 1 << 16):
        raise ValueError("its port is not a number from 1 to 65535")
    return normal_host(host), number


def _name_of_any(host: str) -> str:
    try:
        return ascii_name(host).removesuffix(".")
    except ValueError:
        return host.lower()


def _normal_path(path: str) -> str:
    text = re.sub("%(?![0-9A-Fa-f]{2})", "%25", path)
    try:
        text = _ESCAPE.sub(_unescaped, quote(text, safe=_PATH_CHARACTERS))
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair") from None
    kept: list[str] = []
    for part in (parts := text.split("/")):
        if part == "..":
            del kept[max(len(kept) - 1, 1) :]
        elif part != ".":
            kept.append(part)
    if parts[-1] in (".", ".."):
        kept.append("")
    if any(step == b".." for part in kept for step in re.split(rb"[/\\;]", unquote_to_bytes(part))):
        raise ValueError("its path has '..' behind an escaped slash, which servers read differently")
    return "/".join(kept) or "/"


def _unescaped(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if character in UNRESERVED else escape[0].upper()


def _components(path: str) -> list[bytes]:
    kept: list[bytes] = []
    for part in unquote_to_bytes(path).split(b"/"):
        if part == b"..":
            del kept[-1:]
        elif part not in (b"", b"."):
            kept.append(part)
    return kept
