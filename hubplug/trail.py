"""The trail of handles that were redirected one to the other: nothing gets lost on it or to strangers, and it ends."""

from __future__ import annotations

from dataclasses import replace

from hubplug.errors import PluginError
from hubplug.types import Handle
from hubplug.urls import redact

_MOST_REDIRECTS = 10


def on_the_trail(answered: Handle, asked: Handle) -> Handle:
    """The handle that a plugin answered, with the trail and the pin of the one that it was asked for.

    A plugin that makes a handle of its own, without ``instead``, must not shake off a pin or a prefix by that.
    """
    if answered.original is asked.original and answered.sha256 == asked.sha256:
        return answered
    if answered == asked:
        return asked
    return replace(answered, asked_before=asked, sha256=asked.sha256 or answered.sha256)


def refuse_loop(trail: list[str], text: str) -> None:
    """Appends to the trail of texts that were named one after the other.

    Raises:
        PluginError: It is there already, or the trail is too long.
    """
    shown = " -> ".join(redact(step) for step in [*trail, text])
    if text in trail:
        raise PluginError(
            f"The handles redirect to each other in a loop: {shown}", hint="mend the rule that closes the loop"
        )
    if len(trail) > _MOST_REDIRECTS:
        raise PluginError(f"More than {_MOST_REDIRECTS} redirects: {shown}")
    trail.append(text)
