"""Brings modules from http and https servers, by the compressed and the uncompressed protocol of tfhub.dev.

This package decides which URL is asked for a handle (rewrite rules, mirrors, the format query); the private modules decide
how: sending, redirects, retries, stalls, what counts as an archive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hubplug.errors import ConfigError, HandleError
from hubplug.hookspecs import RunFetch, RunSend, hookimpl
from hubplug.shown.logs import logger
from hubplug.shown.words import scheme_meant
from hubplug.types import ArchiveStream, Declined, Handle, Plan, Source
from hubplug.urls import covering, redact
from hubplug.web import Network, WebAnswer, WebRequest
from hubplug_http._options import ServerSettings, check_prefix, read_servers
from hubplug_http._urls import (
    Rewrite,
    RewriteRule,
    candidates,
    find_address_error,
    is_http,
    names_an_archive,
    rewritten,
    rule_behind,
    with_format,
)

if TYPE_CHECKING:
    from hubplug_http._request import Sender

_LOG = logger("hubplug")

# Handles of the mirror in China are archives in a bucket.
REWRITE: Sequence[RewriteRule] = (
    {
        "from": r"https://hub\.tensorflow\.google\.cn/(.*)",
        "to": r"https://gcs.tensorflow.google.cn/tfhub-modules/\1.tar.gz",
        "format_query": False,
    },
)


class Http:
    """The plugin ``http``: resolves http(s) handles and downloads archives."""

    environment: ClassVar[Mapping[str, str]] = {
        "load_format": "TFHUB_MODEL_LOAD_FORMAT",
        "disable_cert_validation": "TFHUB_DISABLE_CERT_VALIDATION",
        "progress": "TFHUB_DOWNLOAD_PROGRESS",
    }
    # Credentials, and whatever would let an attacker on the way collect those of other plugins.
    trusted_options: ClassVar[Sequence[str]] = (
        "headers",
        "servers",
        "verify",
        "disable_cert_validation",
        "ca_bundle",
        "client_cert",
        "proxy",
    )

    def __init__(
        self,
        *,
        prefixes: Sequence[str] = (),
        rewrite: Sequence[RewriteRule] = REWRITE,
        mirrors: Sequence[str] = (),
        missing: Literal["error", "next"] = "error",
        load_format: Literal["AUTO", "COMPRESSED", "UNCOMPRESSED"] = "AUTO",
        format_query: bool = True,
        verify: bool = True,
        ca_bundle: str | None = None,
        client_cert: str | Sequence[str] | None = None,
        proxy: str | None = None,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
        min_rate: float = 1024.0,
        min_rate_window: float = 30.0,
        retries: int = 4,
        max_retry_wait: float = 60.0,
        servers: Mapping[str, ServerSettings] = {},
        headers: Mapping[str, Mapping[str, str]] = {},
        allow_private: bool = True,
        disable_cert_validation: bool | str = False,
        progress: bool | str = False,
    ) -> None:
        r"""Checks the options; opens nothing.

        Args:
            prefixes: The URLs that this instance takes; none: all.
            rewrite: Rules ``{from: <regular expression of the whole handle>, to: <template with \1>, format_query:
                <bool>}``; the first that matches counts, and the original handle stays the cache key.
            mirrors: Where else everything under ``prefixes`` is to be had; asked in order when a server cannot be
                reached or is broken (5xx), never when it refuses.
            missing: ``next``: a mirror is also asked when a server says that nothing is there (404, 410).
            load_format: ``COMPRESSED`` (an archive), ``UNCOMPRESSED`` (the server names a place on Google storage), or
                ``AUTO``, which means the former.
            format_query: Whether ``tf-hub-format=compressed`` is appended to URLs that do not name an archive.
            verify: Whether certificates are verified; of an instance with ``prefixes``, those of its own servers.
            ca_bundle: File or directory of trusted certificates; None: as the environment says.
            client_cert: PEM file with certificate and key, or the two files. It is presented to the servers of ``prefixes``
                and ``mirrors``; without these, to those of the handles; never to others that they redirect to.
            proxy: URL of a proxy, ``none``; None: as the environment says.
            connect_timeout: Seconds to wait until a server has accepted a connection.
            read_timeout: Longest silence, and longest time for the headers of a response, in seconds.
            min_rate: Bytes per second; a slower server is given up on.
            min_rate_window: Seconds over which ``min_rate`` is measured.
            retries: How often a request is retried after a transient error.
            max_retry_wait: The longest pause before that, in seconds.
            servers: URL prefix -> those of the options from ``format_query`` to ``max_retry_wait`` that differ there.
            headers: URL prefix -> headers to send there; they are not sent on after a redirect to another origin.
            allow_private: Whether a server may have an address that is not public.
            disable_cert_validation: True, or the text ``true`` of the environment: no certificate is verified.
            progress: Whether to draw a bar although no one seems to be watching; any text, in the environment.

        Raises:
            ConfigError: An option is not valid.
        """
        for prefix in prefixes:
            check_prefix(prefix, "prefixes")
        for mirror in mirrors:
            check_prefix(mirror, "mirrors")
        if mirrors and not prefixes:
            raise ConfigError("mirrors: set without prefixes", hint="name in prefixes the URLs that they mirror")
        self._prefixes = tuple(prefixes)
        self._rules = [Rewrite.from_option(rule, f"rewrite[{index}]") for index, rule in enumerate(rewrite)]
        self._mirrors = tuple(mirrors)
        self._next_when_missing = missing == "next"
        self._uncompressed = load_format == "UNCOMPRESSED"
        unverified = _is_true(disable_cert_validation)
        self._servers = read_servers(
            {
                "format_query": format_query,
                "verify": verify and not unverified,
                "ca_bundle": ca_bundle,
                "client_cert": client_cert,
                "proxy": proxy,
                "connect_timeout": connect_timeout,
                "read_timeout": read_timeout,
                "min_rate": min_rate,
                "min_rate_window": min_rate_window,
                "retries": retries,
                "max_retry_wait": max_retry_wait,
            },
            servers,
            headers,
            own=[*prefixes, *mirrors],
            check_elsewhere=not unverified,
        )
        self._allow_private = allow_private
        self._force_progress = bool(progress)
        self._warned: set[str] = set()

    @hookimpl
    def hubplug_resolve(self, handle: Handle) -> Source | Handle | Declined | None:
        if handle.scheme and (new := rewritten(handle, self._rules)) is not None:
            return handle.instead(new)
        if not is_http(handle.text):
            meant = scheme_meant(handle.scheme, ("https", "http"))
            return Declined(f"{handle.scheme}:// is neither http:// nor https://", hint=meant) if meant else None
        if (problem := find_address_error(handle.text)) is not None:
            raise HandleError(problem, hint="give the URL of a module: https://host/publisher/model/1")
        if (declined := self._elsewhere(handle.text)) is not None:
            return declined
        return Source(handle, handle.text)

    @hookimpl
    def hubplug_fetch(self, source: Source) -> Plan[RunFetch] | Declined | None:
        url = source.location
        if not is_http(url):
            return None
        if find_address_error(url) is None and (declined := self._elsewhere(url)) is not None:
            return declined
        urls = [self._asked(one, source.handle) for one in candidates(url, self._prefixes, self._mirrors)]
        uncompressed = self._uncompressed and urls[0] != url

        def run(tree: object, auth_for: Callable[..., Any]) -> ArchiveStream | Handle:
            from hubplug_http._download import Download

            download = Download(
                source,
                urls,
                servers=self._servers,
                auth_for=auth_for,
                sender=self._sender(),
                next_when_missing=self._next_when_missing,
                agent=_agent(),
                force_progress=self._force_progress,
            )
            return download.location() if uncompressed else download.archive()

        where = ", else ".join(redact(one) for one in urls)
        what = f"ask {where} where it is on Google storage" if uncompressed else f"download {where} as an archive"
        return Plan(what, run, network=True, asks_about=urls)

    @hookimpl
    def hubplug_send(self, request: WebRequest) -> Plan[RunSend] | Declined | None:
        if not is_http(request.url):
            return None
        if find_address_error(request.url) is None and (declined := self._elsewhere(request.url)) is not None:
            return declined

        def run(auth_for: Network) -> WebAnswer:
            from hubplug_http._download import Download
            from hubplug_http._question import ask

            download = Download(
                Source(request.handle, request.url),
                [request.url],
                servers=self._servers,
                auth_for=auth_for,
                sender=self._sender(),
                next_when_missing=False,
                agent=_agent(),
                accept="application/json, */*",
                follows=request.follow,
            )
            return ask(request, download)

        return Plan(f"ask {redact(request.url)}", run, network=True)

    def _sender(self) -> Sender:
        from hubplug_http._request import Sender

        return Sender(allow_private=self._allow_private, warn_unverified=self._warn_unverified)

    def _elsewhere(self, url: str) -> Declined | None:
        if not self._prefixes or covering(url, self._prefixes) is not None:
            return None
        return Declined(f"takes only {', '.join(map(redact, self._prefixes))}")

    def _asked(self, url: str, handle: Handle) -> str:
        """The URL with the format query, where it bears one."""
        rule = rule_behind(handle, self._rules)
        wanted = self._servers.at(url).format_query
        if rule is not None and rule.format_query is not None:
            wanted = rule.format_query
        # Where another plugin says where its own handle lives, it says it in full.
        if not wanted or names_an_archive(url) or not is_http(handle.text):
            return url
        return with_format(url, "uncompressed" if self._uncompressed else "compressed")

    def _warn_unverified(self, host: str) -> None:
        if host not in self._warned:
            self._warned.add(host)
            _LOG.warning(
                "The certificate of %s is not verified: anyone on the network path can read and change what it sends",
                host,
            )


def _is_true(value: bool | str) -> bool:
    """Whether validation is switched off: of the environment only the text ``true`` counts, as in tensorflow_hub."""
    if isinstance(value, str) and value not in ("", "true", "false"):
        _LOG.warning("TFHUB_DISABLE_CERT_VALIDATION=%s has no effect: only 'true' counts", value[:40])
    return value is True or value == "true"


def _agent() -> str:
    try:
        return f"hubplug/{version('hubplug')}"
    except PackageNotFoundError:  # run from a source tree
        return "hubplug/0"
