"""Turns what fsspec, its file systems and their transports raise into hubplug's errors, without a secret in any.

They have no exceptions in common: s3fs raises PermissionError where gcsfs has an OSError that says "Forbidden", and
others let the transport's own exception through. So the status is looked for where each of them keeps it.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from typing import Any

from hubplug.errors import AccessError, ExportError, FetchError, HubplugError, MissingError
from hubplug.shown.redaction import causes_of, scrub_foreign, secrets_in

_REFUSED = {401, 403, 407}
_CREDENTIALS = re.compile(
    r"Credential|Authenti|Auth(?:orization)?Error|RefreshError|TokenRetrieval|Forbidden|AccessDenied"
)
_UNREACHABLE = re.compile(r"Connect|Timeout|Resolver|Endpoint|ServerDisconnected|SSL|Certificate|Proxy")
_LONGEST_TEXT = 200
_HOW_TO_SIGN = "set storage_options of the plugin fsspec in hubplug.yaml, or the credentials that the store's client finds by itself"


def as_fetch_error(error: Exception, shown: str, storage_options: Mapping[str, Any]) -> HubplugError:
    """The error to raise in the place of a foreign one, when something is read.

    Args:
        error: What was raised; a HubplugError comes back as it is.
        shown: The location, redacted.
        storage_options: Their values are taken out of the foreign text.
    """
    if isinstance(error, HubplugError):
        return error
    if any(type(one).__name__ == "GatedRepoError" for one in causes_of(error)):
        return AccessError(
            f"{shown}: the repository is gated, and access was refused",
            hint="accept its conditions on its page, and set HF_TOKEN to a token of your account",
        )
    if _is_missing(error):
        return MissingError(f"{shown} does not exist", hint="check the handle for a misspelling")
    problem, hint = _in_words(error, storage_options)
    if _is_refusal(error):
        return AccessError(f"{shown}: {problem}", hint=hint)
    return FetchError(f"{shown}: {problem}" if hint else f"{shown} cannot be read{problem}", hint=hint)


def as_export_error(error: Exception, shown: str, storage_options: Mapping[str, Any]) -> HubplugError:
    """The error to raise in the place of a foreign one, when something is written; as ``as_fetch_error``."""
    if isinstance(error, ExportError):
        return error
    if isinstance(error, HubplugError):
        return ExportError(error.message, hint=error.hint)
    if _is_missing(error):
        return ExportError(
            f"{shown} cannot be written: its bucket or parent directory does not exist",
            hint="make it, or check its name",
        )
    problem, hint = _in_words(error, storage_options)
    return ExportError(f"{shown}: {problem}" if hint else f"{shown} cannot be written{problem}", hint=hint)


def is_there_already(error: Exception) -> bool:
    """Whether a store refused to write over something that has come to be there."""
    return isinstance(error, FileExistsError) or any(_status(one) == 412 for one in causes_of(error))


def is_conflict(error: Exception) -> bool:
    """Whether a store refused because another request for the same name was under way."""
    return not isinstance(error, FileExistsError) and any(_status(one) == 409 for one in causes_of(error))


def says_what_is_there(error: Exception) -> bool:
    """Whether a store answers about what is there: so it does to a retry of what it has done already."""
    return is_there_already(error) or is_conflict(error) or _is_missing(error)


def is_unreachable(error: Exception) -> bool:
    """Whether there was no connection to the store, or no answer."""
    return isinstance(error, (ConnectionError, TimeoutError)) or bool(_UNREACHABLE.search(type(error).__name__))


def is_away(error: Exception) -> bool:
    """Whether a store serves no one at the moment, so that another request would fail in the same way."""
    return is_unreachable(error) or (_status(error) or 0) >= 500


def knows_no_conditions(error: Exception) -> bool:
    """Whether a store cannot write on condition that nothing is there."""
    return any(isinstance(one, NotImplementedError) or _status(one) == 501 for one in causes_of(error))


def secrets_of(storage_options: Mapping[str, Any]) -> frozenset[str]:
    """What in options of a file system is not shown: everything but names, numbers and addresses."""
    return frozenset(one for one in secrets_in(storage_options, name="secret") if "://" not in one)


def _is_missing(error: Exception) -> bool:
    return isinstance(error, (FileNotFoundError, NotADirectoryError)) or _status(error) == 404


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, PermissionError) or _status(error) in _REFUSED or _is_about_credentials(error)


def _in_words(error: Exception, storage_options: Mapping[str, Any]) -> tuple[str, str | None]:
    """What went wrong, and a hint; without one, the words are the end of a sentence."""
    status = _status(error)
    said = _said(error, storage_options)
    if _is_refusal(error):
        return f"access was refused{f' ({status})' if status else ''}: {said}", _HOW_TO_SIGN
    if is_unreachable(error):
        return f"the server cannot be reached: {said}", "check the network and the endpoint"
    return f"{f' (status {status})' if status else ''}: {said}", None


def _said(error: Exception, storage_options: Mapping[str, Any]) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = " ".join(scrub_foreign(text, secrets_of(storage_options)).split())
    if len(line) > _LONGEST_TEXT:
        line = f"{line[:_LONGEST_TEXT]}..."
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def _is_about_credentials(error: Exception) -> bool:
    if isinstance(error, OSError) and str(error).startswith("Forbidden"):
        return True
    return any(_CREDENTIALS.search(kind.__name__) for kind in type(error).__mro__)


def _status(error: BaseException) -> int | None:
    """The HTTP status, from where gcsfs, aiohttp, azure, requests and botocore put it; s3fs, in the cause of its errors."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(response, "status_code", None)
    for candidate in (found, *(getattr(error, name, None) for name in ("code", "status", "status_code"))):
        if isinstance(candidate, str) and re.fullmatch("[45][0-9]{2}", candidate):
            return int(candidate)
        if isinstance(candidate, int) and 400 <= candidate < 600:
            return int(candidate)
    if isinstance(error, OSError) and error.errno == errno.EACCES:
        return 403
    return _status(error.__cause__) if error.__cause__ else None
