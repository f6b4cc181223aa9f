"""The ways to sign a request that need nothing but a secret: bearer, basic, header, netrc, git credential helpers.

A signer is what ``requests`` calls an auth: a callable that takes a prepared request and returns it. ``hubplug_rule`` says
in words, without the secret, what it signs with; the plugin http quotes it when a server refuses. ``hubplug_problem`` says why it
could not; ``hubplug explain`` and ``config check`` quote it.
"""

from __future__ import annotations

import base64
import netrc
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hubplug.errors import ConfigError
from hubplug.settings.config import environment_value
from hubplug.urls import normal_host, origin_of
from hubplug_auth._secret import Secret, run_command


class Signer:
    """Base of all signers; two are never taken for one.

    Attributes:
        hubplug_rule: What it signs with, in words.
    """

    def __init__(self, rule: str, secret: Secret | None = None) -> None:
        self.hubplug_rule = rule
        self._needs = secret

    @property
    def hubplug_problem(self) -> str | None:
        """Why it could not sign at the moment, as far as that shows without a request or a command."""
        return self._needs.find_problem() if self._needs else None

    def __call__(self, request: Any) -> Any:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{self.hubplug_rule}>"


class Bearer(Signer):
    """``Authorization: Bearer <token>`` (RFC 6750, section 2.1)."""

    def __init__(self, token: Secret) -> None:
        super().__init__(f"bearer token from {token.origin}, rule for {token.rule}", token)
        self._token = token

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self._token.read()}"
        return request


class Basic(Signer):
    """Basic authentication (RFC 7617)."""

    def __init__(self, username: str, password: Secret) -> None:
        super().__init__(
            f"user {username!r} with the password from {password.origin}, rule for {password.rule}", password
        )
        self._username = username
        self._password = password

    def __call__(self, request: Any) -> Any:
        return sign_basic(request, self._username, self._password.read())


class Header(Signer):
    """A header of the user's own."""

    def __init__(self, name: str, value: Secret) -> None:
        super().__init__(f"header {name} from {value.origin}, rule for {value.rule}", value)
        self._name = name
        self._value = value

    def __call__(self, request: Any) -> Any:
        request.headers[self._name] = self._value.read()
        return request


class Netrc(Signer):
    """Basic authentication with the entry of the host in a netrc file."""

    def __init__(self, path: str | None, rule: str) -> None:
        super().__init__(f"netrc file{f' {path}' if path else ''}, rule for {rule}")
        self._path = path
        self._rule = rule

    def __call__(self, request: Any) -> Any:
        host = urlsplit(request.url).hostname or ""
        path = self._file()
        try:
            entry = _entry_of(host, netrc.netrc(path).hosts)
        except UnicodeDecodeError:
            raise self._error(f"{path} cannot be read: it is not text") from None
        except (OSError, netrc.NetrcParseError) as error:
            # What the parser says may quote the file.
            problem = getattr(error, "strerror", None) or f"it is malformed at line {getattr(error, 'lineno', '?')}"
            raise self._error(f"{path} cannot be read: {problem}") from None
        if entry is None:
            raise self._error(f"{path} has no entry for {host}")
        login, account, password = entry
        return sign_basic(request, login or account or "", password or "")

    def _file(self) -> str:
        named = self._path or environment_value("NETRC")
        if named:
            try:
                return str(Path(named).expanduser())
            except RuntimeError:
                raise self._error(f"{named} cannot be read: no user here has that home directory") from None
        found = [path for name in (".netrc", "_netrc") if (path := Path.home() / name).is_file()]
        if not found:
            raise self._error(f"there is no {Path.home() / '.netrc'}")
        return str(found[0])

    def _error(self, problem: str) -> ConfigError:
        return ConfigError(
            f"The netrc rule for {self._rule}: {problem}; the request was not sent",
            hint="write 'machine <host> login <user> password <password>' into it, with mode 0600",
        )


def _entry_of(host: str, hosts: Mapping[str, tuple[str, str | None, str | None]]) -> Any:
    """The entry of a host, whose name is the same however it is spelt; else the one for all others."""
    if host in hosts:
        return hosts[host]
    for name, entry in hosts.items():
        with suppress(ValueError):
            if name != "default" and normal_host(name) == host:
                return entry
    return hosts.get("default")


class CredentialHelper(Signer):
    """Basic authentication with what a git credential helper gives (gitcredentials(7), git-credential(1))."""

    def __init__(self, words: Sequence[str], rule: str) -> None:
        super().__init__(f"credential helper {words[0]}, rule for {rule}")
        self._words = list(words)
        self._rule = rule

    def __call__(self, request: Any) -> Any:
        parts = urlsplit(request.url)
        scheme, host, port = origin_of(request.url)
        authority = host if parts.port is None else f"{host}:{port}"
        asked = f"protocol={scheme}\nhost={authority}\npath={parts.path.lstrip('/')}\n\n"
        answer = run_command([*self._words, "get"], self._rule, asked)
        given = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
        if not given.get("username") or "password" not in given:
            raise ConfigError(
                f"The credential helper {self._words[0]!r} of the rule for {self._rule} knows no user name and password for "
                f"{host}; the request was not sent",
                hint="log in once with the tool that the helper belongs to",
            )
        return sign_basic(request, given["username"], given["password"])


def sign_basic(request: Any, username: str, password: str) -> Any:
    """Adds ``Authorization: Basic`` with UTF-8 as the encoding."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
    request.headers["Authorization"] = f"Basic {pair}"
    return request
