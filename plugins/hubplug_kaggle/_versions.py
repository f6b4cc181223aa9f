"""Which version of a model is the latest, as Kaggle's API says, and what its refusals mean."""

from __future__ import annotations

from typing import Any

from hubplug.errors import AccessError, FetchError, HubplugError, MissingError
from hubplug.web import Network, WebAnswer
from hubplug_kaggle._address import Address
from hubplug_kaggle._credentials import how_to_get_access

_MOST_VERSIONS = 10**9


def latest_version(address: Address, api: str, page: str, auth_for: Network) -> int:
    """The number of the latest version.

    Args:
        address: The model instance.
        api: The API's URL of it.
        page: The model's page, where people accept its licence.
        auth_for: What asks.

    Raises:
        AccessError: It is private, or its licence was not accepted.
        MissingError: There is no such model.
        FetchError: Kaggle cannot be reached, or says something else.
    """
    answer = auth_for.send(f"{api}/get")
    said = _said(answer)
    code = _code(answer, said)
    if code >= 400:
        raise _refusal(address, page, code, said, answer)
    version = said.get("versionNumber") if isinstance(said, dict) else None
    if type(version) is not int or not 0 < version < _MOST_VERSIONS:
        raise FetchError(
            f"{address}: Kaggle's API did not say which version is the latest",
            hint="name the version at the end of the handle",
        )
    return version


def _said(answer: WebAnswer) -> Any:
    try:
        return answer.json()
    except FetchError:
        if answer.error is None:
            raise
        return None


def _code(answer: WebAnswer, said: Any) -> int:
    """The status; Kaggle's API also refuses with 200 and a code in the body."""
    code = said.get("code") if isinstance(said, dict) else None
    return code if answer.error is None and type(code) is int else answer.status


def _refusal(address: Address, page: str, code: int, said: Any, answer: WebAnswer) -> HubplugError:
    message = str(said.get("message", "")) if isinstance(said, dict) else ""
    quoted = f": {answer.quoted(message)!r}" if message else ""
    if code in (401, 403):
        return AccessError(
            f"{address}: Kaggle refused ({code}){quoted}; it is private, or its licence has to be accepted first",
            hint=how_to_get_access(page),
        )
    if code == 404:
        return MissingError(f"{address}: Kaggle has no such model ({code}){quoted}", hint=f"look at {page}")
    return answer.error or FetchError(f"{address}: Kaggle's API refused ({code}){quoted}", hint=f"look at {page}")
