"""Whether to retry, and when. Pure functions, except for the sleep."""

from __future__ import annotations

import email.utils
import random
import time
from datetime import timezone

from hubplug_http._numbers import whole_number

_FIRST_PAUSE, _LONGEST_PAUSE, _MOST_DOUBLINGS = 0.5, 30.0, 6
_FOR_EVER = float(10**18)
PASSING_STATUSES = frozenset({408, 429, *range(500, 600)} - {501, 505})


def pause_before(attempt: int, asked_for: float | None, *, longest: float, chance: float | None = None) -> float | None:
    """Seconds to wait before a retry; None when the server asks for more than ``longest``.

    Doubles from half a second, with jitter: many clients that failed together should not return together.

    Args:
        attempt: 1 for the first retry.
        asked_for: Seconds of the server's Retry-After, or None.
        longest: No longer pause is made, in seconds.
        chance: From 0 to 1; None draws it.
    """
    chance = random.random() if chance is None else chance
    if asked_for is not None:
        return None if asked_for > longest else asked_for
    full: float = min(_FIRST_PAUSE * 2 ** min(attempt - 1, _MOST_DOUBLINGS), _LONGEST_PAUSE, longest)
    return full * (0.5 + 0.5 * chance)


def retry_after(value: str | None, now: float | None = None) -> float | None:
    """Seconds that a Retry-After header asks to wait (RFC 9110, section 10.2.3); None where it says nothing."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        seconds = whole_number(text)
        return _FOR_EVER if seconds is None else float(seconds)
    try:
        when = email.utils.parsedate_to_datetime(text)
        moment = (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):  # whatever the parser stumbles over
        return None
    return max(moment - (time.time() if now is None else now), 0.0)
