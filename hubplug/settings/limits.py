"""The section ``limits``: caps on what is unpacked."""

from __future__ import annotations

from hubplug.errors import ConfigError
from hubplug.settings.config import Config
from hubplug.settings.options import find_option_error


def check_limits(config: Config) -> None:
    """Checks the names and values of the section.

    Raises:
        ConfigError: There is no such cap, or its value is not a number above 0.
    """
    if not config.limits:
        return
    from hubplug.files.tree import Limits

    if error := find_option_error(Limits, config.limits):
        raise ConfigError(f"{config.where}: limits.{error.path}: {error.problem}", hint=error.hint)
    for option, value in config.limits.items():
        if value <= 0:
            raise ConfigError(f"{config.where}: limits.{option}: expected a number above 0, got {value}")
