"""What comes in the place of an archive, in words: servers respond with pages, messages and pointers."""

from __future__ import annotations

import re

_LFS = b"version https://git-lfs.github.com/spec/"


def sniff(start: bytes, media_type: str | None = None) -> tuple[str, str] | None:
    """What something is that is not an archive, and a hint; None for what is none of these.

    Args:
        start: Its first bytes.
        media_type: What the server says it is, or None.
    """
    kind = (media_type or "").partition(";")[0].strip().lower()
    head = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        return (
            "empty: 0 bytes arrived",
            "ask its publisher whether the upload was finished; a proxy may also have swallowed it",
        )
    if head.startswith(_LFS):
        hint = "ask for the file itself (media.githubusercontent.com, or `git lfs pull` where it is hosted)"
        return "a git-LFS pointer, not the archive that it points to", hint
    is_page = head.startswith(b"<") and (b"<!doctype html" in head or b"<html" in head)
    if is_page or kind in ("text/html", "application/xhtml+xml"):
        hint = "is it a login page? open it in a browser; a private server needs a rule in the plugin auth"
        return "an HTML page, not an archive", hint
    if kind == "application/json" or kind.endswith("+json") or re.match(rb'[{\[]\s*["{\[\]}0-9tfn]', head):
        return "JSON, not an archive", "read what the server says there; does it publish modules at this URL?"
    if head.startswith(b"<?xml") or kind in ("application/xml", "text/xml"):
        return "XML, not an archive", "storage services send their errors so; check the URL and the credentials"
    return None
