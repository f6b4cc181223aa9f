"""One small question to an HTTP server, and its answer: what a plugin asks another service, whichever plugin sends it.

A plan gets ``auth_for`` and asks ``auth_for.send(url)``. The engine makes a ``WebRequest`` of that and asks ``hubplug_send`` who sends
it; so timeouts, proxies, certificates, retries, the rules for redirects and redaction are those that the plugin of that
hook was configured with, and no plugin imports another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from hubplug.errors import FetchError, HubplugError
from hubplug.types import Handle
from hubplug.urls import redact

T = TypeVar("T")

MOST_BYTES = 4 << 20


@dataclass(frozen=True, eq=False, repr=False)
class WebRequest:
    """A GET request whose answer is read as a whole.

    Attributes:
        url: What is asked for. It may hold a secret.
        handle: On whose behalf.
        follow: Whether redirects are followed; else the answer says where one leads.
        most_bytes: A longer answer is an error.
    """

    url: str
    handle: Handle
    follow: bool = True
    most_bytes: int = MOST_BYTES

    def __repr__(self) -> str:
        return f"WebRequest({redact(self.url)!r})"


@dataclass(frozen=True, eq=False, repr=False)
class WebAnswer:
    """What a server said.

    Attributes:
        url: Where the answer came from, after redirects. It may hold a secret.
        status: Of HTTP: a success, a redirect that was not followed, or a refusal that a retry does not help against.
        headers: By their names in lower case.
        body: Its bytes; of a refusal, the first of them.
        location: Where a redirect that was not followed leads, as an absolute URL, or None. It may hold a secret.
        secrets: Texts of the request that must not be shown although the server may repeat them.
        error: Of a refusal: the error that says so in general terms, for a plugin that knows nothing better; else None.
    """

    url: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    location: str | None = None
    secrets: frozenset[str] = frozenset()
    error: HubplugError | None = None

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            FetchError: It is not JSON.
        """
        from hubplug.files.strict_json import parse_json

        try:
            return parse_json(self.body)
        except ValueError as error:
            raise FetchError(
                f"What {redact(self.url)} answered is not JSON: {error}",
                hint="is this the address of the service's API?",
            ) from error

    def member(self, name: str, kind: type[T]) -> T:
        """A member of the JSON object that is the body: ``answer.member("newest", int)``.

        Args:
            name: Its name.
            kind: Its type: ``int``, ``str``, ``list``, ``dict``, ``bool`` or ``float``.

        Raises:
            FetchError: The body is not JSON, not an object, or has no such member of that type.
        """
        said = self.json()
        value = said.get(name) if isinstance(said, dict) else None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise FetchError(
                f"What {redact(self.url)} answered has no {name!r} of type {kind.__name__}",
                hint="is this the address of the service's API?",
            )
        return value

    def quoted(self, text: str) -> str:
        """The first line of a text that the server sent, as it may be shown."""
        from hubplug.shown.redaction import excerpt

        return excerpt(text.encode("utf-8", "replace"), self.secrets)

    def __repr__(self) -> str:
        return f"WebAnswer({self.status}, {redact(self.url)!r})"


class Network(Protocol):
    """What plans that ask a server get, as ``auth_for``."""

    def __call__(self, url: str, redirected_from: str | None = None, /) -> Any:
        """What signs a request to a URL, by ``hubplug_auth``; None: nothing does."""
        ...

    def send(self, url: str, *, follow: bool = True) -> WebAnswer:
        """Asks for a URL through the plugin that answers ``hubplug_send``.

        Raises:
            FetchError: The server cannot be reached, is broken, or sent too much.
            OfflineError: hubplug is offline.
        """
        ...
