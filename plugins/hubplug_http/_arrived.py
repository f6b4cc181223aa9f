"""What arrived: an archive, or something else that deserves its own sentence. Pure functions of a status and some bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hubplug.errors import AccessError, ArchiveError, FetchError, HubplugError, MissingError
from hubplug_http._secrets import scrubbed

_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")
_TAR_MAGIC_AT = 257
PEEKED = 512
_LFS = b"version https://git-lfs.github.com/spec/"
_EXCERPT = 100


@dataclass(frozen=True)
class Arrival:
    """What is known of an answer.

    Attributes:
        asked: The handle, redacted.
        final: Where the answer came from, after redirects; redacted.
        host: Of ``final``.
        rule: What the request was signed with, or None.
        media_type: Its Content-Type, or None.
        secrets: Texts that must not be shown.
    """

    asked: str
    final: str
    host: str
    rule: str | None = None
    media_type: str | None = None
    secrets: frozenset[str] = frozenset()


def find_body_error(start: bytes, arrival: Arrival) -> HubplugError | None:
    """What is wrong with a successful answer, judged by its first bytes; None for what may be an archive."""
    if _is_archive(start):
        return None
    what, hint = _name_of(start, arrival)
    if what is None:
        return None
    excerpt = excerpt_of(start, arrival.secrets)
    begins = f" (first bytes: {excerpt!r})" if excerpt else ""
    return ArchiveError(f"{arrival.asked}: {arrival.host} sent {what}, not an archive{begins}", hint=hint)


def find_status_error(status: int, start: bytes, arrival: Arrival, wait: float | None = None) -> HubplugError:
    """The error for an answer that is no success.

    Args:
        status: Of HTTP.
        start: The first bytes of the body.
        arrival: What else is known of the answer.
        wait: Seconds that the server asks to wait, or None.
    """
    excerpt = excerpt_of(start, arrival.secrets)
    body = f". Body: {excerpt!r}" if excerpt else ""
    signed = f"Credentials: {arrival.rule or f'none, no rule matches {arrival.host}'}"
    where = f"{arrival.asked}: {arrival.host}"
    if arrival.final.partition("?")[0] != arrival.asked.partition("?")[0]:
        where += f" (at {arrival.final})"
    later = "later" if wait is None else f"in {wait:,.0f} s, as the server wishes"
    if status == 401:
        hint = (
            "check that the secret is right and not expired"
            if arrival.rule
            else "add a rule for this host to the plugin auth"
        )
        return AccessError(f"{where} wants credentials (401). {signed}{body}", hint=hint)
    if status == 403:
        hint = (
            "ask the publisher to give these credentials access"
            if arrival.rule
            else "add a rule for this host to the plugin auth; a signed URL may have expired, or may not bear the format "
            "query (format_query: false)"
        )
        return AccessError(f"{where} refused (403). {signed}{body}", hint=hint)
    if status in (404, 410):
        gone = "has nothing there (404)" if status == 404 else "had it, and has withdrawn it (410)"
        return MissingError(
            f"{where} {gone}. {signed}{body}",
            hint="check the spelling and the version; a rewrite rule or a mirror can point old handles to another store",
        )
    if status >= 500:
        return FetchError(f"{where} is out of order ({status}){body}", hint=f"ask again {later}, or configure a mirror")
    if status in (408, 429):
        return FetchError(f"{where} is too busy ({status}){body}", hint=f"ask again {later}")
    if status == 400:
        hint = "a signed URL does not bear the format query: set format_query: false for its prefix"
        return FetchError(f"{where} does not understand the request (400){body}", hint=hint)
    if status == 303 and start.startswith(b"gs://"):
        hint = "set TFHUB_MODEL_LOAD_FORMAT=UNCOMPRESSED: this server only says where a module is on Google storage"
        return FetchError(f"{where} has no archive (303)", hint=hint)
    return FetchError(f"{where} answered with status {status}{body}", hint="ask whoever runs the server")


def excerpt_of(start: bytes, secrets: frozenset[str]) -> str:
    """The first line of some text as it may be shown; empty for what is no text."""
    text = start.decode("utf-8", "replace")
    if not text or sum(c.isprintable() or c in "\r\n\t" for c in text) < 0.9 * len(text):
        return ""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    shown = "".join(c for c in scrubbed(line, secrets) if c.isprintable())
    # A server that quotes the URL back would quote its query too.
    shown = re.sub(r"([?&;][\w.~-]+=)[^&\s\"'<>]+", r"\1***", shown)
    return shown[:_EXCERPT]


def _is_archive(start: bytes) -> bool:
    return start.startswith(_MAGIC) or start[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar"


def _name_of(start: bytes, arrival: Arrival) -> tuple[str | None, str | None]:
    kind = (arrival.media_type or "").partition(";")[0].strip().lower()
    head = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        return "an empty body", "ask whoever runs the server; a proxy may also have swallowed it"
    if head.startswith(_LFS):
        return (
            "a git-LFS pointer",
            "ask for the file itself (media.githubusercontent.com, or git lfs pull on the server)",
        )
    if kind in ("text/html", "application/xhtml+xml") or head.startswith((b"<!doctype html", b"<html")):
        return "text/html", "is it a login page? open it in a browser; a private server needs a rule in the plugin auth"
    if kind == "application/json" or kind.endswith("+json") or re.match(rb'[{\[]\s*["{\[\]}0-9tfn]', head):
        return "JSON", "the server answered with a message; does it publish modules at this URL?"
    if head.startswith(b"<?xml") or kind in ("application/xml", "text/xml"):
        return "XML", "storage services send their errors so; check the URL and the credentials"
    if kind.startswith("text/") and excerpt_of(start, frozenset()):
        return kind, "does the server publish modules at this URL?"
    return None, None
