"""Which settings hold for a URL: those of the plugin, overlaid by those of the longest prefix that covers the URL."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, cast

from hubplug.errors import ConfigError
from hubplug.urls import covering, find_prefix_error, normal_form, origin_of, redact
from hubplug_http._urls import is_http

_POSITIVE = ("connect_timeout", "read_timeout", "min_rate_window")
_NOT_NEGATIVE = ("min_rate", "retries", "max_retry_wait")
# Three years, in seconds: no system waits that long, and no user intends it.
_MOST = 100_000_000


class ServerSettings(TypedDict, total=False):
    """What can be written of one server; its meaning is that of ``ServerOptions``."""

    format_query: bool
    verify: bool
    ca_bundle: str | None
    client_cert: str | Sequence[str] | None
    proxy: str | None
    connect_timeout: float
    read_timeout: float
    min_rate: float
    min_rate_window: float
    retries: int
    max_retry_wait: float


@dataclass(frozen=True, repr=False)
class ServerOptions:
    """How to talk to one server.

    Attributes:
        format_query: Whether ``tf-hub-format=compressed`` is appended; signed URLs do not bear it.
        verify: Whether the server's certificate is verified.
        ca_bundle: File or directory of trusted certificates; None: those that ``requests`` trusts.
        client_cert: PEM file with certificate and key, or the two files.
        proxy: URL of a proxy; ``none`` for no proxy; None: as the environment says.
        connect_timeout: Seconds to wait until a server has accepted a connection.
        read_timeout: Longest silence in seconds; also for all headers of a response.
        min_rate: Bytes per second; a slower server is given up on.
        min_rate_window: Seconds over which ``min_rate`` is measured.
        retries: How often a request is retried after a transient error.
        max_retry_wait: The longest pause in seconds; a server that asks for a longer one is given up on.
    """

    format_query: bool = True
    verify: bool = True
    ca_bundle: str | None = None
    client_cert: str | tuple[str, str] | None = None
    proxy: str | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    min_rate: float = 1024.0
    min_rate_window: float = 30.0
    retries: int = 4
    max_retry_wait: float = 60.0


@dataclass(frozen=True, repr=False)
class Servers:
    """The settings of the plugin instance and of URL prefixes.

    Attributes:
        default: Where no prefix says otherwise.
        by_prefix: Settings by URL prefix.
        headers: Headers that the user set, by URL prefix; the values may be secrets.
        own: The origins of the plugin instance; none: whatever it is asked for.
        given: By URL prefix, the names of the settings that are written there.
        check_elsewhere: Whether certificates of other servers are verified in any case.
    """

    default: ServerOptions
    by_prefix: Mapping[str, ServerOptions] = field(default_factory=dict)
    headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    own: frozenset[tuple[str, str, int | None]] = frozenset()
    given: Mapping[str, Collection[str]] = field(default_factory=dict)
    check_elsewhere: bool = True

    def at(self, url: str, *, left: bool = False) -> ServerOptions:
        """The settings for a URL.

        What the instance as a whole is told of its client certificate, and of not verifying others, is about its own servers
        and about none that one of them redirects to.

        Args:
            url: What is to be asked for.
            left: Whether redirects have led to another origin.
        """
        prefix = covering(url, list(self.by_prefix))
        options, given = (self.default, ()) if prefix is None else (self.by_prefix[prefix], self.given[prefix])
        if origin_of(url) in self.own if self.own else not left:
            return options
        if "client_cert" not in given:
            options = dataclasses.replace(options, client_cert=None)
        if "verify" not in given and self.own and self.check_elsewhere:
            options = dataclasses.replace(options, verify=True)
        return options

    def headers_for(self, url: str) -> dict[str, str]:
        """The user's headers for a URL; a longer prefix wins over a shorter one."""
        merged: dict[str, str] = {}
        for prefix in sorted(self.headers, key=lambda one: len(normal_form(one))):
            if covering(url, [prefix]) is not None:
                merged.update(self.headers[prefix])
        return merged


def read_servers(
    default: ServerSettings,
    by_prefix: Mapping[str, ServerSettings],
    headers: Mapping[str, Mapping[str, str]],
    *,
    own: Sequence[str] = (),
    check_elsewhere: bool = True,
) -> Servers:
    """Checks the settings of all prefixes.

    Args:
        default: Those of the plugin instance.
        by_prefix: Those that differ.
        headers: By prefix.
        own: URLs of the instance's servers; none: all.
        check_elsewhere: Whether certificates of other servers are verified in any case.

    Raises:
        ConfigError: A prefix is not an http(s) URL, or a value is not valid.
    """
    settings = server_options(ServerOptions(), default, "")
    for prefix in (*by_prefix, *headers):
        check_prefix(prefix, "servers" if prefix in by_prefix else "headers")
    if len({normal_form(prefix).rstrip("/") for prefix in by_prefix}) < len(by_prefix):
        raise ConfigError("servers: two of its prefixes are the same", hint="put their settings together")
    for prefix, values in headers.items():
        _check_headers(values, f"headers[{redact(prefix)!r}]")
    return Servers(
        settings,
        {
            prefix: server_options(settings, given, f"servers[{redact(prefix)!r}].")
            for prefix, given in by_prefix.items()
        },
        {prefix: dict(values) for prefix, values in headers.items()},
        frozenset(map(origin_of, own)),
        {prefix: frozenset(given) for prefix, given in by_prefix.items()},
        check_elsewhere,
    )


def server_options(base: ServerOptions, given: ServerSettings, key_path: str) -> ServerOptions:
    """``base`` with some settings replaced.

    Raises:
        ConfigError: Names the key path, what was found and what is possible.
    """
    changed = cast("dict[str, Any]", dict(given))
    for name, value in list(changed.items()):
        if problem := _find_value_error(name, value):
            raise ConfigError(f"{key_path}{name}: {problem}")
        if name == "client_cert" and value is not None and not isinstance(value, str):
            changed[name] = tuple(value) if len(value) > 1 else value[0]
    return dataclasses.replace(base, **changed)


def check_prefix(prefix: str, key_path: str) -> None:
    """Raises ConfigError unless ``prefix`` can be the beginning of an http(s) URL."""
    if not is_http(prefix) or find_prefix_error(prefix):
        raise ConfigError(
            f"{key_path}: {redact(prefix)!r} is not the beginning of an http(s) URL",
            hint="write it with its scheme and host: https://hub.example.com/",
        )


def _find_value_error(name: str, value: Any) -> str | None:
    if value is None or name in ("format_query", "verify"):
        return None
    if name in _POSITIVE or name in _NOT_NEGATIVE:
        if 0 < value <= _MOST or (value == 0 and name in _NOT_NEGATIVE):
            return None
        return f"expected a number {'above' if name in _POSITIVE else 'from'} 0, and {_MOST:,} at most, got {value!r}"
    if name == "proxy":
        usable = value == "none" or "://" in value
        return None if usable else "expected the URL of a proxy (http://proxy.example.com:3128), or none"
    files = [value] if isinstance(value, str) else value
    if len(files) not in (1, 2):
        return f"expected a path or two, got {value!r}"
    missing = [one for one in files if not os.path.exists(one)]
    return f"there is no {missing[0]!r}" if missing else None


def _check_headers(values: Mapping[str, str], key_path: str) -> None:
    for name, value in values.items():
        if any(character in "\r\n\0" for character in name + value):
            raise ConfigError(
                f"{key_path}.{name.split()[0] if name.split() else name!r}: a header must be a single line"
            )
