"""What it means that a decompressor fails: the archive is damaged, and no plugin is to blame."""

from __future__ import annotations

from hubplug.errors import ArchiveError, HubplugError
from hubplug.urls import redact_all


def as_damage(name: str, error: Exception) -> Exception:
    """The error to raise for one of the stream of what is inside an archive.

    Args:
        name: What a person calls the archive.
        error: One of ours, as when the download breaks off, stays as it is.
    """
    if isinstance(error, HubplugError):
        return error
    said = redact_all(" ".join(str(error).split())) or "no reason was given"
    return ArchiveError(
        f"{name} is damaged, or was cut off: {said} ({type(error).__name__})",
        hint="fetch it again, or ask its publisher",
    )
