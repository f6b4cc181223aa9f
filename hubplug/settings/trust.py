"""What a hubplug.yaml that was merely found in the working directory may not do: it grants no trust.

Whoever clones a repository has not agreed to what its hubplug.yaml says. It may not tell where credentials come from or go to,
run commands, read the environment, or allow more than is allowed by default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hubplug.errors import ConfigError
from hubplug.settings.config import DEFAULT, REFERENCE, Config
from hubplug.settings.members import hooks_of_class
from hubplug.settings.options import option_parameters
from hubplug.urls import origin_of, redact, scheme_of

_FOUND = "a file that was merely found in the working directory may not"


def refuse_grants(config: Config) -> None:
    """Refuses sections that allow more than the default does.

    Raises:
        ConfigError: A server may name other places, or a cap is raised, and no one named the file.
    """
    if config.trusted:
        return
    for scheme in config.server_schemes:
        if scheme not in DEFAULT["server_schemes"]:
            raise ConfigError(
                f"{config.where}: server_schemes: {scheme!r}: {_FOUND} let servers name other places than by default",
                hint=_name_it(config),
            )
    if config.limits:
        from hubplug.files.tree import Limits

        for name, value in config.limits.items():
            if value > getattr(Limits, name):
                raise ConfigError(f"{config.where}: limits.{name}: {_FOUND} raise a cap", hint=_name_it(config))


def refuse_untrusted_options(config: Config, name: str, kind: type[Any], options: Mapping[str, Any]) -> None:
    """Refuses options of a plugin that someone has to vouch for.

    Args:
        config: Where they come from.
        name: Of the plugin instance.
        kind: Its class.
        options: As they are in the file.

    Raises:
        ConfigError: There is one, or a reference to the environment, and no one named the file.
    """
    if config.trusted:
        return
    guarded = guarded_options(kind)
    for option, value in options.items():
        if option in guarded or _has_reference(value):
            kinds = (
                "options of a plugin that signs requests" if _signs(kind) else "credentials, commands, what is trusted"
            )
            raise ConfigError(
                f"{config.where}: plugins.{name}.options.{option}: {_FOUND} define {kinds} or references to the environment",
                hint=_name_it(config),
            )


def guarded_options(kind: type[Any]) -> frozenset[str]:
    """The options of a plugin class that only a file which the user named may set.

    They are those in ``trusted_options``; of a class that signs requests, all that are not in ``untrusted_options``: each may
    say where a secret comes from or goes to.
    """
    guarded = frozenset(getattr(kind, "trusted_options", ()))
    if _signs(kind):
        guarded |= set(option_parameters(kind)[0]).difference(getattr(kind, "untrusted_options", ()))
    return guarded


def refuse_leak(asked: str, url: str, config: Config) -> None:
    """Refuses to pass on what only the server of a handle should read, where a file that was merely found says to.

    Userinfo and query of a handle may be secrets. A rewrite rule or a mirror in a repository that someone cloned must
    not collect them; the query cannot be left out either, since it may say which module is meant.

    Args:
        asked: The handle's text, or its location.
        url: What it would be redirected to.
        config: Where the rules come from.

    Raises:
        ConfigError: ``url`` is elsewhere, ``asked`` has a query or userinfo, and no one named the file.
    """
    if config.trusted or scheme_of(url).lower() in ("", "file") or not _may_hold_secret(asked):
        return
    try:
        if origin_of(asked) == origin_of(url):
            return
        place = "{}://{}".format(*origin_of(url))
    except ValueError:  # whatever it is that reads such a URL
        place = redact(url)
    raise ConfigError(
        f"{config.where} would send what follows the address in {redact(asked)} to {place}, and a file that "
        "was merely found in the working directory may not",
        hint=f"{_name_it(config)}; tokens belong into rules of the plugin auth",
    )


def _may_hold_secret(text: str) -> bool:
    return bool(scheme_of(text)) and redact(text) != text.partition("#")[0]


def _signs(kind: type[Any]) -> bool:
    return "hubplug_auth" in hooks_of_class(kind)


def _name_it(config: Config) -> str:
    return f"if you trust it, name it: HUBPLUG_CONFIG={config.path}"


def _has_reference(value: Any) -> bool:
    """Whether any string of an option holds a ``${NAME}``."""
    if isinstance(value, str):
        return bool(REFERENCE.search(value))
    if isinstance(value, Mapping):
        return any(_has_reference(item) for item in value.values())
    if isinstance(value, Sequence):
        return any(_has_reference(item) for item in value)
    return False
