"""Which URL is asked for: rewrite rules, mirrors, the format query. Pure functions of text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict
from urllib.parse import unquote, unquote_plus, urlsplit, urlunsplit

from hubplug.errors import ConfigError
from hubplug.types import Handle
from hubplug.urls import covering, find_url_error, normal_form, redact, scheme_of

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".zip")
_FORMAT = "tf-hub-format"


_FromTo = TypedDict("_FromTo", {"from": str, "to": str})


class RewriteRule(_FromTo, total=False):
    """A rewrite rule as it is written."""

    format_query: bool | None


@dataclass(frozen=True)
class Rewrite:
    """One rewrite rule: a handle that ``pattern`` matches as a whole is asked for under another name.

    Attributes:
        pattern: Of the handle's text.
        template: With ``\\1`` and ``\\g<name>`` for the groups of ``pattern``.
        format_query: Whether the format query is appended to the result; None leaves it to the options of its prefix.
    """

    pattern: re.Pattern[str]
    template: str
    format_query: bool | None = None

    @classmethod
    def from_option(cls, rule: RewriteRule, key_path: str) -> Rewrite:
        """Reads ``{from: <regular expression>, to: <template>, format_query: <bool>}``.

        Raises:
            ConfigError: The expression or the template is wrong.
        """
        try:
            pattern = re.compile(rule["from"])
        except re.error as error:
            raise ConfigError(f"{key_path}.from: {rule['from']!r} is not a regular expression: {error}") from error
        try:
            pattern.sub(rule["to"], "")  # parses the template, whether or not anything matches
        except (re.error, IndexError) as error:
            raise ConfigError(
                f"{key_path}.to: {rule['to']!r} does not fit the groups of {rule['from']!r}: {error}"
            ) from error
        return cls(pattern, rule["to"], rule.get("format_query"))

    def apply(self, text: str) -> str | None:
        """What ``text`` is rewritten to, as it is written or in its normal form; None when the rule does not match."""
        match = self.pattern.fullmatch(text)
        if match is None and is_http(text) and find_url_error(text) is None:
            match = self.pattern.fullmatch(normal_form(text))
        return None if match is None else match.expand(self.template)


def rewritten(handle: Handle, rules: Sequence[Rewrite]) -> str | None:
    """What a handle is rewritten to; None when no rule matches or these rules have spoken already.

    A rule may match its own result (``https://a/(.*)`` to ``https://a/mirror/\\1``), so a handle that these rules made is
    left alone.
    """
    before = handle.asked_before
    if before is not None and _first(before.text, rules)[0] == handle.text:
        return None
    text = _first(handle.text, rules)[0]
    return None if text == handle.text else text


def rule_behind(handle: Handle, rules: Sequence[Rewrite]) -> Rewrite | None:
    """The rule that made this handle, or None."""
    if handle.asked_before is None:
        return None
    text, rule = _first(handle.asked_before.text, rules)
    return rule if text == handle.text else None


def with_format(url: str, value: str) -> str:
    """``url`` with ``tf-hub-format=<value>`` after whatever query it has; a fragment is dropped."""
    address, question, query = url.partition("#")[0].partition("?")
    parts = query.split("&") if query else []
    if any(unquote_plus(part.partition("=")[0]) == _FORMAT for part in parts):
        return address + question + query
    joint = "" if not query or query.endswith("&") else "&"
    return f"{address}?{query}{joint}{_FORMAT}={value}"


def names_an_archive(url: str) -> bool:
    """Whether the URL itself ends in the suffix of an archive; google.cn puts it behind a query."""
    bare = url.partition("#")[0].lower()
    return bare.endswith(ARCHIVE_SUFFIXES) or bare.partition("?")[0].endswith(ARCHIVE_SUFFIXES)


def candidates(url: str, prefixes: Sequence[str], mirrors: Sequence[str]) -> list[str]:
    """The URL itself, then what it is called at each mirror of the prefix that covers it."""
    prefix = covering(url, prefixes)
    if prefix is None:
        return [url]
    parts, path_of_prefix = urlsplit(normal_form(url)), urlsplit(normal_form(prefix)).path.rstrip("/")
    if not parts.path.startswith(path_of_prefix):  # the same place in another spelling, as with //: no mirror knows it
        return [url]
    rest = parts.path[len(path_of_prefix) :] + (f"?{parts.query}" if parts.query else "")
    return [url, *(mirror.rstrip("/") + rest for mirror in mirrors)]


def is_http(url: str) -> bool:
    return scheme_of(url).lower() in ("http", "https")


def find_address_error(url: str) -> str | None:
    """What is wrong with an http(s) URL, in words; None for a good one."""
    problem = find_url_error(url)
    if problem is None and " " in url.partition("?")[0]:
        problem = "it contains a space"
    return None if problem is None else f"{redact(url)!r} is not a URL: {problem}"


def host_of(url: str) -> str:
    """Host and port as a person reads them, without userinfo."""
    return urlsplit(url).netloc.rpartition("@")[2]


def without_userinfo(url: str) -> tuple[str, tuple[str, str] | None]:
    """The URL without userinfo, and the user name and password that it had."""
    parts = urlsplit(url)
    userinfo, at, authority = parts.netloc.rpartition("@")
    if not at:
        return url, None
    user, _, password = userinfo.partition(":")
    return urlunsplit(parts._replace(netloc=authority)), (unquote(user), unquote(password))


def _first(text: str, rules: Sequence[Rewrite]) -> tuple[str | None, Rewrite | None]:
    for rule in rules:
        if (new := rule.apply(text)) is not None:
            return new, rule
    return None, None
