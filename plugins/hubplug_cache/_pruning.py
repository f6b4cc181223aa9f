"""Which entries go when a cache must shrink, and how they go without disturbing those who read."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from hubplug_cache._catalogue import Listed
from hubplug_cache._layout import descriptor_of
from hubplug_cache._sweeping import delete, set_aside
from hubplug_cache._trouble import ownership, who_asks

_LOG = logging.getLogger("hubplug.cache")


def choose_victims(
    entries: Sequence[Listed], now: float, max_size: int | None = None, older_than: float | None = None
) -> list[Listed]:
    """Decides which entries a pruning removes.

    Args:
        entries: What there is.
        now: Seconds since the epoch.
        max_size: Bytes that may remain: damaged entries go first, then the least recently used.
        older_than: Seconds: what was not used for longer goes.

    Returns:
        The entries to be removed, in the order in which they go.
    """
    victims = [] if older_than is None else [entry for entry in entries if now - entry.last_used > older_than]
    if max_size is not None:
        rest = [entry for entry in entries if entry not in victims]
        remaining = sum(entry.size for entry in rest)
        for entry in sorted(rest, key=lambda entry: (entry.state != "damaged", entry.last_used)):
            if remaining <= max_size:
                break
            victims.append(entry)
            remaining -= entry.size
    return victims


def remove(paths: Iterable[Path], grace: float) -> None:
    """Removes entries with their notes: nobody finds them any more, and after the grace period they are deleted.

    A process that ends within the grace period leaves the deleting to the next one that fills an entry.

    Raises:
        OSError: The system refused.
    """
    aside = []
    for path in paths:
        try:
            aside.append(set_aside(path, in_use=True))
        except FileNotFoundError:
            continue
        delete(descriptor_of(path))
    if aside:
        time.sleep(grace)
    for path in aside:
        delete(path)
        if os.path.lexists(path):
            _LOG.warning("%s could not be deleted: it is %s; %s", path, ownership(path), who_asks())
