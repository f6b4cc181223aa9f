"""One normal form of URLs, which of them lie under a prefix, and what may be shown of one.

Two spellings of one place must not be two places: a credential would be missing, or a check be evaded. So handles, prefixes
and the targets of redirects are compared in one form, http(s) URLs are sent in it, and what has none is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PORT = re.compile(r"0*([0-9]{1,5})")
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONGEST_HOST = 253
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")  # RFC 3986, section 2.3

_PATH_CHARACTERS = "%/:@!$&'()*+,;=~"  # besides letters, digits and "-._"

_INNER = r"(?<![A-Za-z0-9+.:-])[A-Za-z][A-Za-z0-9+.-]{0,30}://"
_URL_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://\S*")
_URL_IN_URL = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]{{0,30}}://(?:(?!{_INNER})\S)*")
_QUERY_VALUE = re.compile(r"([?&][^\s=&?'\"]*=)[^\s&'\")]+")
# "https:/user:password@host", which is a path to every parser.
_MISSING_SLASH = re.compile(r"((?:https?|ftp|s3|gs):/?)(?!/)\S*@", re.IGNORECASE)
_HIDDEN = "***"


class _Parts(NamedTuple):
    """A URL in pieces, each in its normal form; without its fragment."""

    scheme: str
    userinfo: str | None
    host: str
    port: int | None
    path: str
    query: str | None


def scheme_of(text: str) -> str:
    """The part before ``://`` as written; empty for a path."""
    match = _SCHEME.match(text)
    return match[1] if match else ""


