"""The trail of handles that were named one instead of the other: nothing gets lost on it or to strangers, and it ends."""

from __future__ import annotations

from dataclasses import replace

from hubplug.errors import ConfigError, PluginError
from hubplug.settings.config import Config
from hubplug.types import Handle
from hubplug.urls import origin_of, redact, scheme_of

_MOST_INSTEADS = 10


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
        raise PluginError(f"The handles name each other in a loop: {shown}", hint="mend the rule that closes the loop")
    if len(trail) > _MOST_INSTEADS:
        raise PluginError(f"More than {_MOST_INSTEADS} handles were named one after the other: {shown}")
    trail.append(text)


def refuse_leak(asked: str, url: str, config: Config) -> None:
    """Refuses to pass on what only the server of a handle should read, where a file that was merely found says to.

    Userinfo and query of a handle may be secrets. A rewrite rule or a mirror in a repository that somebody cloned must
    not collect them; the query cannot be left out either, since it may say which module is meant.

    Args:
        asked: The handle's text, or its location.
        url: What would be asked for instead.
        config: Where the rules come from.

    Raises:
        ConfigError: ``url`` is elsewhere, ``asked`` has a query or userinfo, and nobody named the file.
    """
    if config.trusted or scheme_of(url).lower() in ("", "file") or not _may_hold_secret(asked):
        return
    try:
        if origin_of(asked) == origin_of(url):
            return
    except ValueError:  # no URL, as https://[: asking for it fails without a request
        return
    scheme, host, _ = origin_of(url)
    raise ConfigError(
        f"{config.where} would send what follows the address in {redact(asked)} to {scheme}://{host}, and a file that "
        "was merely found in the working directory may not",
        hint=f"if you trust it, name it: HUBPLUG_CONFIG={config.path}; tokens belong into rules of the plugin auth",
    )


def _may_hold_secret(text: str) -> bool:
    scheme = scheme_of(text)
    address, _, query = text[len(scheme) + 3 :].partition("#")[0].partition("?")
    return bool(scheme) and (bool(query) or "@" in address.partition("/")[0])
