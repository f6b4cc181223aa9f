"""Kaggle's credentials, where Kaggle's own tools look for them. A file that is there and cannot be used is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hubplug.errors import ConfigError
from hubplug.files.strict_json import parse_json
from hubplug.settings.config import environment_value

_SETTINGS = "https://www.kaggle.com/settings/api"
_MOST_BYTES = 64 << 10


def how_to_get_access(page: str) -> str:
    """What to do when Kaggle refuses."""
    return f"accept the licence at {page} with your account, and set KAGGLE_API_TOKEN to a token of it ({_SETTINGS})"


def find_signer(page: str) -> KaggleSigner:
    """What signs requests to the API with the first credentials that there are; they are read when a request is sent.

    Args:
        page: The page of the model that is asked for.
    """
    token = environment_value("KAGGLE_API_TOKEN")
    if token is not None:
        return KaggleSigner("bearer token of KAGGLE_API_TOKEN", page, token=token)
    for name in ("access_token", "access_token.txt"):
        if (path := _home() / name).is_file():
            return KaggleSigner(f"bearer token in {path}", page, token_file=path)
    user, key = environment_value("KAGGLE_USERNAME"), environment_value("KAGGLE_KEY")
    if user is not None and key is not None:
        return KaggleSigner("KAGGLE_USERNAME and KAGGLE_KEY", page, pair=(user, key))
    path = Path(environment_value("KAGGLE_CONFIG_DIR") or _home()) / "kaggle.json"
    if path.is_file():
        return KaggleSigner(f"user name and key in {path}", page, pair_file=path)
    return KaggleSigner("none: there are no credentials of Kaggle here", page)


class KaggleSigner:
    """What ``requests`` calls an auth. Without credentials it leaves the request as it is.

    Attributes:
        hubplug_rule: What it signs with, in words.
        hubplug_hint: What to do when the server refuses.
    """

    def __init__(
        self,
        rule: str,
        page: str,
        *,
        token: str | None = None,
        token_file: Path | None = None,
        pair: tuple[str, str] | None = None,
        pair_file: Path | None = None,
    ) -> None:
        self.hubplug_rule = rule
        self.hubplug_hint = how_to_get_access(page)
        self._token = token
        self._token_file = token_file
        self._pair = pair
        self._pair_file = pair_file

    def __call__(self, request: Any) -> Any:
        from requests.auth import HTTPBasicAuth

        if self._token is not None and not _is_path(self._token):
            return _bearer(request, self._token.strip())
        if (file := Path(self._token) if self._token is not None else self._token_file) is not None:
            return _bearer(request, _read(file).decode("utf-8", "replace").strip())
        pair = self._pair if self._pair_file is None else _pair_in(self._pair_file)
        # As UTF-8: requests alone would take latin-1.
        return request if pair is None else HTTPBasicAuth(*(part.encode() for part in pair))(request)

    def __repr__(self) -> str:
        return f"<{self.hubplug_rule}>"


def _bearer(request: Any, token: str) -> Any:
    if not token or not token.isascii() or any(character <= " " for character in token):
        raise ConfigError(
            "The token of Kaggle is empty, or has a character that no token has; the request was not sent",
            hint=f"copy it again from {_SETTINGS}",
        )
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def _pair_in(path: Path) -> tuple[str, str]:
    try:
        said = parse_json(_read(path))
        user, key = said["username"], said["key"]
        if not (isinstance(user, str) and isinstance(key, str) and user and key):
            raise TypeError
    except (ValueError, KeyError, TypeError):  # what a parser says may quote the file
        raise ConfigError(
            f"{path} has no username and key in it; the request was not sent",
            hint=f"download it again from {_SETTINGS}",
        ) from None
    return user, key


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}; the request was not sent", hint="mend it, or take it away"
        ) from error


def _is_path(token: str) -> bool:
    """Whether KAGGLE_API_TOKEN names a file: Kaggle's tools take that, too."""
    try:
        return Path(token).is_file()
    except (OSError, ValueError):
        return False


def _home() -> Path:
    return Path.home() / ".kaggle"
