"""Why a request failed, in one sentence and a hint, and whether it is worth another try.

What libraries raise carries URLs with their queries, so none of it is passed on: it is taken apart here.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace

import requests
from urllib3 import exceptions as urllib3

from hubplug.errors import AccessError, FetchError, HandleError, HubplugError
from hubplug.shown.redaction import causes_of, scrub
from hubplug.urls import redact
from hubplug_http._certificate import issuer_of
from hubplug_http._options import ServerOptions
from hubplug_http._urls import host_of


@dataclass(frozen=True, eq=False, repr=False)
class Said:
    """A response that refuses.

    Attributes:
        url: Where it came from.
        status: Of HTTP.
        headers: By their names in lower case.
        start: The first bytes of its body.
        secrets: Texts that must not be shown although it may repeat them.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    start: bytes
    secrets: frozenset[str]


@dataclass(frozen=True, eq=False)
class Failure:
    """What to raise when nothing else can be tried.

    Attributes:
        error: The error, with its hint.
        passing: Whether the same request may succeed a little later.
        failover: Whether a mirror may be asked: the server cannot be reached or is broken, or has nothing there.
        wait: Seconds that the server asks to wait, or None.
        missing: Whether the server says that nothing is there.
        said: The response that says so, where there is one.
    """

    error: HubplugError
    passing: bool = False
    failover: bool = False
    wait: float | None = None
    missing: bool = False
    said: Said | None = None

    def without(self, secrets: frozenset[str]) -> Failure:
        """The same, showing none of these secrets: a server may have repeated one in what the error quotes."""
        error = self.error
        hint = None if error.hint is None else scrub(error.hint, secrets)
        return replace(self, error=type(error)(scrub(error.message, secrets), hint=hint))


class PrivateAddress(OSError):
    """A name stands for an address that is not a public one, and ``allow_private`` is off."""


def refused(message: str, url: str, hint: str | None = None) -> Failure:
    """A failure that neither a retry nor a mirror can fix."""
    return Failure(FetchError(f"{message} (while fetching {redact(url)})", hint=hint))


def describe_exception(
    error: BaseException,
    url: str,
    proxy: str | None,
    *,
    options: ServerOptions | None = None,
    verdict: str | None = None,
) -> Failure:
    """The failure behind an exception of ``requests``, ``urllib3``, ``ssl`` or ``socket``.

    Args:
        error: The exception.
        url: What was asked for.
        proxy: Host of the proxy in use, or None.
        options: The settings in effect, for hints.
        verdict: What the watch said when it shut the connection down, or None.
    """
    options = options or ServerOptions()
    host = _safe_host(url)
    shown = redact(url)
    causes = list(causes_of(error))
    via = f" through the proxy {proxy}" if proxy else ""
    if verdict is not None:
        return _passing(
            f"{host}{via} {verdict}: no progress while fetching {shown}", _raise_hint("min_rate or read_timeout")
        )
    for cause in causes:
        if isinstance(cause, PrivateAddress):
            return refused(
                f"{host} has a private address, and allow_private is false", url, "fetch it from a public server"
            )
        if isinstance(cause, socket.gaierror):
            name = f"the proxy {proxy}" if proxy else host
            failure = _passing(
                f"DNS: the name of {name} cannot be resolved ({cause.strerror}) for {shown}; proxy in use: {proxy or 'none'}",
                "check the host's spelling and the network; behind a proxy, set https_proxy or the option proxy",
            )
            # A name that does not exist will not exist in a second either.
            return replace(failure, passing=cause.errno != socket.EAI_NONAME)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(cause, url, proxy, options)
    if (refusal := _proxy_refusal(causes, host, proxy, shown)) is not None:
        return refusal
    for cause in causes:
        if isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            return _passing(
                f"TLS to {host}{via} failed: the connection was closed in the middle of it ({shown})",
                "check that this port speaks TLS; a proxy on the way may also have cut it",
            )
        if isinstance(cause, ConnectionResetError):
            break
        if isinstance(cause, ssl.SSLError):
            return Failure(
                FetchError(
                    f"TLS to {host}{via} failed: {_tls_reason(cause)} (while fetching {shown})",
                    hint="check that the port speaks TLS, and the options ca_bundle and client_cert for this host",
                )
            )
    for cause in causes:
        if isinstance(cause, ConnectionRefusedError):
            return _passing(
                f"{proxy or host} refused the connection{' to the proxy' if proxy else ''} ({shown})",
                "check host and port, and that the server runs",
            )
    for cause in causes:
        if isinstance(cause, urllib3.ConnectTimeoutError):
            return _passing(
                f"{host}{via} did not accept a connection within {options.connect_timeout:g} s ({shown})",
                _raise_hint("connect_timeout"),
            )
        if isinstance(cause, (urllib3.ReadTimeoutError, requests.ReadTimeout, TimeoutError)):
            return _passing(
                f"{host}{via} sent nothing for {options.read_timeout:g} s ({shown})", _raise_hint("read_timeout")
            )
    for cause in causes:
        if isinstance(cause, requests.exceptions.InvalidSchema) and "SOCKS" in str(cause):
            return refused(f"The SOCKS proxy {proxy} needs the package PySocks", url, "pip install 'requests[socks]'")
        if isinstance(cause, requests.exceptions.InvalidProxyURL):
            return refused("The proxy's URL is malformed", url, "check the option proxy, http_proxy and https_proxy")
        if isinstance(
            cause, (requests.exceptions.InvalidURL, urllib3.LocationParseError, requests.exceptions.InvalidSchema)
        ):
            return Failure(HandleError(f"{shown} is not a URL that can be requested", hint="check its host and port"))
        if isinstance(cause, (urllib3.InvalidHeader, requests.exceptions.InvalidHeader, UnicodeEncodeError)):
            return refused(
                f"{host} and this request do not agree: a header is malformed",
                url,
                "look at the headers in the configuration and at those of the server",
            )
    for cause in causes:
        if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException) and cause.strerror:
            return _passing(f"The connection to {host}{via} failed: {cause.strerror} ({shown})", "try again later")
    return _passing(f"{host}{via} closed the connection too early ({shown})", "try again later")


