"""Sends one request: with ``requests``, through no connection but those of ``_connections``.

Every origin and set of options has connections, cookies and a watch of its own, which live as long as one download: so a
connection whose certificate was not verified is never used by a request that wants it verified.
"""

from __future__ import annotations

import functools
import logging
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.hooks import dispatch_hook
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError

from hubplug.errors import HubplugError
from hubplug.settings.certificates import bundle_at, trusted_certificates
from hubplug.shown.logs import logger
from hubplug.urls import find_url_error, origin_of
from hubplug_http._client_certificate import demand_usable
from hubplug_http._connections import WatchedAdapter, is_public
from hubplug_http._failures import Failure, PrivateAddress, describe_exception, refused
from hubplug_http._options import ServerOptions
from hubplug_http._secrets import credentials_of, redact_record, secrets_of
from hubplug_http._stall import Watch
from hubplug_http._urls import host_of

_LOG = logger("hubplug")
_LIBRARY_LOGS = [logging.getLogger(f"urllib3.{name}") for name in ("connection", "connectionpool", "util.retry")]


@dataclass(frozen=True, eq=False)
class Answer:
    """The head of a server's response; the body is still to be read.

    Attributes:
        url: What was asked for at the end of all redirects. It may hold a secret.
        response: The response; its body is read raw, as the archive's own compression does not concern HTTP.
        watch: What watches the connection.
        rule: What the request was signed with, in words; None when unsigned.
        hint: What to do when the server refuses, as far as the signer knows; else None.
        secrets: Texts that must not be shown although the server may repeat them.
        proxy: Host of the proxy in use, or None.
    """

    url: str
    response: requests.Response
    watch: Watch
    rule: str | None
    hint: str | None
    secrets: frozenset[str]
    proxy: str | None

    @property
    def status(self) -> int:
        return self.response.status_code

    def header(self, name: str) -> str | None:
        value: str | None = self.response.headers.get(name)
        return value

    @property
    def headers(self) -> dict[str, str]:
        """All headers, by their names in lower case."""
        return {name.lower(): value for name, value in self.response.headers.items()}

    def read(self, size: int) -> bytes:
        """What has arrived, at most ``size`` bytes; none only at the end.

        Raises:
            Any of the exceptions of ``urllib3`` and ``socket``.
        """
        with self.watch.body():
            data: bytes = self.response.raw.read1(size, decode_content=False)
        if self.watch.verdict is not None:  # its shutting down looks like the end of the body
            raise ConnectionAbortedError(self.watch.verdict)
        self.watch.received(len(data))
        return data

    def beginning(self, size: int = 512) -> bytes:
        """The first bytes of a body that is of no further use; empty where they cannot be read."""
        data = b""
        try:
            while len(data) < size and (more := self.read(size - len(data))):
                data += more
        except (HTTPError, OSError):
            pass
        return data

    def close(self) -> None:
        self.response.close()
        self.watch.drop()


