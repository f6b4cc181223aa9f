"""What services said last about handles that mean the latest: one small file for each, so that a machine that is offline knows it.

Kept are the handle that was named and the time. What holds a secret is not kept.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hubplug.files.staging import replace_file
from hubplug.files.strict_json import parse_json
from hubplug.types import Handle
from hubplug.urls import redact

_VERSION = 1
_MOST_BYTES = 64 << 10


@dataclass(frozen=True)
class KnownAnswer:
    """An answer that was kept.

    Attributes:
        text: The handle to ask for instead.
        time: When the service said so, in seconds since the epoch.
    """

    text: str
    time: float

    @property
    def day(self) -> str:
        """The time for people, in UTC."""
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.time))


def last_answer(directory: Path, asked_of: str, handle: Handle) -> KnownAnswer | None:
    """What was kept of a handle; None where nothing was, or nothing that can be read.

    Args:
        directory: Where answers are kept.
        asked_of: The plugin whose answer it was.
        handle: The one that was asked about.
    """
    try:
        with _place(directory, asked_of, handle).open("rb") as file:
            content = parse_json(file.read(_MOST_BYTES))
        if content["version"] != _VERSION or content["handle_sha256"] != _digest(handle.text):
            return None
        known = KnownAnswer(content["answer"], float(content["time"]))
        Handle.parse(known.text)
        known.day  # noqa: B018  # a time that is none is a ValueError or an OverflowError
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    return known


def keep_answer(directory: Path, asked_of: str, handle: Handle, text: str) -> None:
    """Keeps an answer with the time, in place of the one before, where that can be written."""
    if redact(text) != text:
        return
    content = {
        "version": _VERSION,
        "handle": str(handle),
        "handle_sha256": _digest(handle.text),
        "asked_of": asked_of,
        "answer": text,
        "time": time.time(),
    }
    with suppress(OSError):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replace_file(_place(directory, asked_of, handle)) as file:
            file.write(json.dumps(content, indent=1).encode("ascii") + b"\n")


def _place(directory: Path, asked_of: str, handle: Handle) -> Path:
    return directory / f"{_digest(asked_of + chr(0) + handle.text)}.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
