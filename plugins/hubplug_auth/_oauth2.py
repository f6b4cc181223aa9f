"""OAuth2 client credentials (RFC 6749, section 4.4): a token is fetched when needed, kept while good, renewed once on a 401."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from hubplug.errors import AccessError, FetchError
from hubplug.files.locks import ForkLock
from hubplug.settings.certificates import bundle_at, trusted_certificates
from hubplug.urls import redact
from hubplug_auth._secret import Secret
from hubplug_auth._signers import Signer, sign_basic

_TIMEOUT = (10.0, 30.0)  # seconds: to connect, of silence
_RENEW_BEFORE_END = 60.0  # seconds; a download may be long, but only its beginning is signed
_MOST_ANSWER_BYTES = 1 << 20
_USUAL_LIFETIME = 300.0
_LONGEST_LIFETIME = 86_400.0


class ClientCredentials(Signer):
    """Signs with a bearer token that the token endpoint gives for a client's own name and secret."""

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: Secret,
        *,
        extra: Mapping[str, str],
        in_body: bool,
        ca_bundle: str | None,
    ) -> None:
        """Prepares; asks for no token yet.

        Args:
            token_url: The token endpoint.
            client_id: The client's name.
            client_secret: Its secret.
            extra: Further parameters of the token request: ``scope``, ``audience``.
            in_body: Whether name and secret go into the body, for servers that do not take them as basic authentication.
            ca_bundle: Trusted certificates for the token endpoint; None: those that ``requests`` trusts.
        """
        super().__init__(
            f"OAuth2 token for client {client_id!r} from {redact(token_url)}, rule for {client_secret.rule}",
            client_secret,
        )
        self._token_url = token_url
        self._client_id = client_id
        self._client_secret = client_secret
        self._extra = dict(extra)
        self._in_body = in_body
        self._ca_bundle = ca_bundle
        self._lock = ForkLock()
        self._token: str | None = None
        self._good_until = 0.0

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self._current()}"
        request.register_hook("response", self._renew_once)
        return request

    def _renew_once(self, response: Any, **settings: Any) -> Any:
        """The server may have withdrawn a token before its time."""
        used = response.request.headers.get("Authorization", "")
        if response.status_code != 401 or response.request.headers.get("Authorization") is None:
            return response
        again = response.request.copy()
        again.headers["Authorization"] = f"Bearer {self._current(refused=used.removeprefix('Bearer '))}"
        if again.headers["Authorization"] == used:
            return response
        response.close()
        return response.connection.send(again, **settings)

    def _current(self, refused: str | None = None) -> str:
        with self._lock:
            if self._token is None or time.monotonic() >= self._good_until or self._token == refused:
                self._token, lifetime = self._fetch()
                self._good_until = time.monotonic() + max(lifetime - _RENEW_BEFORE_END, lifetime / 2)
            return self._token

    def _fetch(self) -> tuple[str, float]:
        """A new token and its lifetime in seconds."""
        import requests
        from urllib3.exceptions import HTTPError

        secret = self._client_secret.read()
        form = {"grant_type": "client_credentials", **self._extra}
        if self._in_body:
            form |= {"client_id": self._client_id, "client_secret": secret}

        def sign(request: Any) -> Any:  # given always, or requests would look into netrc
            return request if self._in_body else sign_basic(request, quote_plus(self._client_id), quote_plus(secret))

        trusted = None
        if self._token_url.lower().startswith("https:"):
            trusted = bundle_at(self._ca_bundle, "ca_bundle") if self._ca_bundle else trusted_certificates()
        problem = None
        try:
            with requests.post(
                self._token_url,
                data=form,
                auth=sign,
                headers={"Accept": "application/json"},
                timeout=_TIMEOUT,
                allow_redirects=False,
                verify=trusted.path if trusted else True,
                stream=True,
            ) as response:
                status = response.status_code
                content = response.raw.read(_MOST_ANSWER_BYTES, decode_content=True)
        except (requests.RequestException, HTTPError, OSError) as error:
            problem = type(error).__name__  # its text may hold the URL's query
        if problem is not None:
            raise FetchError(
                f"The token endpoint {redact(self._token_url)} cannot be reached ({problem}), {self._for}",
                hint="check token_url, the proxy and ca_bundle of the rule",
            )
        answer = _as_mapping(content)
        token = answer.get("access_token")
        if status != 200 or not isinstance(token, str) or not token or not token.isprintable():
            said = answer.get("error")
            reason = f"status {status}" + (f", {said}" if isinstance(said, str) and said in _ERRORS else "")
            if status == 200 and not answer:
                reason += ", no JSON object"
            raise AccessError(
                f"The token endpoint {redact(self._token_url)} gave no token ({reason}), {self._for}",
                hint="check client_id, the client secret and scope of the rule",
            )
        return token, _seconds(answer.get("expires_in"))

    @property
    def _for(self) -> str:
        return f"for the rule for {self._client_secret.rule}; the request was not sent"


# RFC 6749, section 5.2: only these are quoted, as an endpoint may repeat what it was sent.
_ERRORS = frozenset({
    "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
})  # fmt: skip


def _as_mapping(content: bytes) -> Mapping[str, Any]:
    from hubplug.files.strict_json import parse_json

    try:
        answer = parse_json(content)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _seconds(lifetime: object) -> float:
    """The lifetime of a token; some endpoints send it as a text."""
    if isinstance(lifetime, str) and re.fullmatch("[0-9]{1,9}", lifetime):
        lifetime = int(lifetime)
    if isinstance(lifetime, (int, float)) and not isinstance(lifetime, bool) and lifetime > 0:
        return float(min(lifetime, _LONGEST_LIFETIME))
    return _USUAL_LIFETIME