def normal_form(url: str) -> str:
    """The one spelling of a URL among all that programs read as the same.

    Of an http(s) URL: scheme and host in lower case, the host in its ASCII form (IDNA by UTS 46, numbers as an IPv4 address)
    without a dot at its end, no default port, no ``.`` and ``..``, no escapes of unreserved characters, no fragment. Of
    others only the scheme is changed, since what follows is their plugins' affair.

    Raises:
        ValueError: It has none; the message is a clause that quotes nothing of it.
    """
    scheme = scheme_of(url).lower()
    if scheme not in _DEFAULT_PORTS:
        return scheme + url[len(scheme) :]
    parts = _split(url)
    address = parts.host if parts.userinfo is None else f"{parts.userinfo}@{parts.host}"
    if parts.port != _DEFAULT_PORTS[scheme]:
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
    authority, tail = _authority(url[len(scheme) + 3 :])
    if "\\" in authority:
        return "its host has a backslash"
    if scheme.lower() not in _DEFAULT_PORTS:
        return None
    if "@" in tail and "@" not in authority and (tail[0] == "#" or authority[-1:] == ":" or not _is_place(authority)):
        return "its password has a character (/, ? or #) that must be written as %2F, %3F or %23"
    try:
        normal_form(url)
    except ValueError as error:
        return str(error)
    return None


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port in their normal form: two URLs of one origin may share a credential.

    Raises:
        ValueError: It has no normal form.
    """
    parts = _split(url)
    return parts.scheme, parts.host, parts.port


def normal_host(host: str) -> str:
    """The name or address of a host in its normal form, as it stands in a URL.

    Raises:
        ValueError: It has none.
    """
    if host.startswith("["):
        return _ipv6(host)
    if len(host) > _LONGEST_HOST + 1:
        raise ValueError("its host is too long")
    name = _ascii_name(host).removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        import socket

        try:  # as getaddrinfo reads it: 2130706433, 0x7f.1 and 127.1 are 127.0.0.1
            return socket.inet_ntoa(socket.inet_aton(name))
        except OSError:
            raise ValueError("its host ends in a number and is no IPv4 address") from None
    if not name:
        raise ValueError("it names no host")
    if len(name) > _LONGEST_HOST or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("its host is no name that a host can have")
    return name


def under_prefix(url: str, prefix: str) -> bool:
    """Whether ``url`` lies under ``prefix``, compared by component: ``https://h/team`` does not cover ``https://h/teams``.

    Compared in their normal form, and as a server understands them: without percent-encoding.
    """
    if not scheme_of(prefix) or not scheme_of(url) or find_url_error(url) or find_url_error(prefix):
        return False
    wanted, given = _split(prefix), _split(url)
    if given[0] != wanted[0] or given[2:4] != wanted[2:4]:
        return False
    components = _components(wanted.path)
    return _components(given.path)[: len(components)] == components


def covering(url: str, prefixes: Iterable[str]) -> str | None:
    """Of the prefixes under which ``url`` lies, the one with the most components."""
    found = [prefix for prefix in prefixes if under_prefix(url, prefix)]
    return max(found, key=lambda prefix: len(_components(_split(prefix).path)), default=None)


def redact(text: str) -> str:
    """A URL without its userinfo, the values of its query and its fragment; a path as it is.

    The names of query parameters stay, since they help to find a mistake; a bare query is dropped whole. Where an ``@`` may end
    a password that has a ``/``, ``?`` or ``#`` in it, everything before it is hidden, whatever a parser makes of it.
    """
    scheme = scheme_of(text)
    if not scheme:
        return redact_all(text) if "://" in text else _MISSING_SLASH.sub(rf"\1{_HIDDEN}@", text)
    authority, tail = _authority(text[len(scheme) + 3 :])
    if _may_hide_userinfo(authority, tail):
        shown = redact(f"{scheme}://{tail.rpartition('@')[2]}")
        return f"{scheme}://{_HIDDEN}@{shown[len(scheme) + 3 :]}"
    path, question, query = tail.partition("#")[0].partition("?")
    if re.search(_INNER, path):  # a URL within a URL, as proxies and lists have them
        shown = _URL_IN_URL.sub(lambda url: redact(url[0]), f"{scheme}://{authority}{path}")
    else:
        userinfo, _, place = authority.rpartition("@")
        if (
            ":" in place and not _is_place(place) and scheme.lower() in _DEFAULT_PORTS
        ):  # what stands for a port may be half a password
            place = f"{place.partition(':')[0]}:{_HIDDEN}"
        shown = f"{scheme}://{_HIDDEN + '@' if userinfo == _HIDDEN else ''}{place}{path}"
    if question and query:
        parts = [part.partition("=") for part in query.split("&")]
        names = [f"{name}={_HIDDEN}" if equals else _HIDDEN for name, equals, _ in parts]
        shown += "?" + "&".join(names)
    return shown


def redact_all(text: str) -> str:
    """A text with every URL in it redacted, and every value of a query that stands alone ("url: /m?token=...")."""
    return _QUERY_VALUE.sub(rf"\1{_HIDDEN}", _URL_IN_TEXT.sub(lambda url: redact(url[0]), text))


def _authority(rest: str) -> tuple[str, str]:
    """What names the host, and all that follows; ``rest`` is a URL without its scheme."""
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    return authority, rest[len(authority) :]


def _is_place(authority: str) -> bool:
    """Whether it is host and port, by its form: what follows a colon is a port."""
    place = authority.rpartition("@")[2]
    name, colon, port = place.rpartition("]") if place.startswith("[") else place.partition(":")
    if place.startswith("["):
        return bool(colon) and (not port or (port[0] == ":" and not port[1:].strip("0123456789")))
    return bool(name) and not port.strip("0123456789")


def _may_hide_userinfo(authority: str, tail: str) -> bool:
    """Whether an ``@`` behind the authority may end a password that a parser has cut in two."""
    if "@" not in tail:
        return False
    if "@" in authority or tail[0] == "#":
        return True
    host, colon, port = authority.partition(":")
    if not colon:
        return False
    if not port or not _is_place(authority):
        return True
    # "user:123/456@host", or "host:123/a@b"? Nobody's name is an address.
    is_address = host[:1] in ("", "[") or host == "localhost" or _NUMBER.fullmatch(host.rpartition(".")[2])
    if is_address or re.search(_INNER, tail):
        return False
    return "@" in (tail.partition("?")[0] if tail[0] == "/" else tail)


def _split(url: str) -> _Parts:
    scheme = scheme_of(url).lower()
    authority, tail = _authority(url[len(scheme) + 3 :])
    path, question, query = tail.partition("#")[0].partition("?")
    userinfo, at, place = authority.rpartition("@")
    is_http = scheme in _DEFAULT_PORTS
    host, port = _host_and_port(place, is_http)
    return _Parts(
        scheme,
        userinfo if at else None,
        host,
        port if port is not None else _DEFAULT_PORTS.get(scheme),
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
        raise ValueError("its port is no number from 1 to 65535")
    return normal_host(host), number


def _ascii_name(host: str) -> str:
    if host.isascii():
        return host.lower()
    import idna

    try:  # as requests does it
        mapped = idna.uts46_remap(host, std3_rules=False, transitional=False)
        return ".".join(one if one.isascii() else idna.alabel(one).decode("ascii") for one in mapped.split(".")).lower()
    except UnicodeError:
        raise ValueError("its host is no internationalized name (IDNA)") from None


def _name_of_any(host: str) -> str:
    try:
        return _ascii_name(host).removesuffix(".")
    except ValueError:
        return host.lower()


def _ipv6(host: str) -> str:
    from ipaddress import IPv6Address

    address, percent, zone = host[1:-1].partition("%")
    zone = zone.removeprefix("25")
    try:
        number = IPv6Address(address)
    except ValueError:
        raise ValueError("its host is no IPv6 address") from None
    if not host.endswith("]") or (percent and not zone) or not set(zone) <= _UNRESERVED:
        raise ValueError("its host is no IPv6 address")
    if number.ipv4_mapped is not None:
        return str(number.ipv4_mapped)
    return f"[{number.compressed}%25{zone}]" if zone else f"[{number.compressed}]"


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
    return character if character in _UNRESERVED else escape[0].upper()


def _components(path: str) -> list[bytes]:
    kept: list[bytes] = []
    for part in unquote_to_bytes(path).split(b"/"):
        if part == b"..":
            del kept[-1:]
        elif part not in (b"", b"."):
            kept.append(part)
    return kept
