"""Turns what fsspec, its file systems and their transports raise into hubplug's errors, without a secret in any.

They have no exceptions in common: s3fs raises PermissionError where gcsfs has an OSError that says "Forbidden", and
others let the transport's own exception through. So the status is looked for where each of them keeps it.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hubplug.errors import AccessError, FetchError, HubplugError, MissingError
from hubplug.urls import redact

_REFUSED = {401, 403, 407}
_CREDENTIALS = re.compile(
    r"Credential|Authenti|Auth(?:orization)?Error|RefreshError|TokenRetrieval|Forbidden|AccessDenied"
)
_UNREACHABLE = re.compile(r"Connect|Timeout|Resolver|Endpoint|ServerDisconnected|SSL|Certificate|Proxy")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_NAMED_SECRET = re.compile(
    r"(?i)\b((?:access_?)?token|secret|password|passwd|signature|sig|credential|authorization|account_?key|api_?key)"
    r"(['\"]?\s*[=:]\s*['\"]?)(?:bearer\s+|basic\s+)?[^\s'\",;&)}]+"
)
_LONGEST_TEXT = 200


def as_fetch_error(error: Exception, shown: str, storage_options: Mapping[str, Any]) -> HubplugError:
    """The error to raise in the place of a foreign one.

    Args:
        error: What was raised; a HubplugError comes back as it is.
        shown: The location, redacted.
        storage_options: Their values are taken out of the foreign text.
    """
    if isinstance(error, HubplugError):
        return error
    status = _status(error)
    said = _said(error, storage_options)
    if isinstance(error, (FileNotFoundError, NotADirectoryError)) or status == 404:
        return MissingError(f"{shown} does not exist", hint="check the handle for a misspelling")
    if isinstance(error, PermissionError) or status in _REFUSED or _is_about_credentials(error):
        return AccessError(
            f"{shown}: access was refused{f' ({status})' if status else ''}: {said}",
            hint="set storage_options of the plugin fsspec in hubplug.yaml, or the credentials that the store's client "
            "finds by itself",
        )
    if isinstance(error, (ConnectionError, TimeoutError)) or _UNREACHABLE.search(type(error).__name__):
        return FetchError(f"{shown}: the server cannot be reached: {said}", hint="check the network and the endpoint")
    return FetchError(f"{shown} cannot be read{f' (status {status})' if status else ''}: {said}")


def shows_a_secret(error: BaseException, storage_options: Mapping[str, Any]) -> bool:
    """Whether the text of an error, or of one that led to it, would have to be cleaned before it may be shown."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        text = str(at)
        if _clean(text, storage_options) != text:
            return True
        at = at.__cause__ or at.__context__
    return False


def _said(error: Exception, storage_options: Mapping[str, Any]) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = " ".join(_clean(text, storage_options).split())
    if len(line) > _LONGEST_TEXT:
        line = f"{line[:_LONGEST_TEXT]}..."
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def _clean(text: str, storage_options: Mapping[str, Any]) -> str:
    for secret in sorted(_strings(storage_options), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _URL.sub(lambda match: redact(match[0]), text)
    return _NAMED_SECRET.sub(r"\1\2***", text)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str) and len(value) >= 4 and "://" not in value:
        yield value


def _is_about_credentials(error: Exception) -> bool:
    if isinstance(error, OSError) and str(error).startswith("Forbidden"):
        return True
    return any(_CREDENTIALS.search(kind.__name__) for kind in type(error).__mro__)


def _status(error: BaseException) -> int | None:
    """The HTTP status, from where gcsfs, aiohttp, azure, requests and botocore put it."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(response, "status_code", None)
    for candidate in (found, *(getattr(error, name, None) for name in ("code", "status", "status_code"))):
        if str(candidate).isdecimal() and 400 <= int(str(candidate)) < 600:
            return int(str(candidate))
    if isinstance(error, OSError) and error.errno == errno.EACCES:
        return 403
    return None
