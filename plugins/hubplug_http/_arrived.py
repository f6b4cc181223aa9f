"""What arrived: an archive, or something else that deserves its own sentence. Pure functions of a status and some bytes."""

from __future__ import annotations

from dataclasses import dataclass

from hubplug.errors import AccessError, ArchiveError, FetchError, HubplugError, MissingError
from hubplug.shown.redaction import excerpt
from hubplug.shown.sniffing import sniff

_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")
_TAR_MAGIC_AT = 257
PEEKED = 512


@dataclass(frozen=True)
class Arrival:
    """What is known of a response.

    Attributes:
        asked: The handle, redacted.
        final: Where the response came from, after redirects; redacted.
        host: Of ``final``.
        rule: What the request was signed with, or None.
        hint: What the signer knows to do when the server refuses, or None.
        media_type: Its Content-Type, or None.
        secrets: Texts that must not be shown.
    """

    asked: str
    final: str
    host: str
    rule: str | None = None
    hint: str | None = None
    media_type: str | None = None
    secrets: frozenset[str] = frozenset()


def find_body_error(start: bytes, arrival: Arrival) -> HubplugError | None:
    """What is wrong with a successful response, judged by its first bytes; None for what may be an archive."""
    if _is_archive(start):
        return None
    shown = excerpt(start, arrival.secrets)
    kind = (arrival.media_type or "").partition(";")[0].strip().lower()
    named = sniff(start, kind)
    if named is None and kind.startswith("text/") and shown:
        named = f"{kind}, not an archive", "does the server publish modules at this URL?"
    if named is None:
        return None
    begins = f" (it begins {shown!r})" if shown else ""
    return ArchiveError(
        f"{arrival.asked}: what {arrival.host} sent is {named[0]}{begins}", hint=arrival.hint or named[1]
    )


def find_status_error(status: int, start: bytes, arrival: Arrival, wait: float | None = None) -> HubplugError:
    """The error for a response that is not a success.

    Args:
        status: Of HTTP.
        start: The first bytes of the body.
        arrival: What else is known of the response.
        wait: Seconds that the server asks to wait, or None.
    """
    shown = excerpt(start, arrival.secrets)
    body = f". Body: {shown!r}" if shown else ""
    signed = f"Credentials: {arrival.rule or f'none, no rule matches {arrival.host}'}"
    where = f"{arrival.asked}: {arrival.host}"
    if arrival.final.partition("?")[0] != arrival.asked.partition("?")[0]:
        where += f" (at {arrival.final})"
    later = "later" if wait is None else f"in {wait:,.0f} s, as the server asks"
    if status == 401:
        hint = (
            "check that the secret is right and not expired"
            if arrival.rule
            else "add a rule for this host to the plugin auth"
        )
        return AccessError(f"{where} requires credentials (401). {signed}{body}", hint=arrival.hint or hint)
    if status == 403:
        hint = (
            "ask the publisher to give these credentials access"
            if arrival.rule
            else "add a rule for this host to the plugin auth; a signed URL may have expired, or may not bear the format "
            "query (format_query: false)"
        )
        return AccessError(f"{where} refused access (403). {signed}{body}", hint=arrival.hint or hint)
    if status in (404, 410):
        gone = "has nothing at this URL (404)" if status == 404 else "no longer has it (410)"
        return MissingError(
            f"{where} {gone}. {signed}{body}",
            hint="check the spelling and the version; a rewrite rule or a mirror can point old handles to another store",
        )
    if status >= 500:
        return FetchError(
            f"{where} returned a server error ({status}){body}", hint=f"try again {later}, or configure a mirror"
        )
    if status in (408, 429):
        return FetchError(f"{where} is too busy ({status}){body}", hint=f"try again {later}")
    if status == 400:
        hint = "a signed URL does not bear the format query: set format_query: false for its prefix"
        return FetchError(f"{where} does not understand the request (400){body}", hint=hint)
    if status == 303 and start.startswith(b"gs://"):
        hint = "set TFHUB_MODEL_LOAD_FORMAT=UNCOMPRESSED: this server only says where a module is on Google storage"
        return FetchError(f"{where} has no archive (303)", hint=hint)
    return FetchError(f"{where} responded with status {status}{body}", hint="ask whoever runs the server")


def _is_archive(start: bytes) -> bool:
    return start.startswith(_MAGIC) or start[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar"
