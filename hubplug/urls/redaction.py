"""What may be shown of a URL."""

from __future__ import annotations

import re

from hubplug.urls.syntax import DEFAULT_PORTS, NUMBER, is_place, scheme_of, split_authority

_INNER = r"(?<![A-Za-z0-9+.:-])[A-Za-z][A-Za-z0-9+.-]{0,30}://"
_URL_IN_TEXT = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://\S*?)([)'\",.;>}]*)(?!\S)")
_URL_IN_URL = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]{{0,30}}://(?:(?!{_INNER})\S)*")
# What http appends to most URLs: it says what is asked for, and hides nothing.
_FORMAT = "tf-hub-format"
_FORMATS = ("compressed", "uncompressed")
_QUERY_VALUE = re.compile(rf"([?&](?!{_FORMAT}=(?:{'|'.join(_FORMATS)})(?![^\s&'\",;:)]))[^\s=&?'\"]*=)[^\s&'\")]+")
# "https:/user:password@host", which is a path to every parser.
_MISSING_SLASH = re.compile(r"((?:https?|ftp|s3|gs):/?)(?!/)\S*@", re.IGNORECASE)
_HIDDEN = "***"


def redact(text: str) -> str:
    """A URL without its userinfo, the values of its query and its fragment; a path as it is.

    The names of query parameters stay, since they help to find a mistake, and ``tf-hub-format=compressed``, which is appended to
    most URLs; a bare query is dropped whole. Where an ``@`` may end
    a password that has a ``/``, ``?`` or ``#`` in it, everything before it is hidden, whatever a parser makes of it.
    """
    scheme = scheme_of(text)
    if not scheme:
        return redact_all(text) if "://" in text else _MISSING_SLASH.sub(rf"\1{_HIDDEN}@", text)
    authority, tail = split_authority(text[len(scheme) + 3 :])
    if _may_hide_userinfo(authority, tail):
        shown = redact(f"{scheme}://{tail.rpartition('@')[2]}")
        return f"{scheme}://{_HIDDEN}@{shown[len(scheme) + 3 :]}"
    path, question, query = tail.partition("#")[0].partition("?")
    if re.search(_INNER, path):  # a URL within a URL, as proxies and lists have them
        shown = _URL_IN_URL.sub(lambda url: redact(url[0]), f"{scheme}://{authority}{path}")
    else:
        userinfo, _, place = authority.rpartition("@")
        if (
            ":" in place and not is_place(place) and scheme.lower() in DEFAULT_PORTS
        ):  # what stands for a port may be half a password
            place = f"{place.partition(':')[0]}:{_HIDDEN}"
        shown = f"{scheme}://{_HIDDEN + '@' if userinfo == _HIDDEN else ''}{place}{path}"
    if question and query:
        parts = [part.partition("=") for part in query.split("&")]
        shown += "?" + "&".join(_redacted_parameter(*part) for part in parts)
    return shown


def redact_all(text: str) -> str:
    """A text with every URL in it redacted, and every value of a query that stands alone ("url: /m?token=...")."""
    return _QUERY_VALUE.sub(rf"\1{_HIDDEN}", _URL_IN_TEXT.sub(lambda url: redact(url[1]) + url[2], text))


def _redacted_parameter(name: str, equals: str, value: str) -> str:
    if not equals:
        return _HIDDEN
    return f"{name}={value if name == _FORMAT and value in _FORMATS else _HIDDEN}"


def _may_hide_userinfo(authority: str, tail: str) -> bool:
    """Whether an ``@`` behind the authority may end a password that a parser has cut in two."""
    if "@" not in tail:
        return False
    if "@" in authority or tail[0] == "#":
        return True
    host, colon, port = authority.partition(":")
    if not colon:
        return False
    if not port or not is_place(authority):
        return True
    # "user:123/456@host", or "host:123/a@b"? No user name is an address.
    is_address = host[:1] in ("", "[") or host == "localhost" or NUMBER.fullmatch(host.rpartition(".")[2])
    if is_address or re.search(_INNER, tail):
        return False
    return "@" in (tail.partition("?")[0] if tail[0] == "/" else tail)