def _passing(message: str, hint: str) -> Failure:
    return Failure(FetchError(message, hint=hint), passing=True, failover=True)


def _raise_hint(option: str) -> str:
    return f"try again later; if this server is always slow, change {option} of the plugin http"


def _untrusted(error: ssl.SSLCertVerificationError, url: str, proxy: str | None, options: ServerOptions) -> Failure:
    host = _safe_host(url)
    reason = getattr(error, "verify_message", "") or "certificate verify failed"
    issuer = None if proxy else issuer_of(url, options.connect_timeout)
    who = f": issuer {issuer!r} not trusted" if issuer and getattr(error, "verify_code", 0) in (18, 19, 20, 21) else ""
    return Failure(
        FetchError(
            f"TLS to {host} failed{who} ({reason}) while fetching {redact(url)}",
            hint="set ca_bundle for this host to the file of the certificate authority that signs it; "
            "TFHUB_DISABLE_CERT_VALIDATION=true (exactly) switches the check off",
        )
    )


def _proxy_refusal(causes: list[BaseException], host: str, proxy: str | None, shown: str) -> Failure | None:
    if not any(isinstance(cause, (urllib3.ProxyError, requests.exceptions.ProxyError)) for cause in causes):
        return None
    for cause in causes:
        text = str(cause) if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException) else ""
        if text.startswith("Tunnel connection failed:"):
            status = text.removeprefix("Tunnel connection failed:").split()[:1]
            if status == ["407"]:
                return proxy_wants_credentials(proxy, shown)
            return Failure(
                FetchError(
                    f"The proxy {proxy} refused a connection to {host}: status {' '.join(status)} ({shown})",
                    hint="ask whoever runs the proxy, or exempt the host: no_proxy, or proxy: none for its prefix",
                ),
                failover=True,
            )
    return None


def proxy_wants_credentials(proxy: str | None, shown: str) -> Failure:
    """407, whether to a request or to a CONNECT for a tunnel."""
    return Failure(
        AccessError(
            f"The proxy {proxy or 'on the way'} requires credentials (407) for {shown}",
            hint="put them into the proxy's URL (http://user:password@host:port) in https_proxy or the option proxy",
        )
    )


def _tls_reason(error: ssl.SSLError) -> str:
    return (error.reason or error.strerror or type(error).__name__).replace("_", " ").lower()


def _safe_host(url: str) -> str:
    if "://***@" in redact(url):  # it may be the first half of a user name and password
        return "the host"
    try:
        return host_of(url)
    except ValueError:
        return redact(url)
