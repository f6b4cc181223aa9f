"""Which bytes a request asks for, and whether it has them already (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class UnsatisfiableRange(Exception):
    """The range lies behind the end: status 416."""


def wanted_range(value: str | None, if_range: str | None, etag: str, size: int) -> tuple[int, int] | None:
    """First byte and end (exclusive) of what is asked for; None stands for everything.

    Several ranges at once, other units, and what is malformed are ignored, as the RFC allows; so is a range of another
    version of the file: ``If-Range`` must have the strong ``etag``, and a date never matches.

    Raises:
        UnsatisfiableRange: No byte of the file is in the range.
    """
    match = _RANGE.fullmatch(value.replace(" ", "")) if value else None
    if match is None or (if_range is not None and if_range.strip() != etag):
        return None
    first, last = match[1], match[2]
    if not first:
        if not last:
            return None
        if int(last) == 0 or size == 0:
            raise UnsatisfiableRange
        return max(size - int(last), 0), size
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise UnsatisfiableRange
    return int(first), min(int(last) + 1, size) if last else size


def has_it_already(if_none_match: str | None, etag: str) -> bool:
    """Whether ``If-None-Match`` lists the entity tag; here a weak comparison is right."""
    if if_none_match is None:
        return False
    listed = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in listed or etag in listed