class Sender:
    """Sends the requests of one download.

    Attributes:
        credentials: All that were sent with any of them.
    """

    def __init__(
        self, *, allow_private: bool = True, warn_unverified: Callable[[str], None] = lambda host: None
    ) -> None:
        self._allow_private = allow_private
        self._warn_unverified = warn_unverified
        self._origins: dict[Any, _Origin] = {}
        self.credentials: frozenset[str] = frozenset()

    def prepare(self, url: str, headers: dict[str, str]) -> requests.PreparedRequest | Failure:
        """A GET request that is neither signed nor sent; its ``url`` is in the form in which it will be used."""
        try:
            return requests.Request("GET", url, headers=headers).prepare()
        except (requests.RequestException, HTTPError, ValueError) as error:
            return describe_exception(error, url, None)

    def send(
        self, prepared: requests.PreparedRequest, options: ServerOptions, auth: Callable[[Any], Any] | None
    ) -> Answer | Failure:
        """Signs and sends a request.

        Returns:
            The head of the response, whatever its status; or why there is none.
        """
        url = str(prepared.url)
        origin = self._origin(url, options)
        prepared.prepare_cookies(origin.cookies)
        rule = None
        if auth is not None:
            prepared.prepare_auth(auth)
            rule = str(getattr(auth, "hubplug_rule", type(auth).__name__))
            if origin_of(str(prepared.url)) != origin_of(url):
                return refused(
                    f"The signer of requests to {host_of(url)} changed this one to another host", url, f"fix {rule}"
                )
        if not self._allow_private and _has_private_address(url):
            return describe_exception(PrivateAddress(), url, None)
        proxies = _proxies(url, options)
        proxy_url = select_proxy(url, proxies)
        proxy = _proxy_host(proxy_url)
        self.credentials |= credentials_of(prepared, proxy_url)
        if proxy == "":
            return describe_exception(requests.exceptions.InvalidProxyURL(), url, None)
        if url.startswith("https:") and not options.verify:
            self._warn_unverified(host_of(url))
        settings: dict[str, Any] = {
            "stream": True,
            "timeout": (options.connect_timeout, options.read_timeout),
            "verify": origin.prepare_tls() if "https:" in (url[:6], (proxy_url or "")[:6]) else True,
            "cert": options.client_cert,
            "proxies": proxies,
        }
        failure = None
        try:
            with origin.watch.head(), quiet_log():
                response = origin.adapter.send(prepared, **settings)
                response = dispatch_hook("response", prepared.hooks, response, **settings)  # type: ignore[no-untyped-call]
        except HubplugError:  # what signed it could not sign it a second time
            raise
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            failure = describe_exception(error, url, proxy, options=options, verdict=origin.watch.verdict)
        if failure is not None:
            return failure
        requests.cookies.extract_cookies_to_jar(origin.cookies, prepared, response.raw)  # type: ignore[no-untyped-call]
        # What signed it may have sent it a second time.
        self.credentials |= credentials_of(response.request, proxy_url)
        secrets = secrets_of(prepared, proxy_url) | secrets_of(response.request, proxy_url) | self.credentials
        return Answer(url, response, origin.watch, rule, getattr(auth, "hubplug_hint", None), secrets, proxy)

    def renew(self) -> None:
        """Closes all connections: the next request opens one of its own."""
        for origin in self._origins.values():
            origin.close()
        self._origins = {
            key: _Origin(one.options, self._allow_private, one.cookies) for key, one in self._origins.items()
        }

    def close(self) -> None:
        for origin in self._origins.values():
            origin.close()
        self._origins.clear()

    def _origin(self, url: str, options: ServerOptions) -> _Origin:
        key = (origin_of(url), options)
        known = self._origins.get(key)
        if known is not None and known.watch.verdict is not None:
            known.close()
            self._origins[key] = _Origin(options, self._allow_private, known.cookies)
        elif known is None:
            self._origins[key] = _Origin(options, self._allow_private, requests.cookies.RequestsCookieJar())
        return self._origins[key]


class _Origin:
    """Connections to one scheme, host and port, with one set of options."""

    def __init__(
        self, options: ServerOptions, allow_private: bool, cookies: requests.cookies.RequestsCookieJar
    ) -> None:
        self.options = options
        self.cookies = cookies
        self.watch = Watch(options)
        self.adapter = WatchedAdapter(self.watch, allow_private)

    def prepare_tls(self) -> bool | str:
        """Reads the certificates that are needed: what requests calls ``verify``.

        Raises:
            ConfigError: They are not there, or cannot be used.
        """
        options = self.options
        if options.client_cert is not None:
            demand_usable(options.client_cert)
        if not options.verify:
            return False
        if self.adapter.bundle is None:
            named = options.ca_bundle
            self.adapter.bundle = trusted_certificates() if named is None else bundle_at(named, "ca_bundle")
        return self.adapter.bundle.path if self.adapter.bundle else True

    def close(self) -> None:
        self.adapter.close()
        self.watch.close()


def _has_private_address(url: str) -> bool:
    parts = urlsplit(url)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False  # connecting will say so, or a proxy knows the name
    return not all(is_public(str(address[0])) for *_, address in found)


def _proxies(url: str, options: ServerOptions) -> dict[str, str]:
    if options.proxy == "none":
        return {}
    if options.proxy is not None:
        return {"http": options.proxy, "https": options.proxy}
    return dict(get_environ_proxies(url))


def _proxy_host(proxy_url: str | None) -> str | None:
    """Host and port of a proxy; empty for one whose URL is malformed, None for none."""
    if not proxy_url:
        return None
    url = proxy_url if "://" in proxy_url else f"http://{proxy_url}"
    # requests reads "me:pass/word@proxy" as the host "me".
    return "" if find_url_error(url) or re.search("://[^/?#]*[/?#].*@", url) else host_of(url)


@contextmanager
def quiet_log() -> Iterator[None]:
    """Keeps secrets out of what urllib3 logs."""
    redacting = functools.partial(redact_record)  # its own object: another download may be under way
    for log in _LIBRARY_LOGS:
        log.addFilter(redacting)
    try:
        yield
    finally:
        for log in _LIBRARY_LOGS:
            log.removeFilter(redacting)
