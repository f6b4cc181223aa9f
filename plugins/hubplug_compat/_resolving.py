"""What programs use of ``tensorflow_hub.registry`` and ``tensorflow_hub.resolver`` to find modules in their own way."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from typing import Any

import hubplug
from hubplug.settings.config import environment_value


class Resolver(ABC):
    """``tensorflow_hub.resolver.Resolver``: what programs derive their own resolvers from."""

    @abstractmethod
    def __call__(self, handle: str) -> str:
        """Brings a module.

        Returns:
            The path of its directory.
        """

    @abstractmethod
    def is_supported(self, handle: str) -> bool:
        """Whether the resolver takes a handle."""


def tfhub_cache_dir(default_cache_dir: str | None = None, use_temp: bool = False) -> str | None:
    """``tensorflow_hub.resolver.tfhub_cache_dir``: the directory that ``TFHUB_CACHE_DIR`` names.

    Args:
        default_cache_dir: What to return where it names none.
        use_temp: Whether to return a directory for temporary files where there is no default either.
    """
    named = environment_value("TFHUB_CACHE_DIR") or default_cache_dir
    if named or not use_temp:
        return named
    return os.path.join(tempfile.gettempdir(), "tfhub_modules")


class Resolvers:
    """``tensorflow_hub.registry.resolver``: takes resolvers as programs registered them."""

    def add_implementation(self, implementation: Any) -> None:
        """Puts a resolver before all others: the last added is asked first."""
        from hubplug.in_effect import put_first_in_default_hub

        put_first_in_default_hub(hubplug.OldResolver(implementation))

    def __call__(self, handle: str) -> str:
        return hubplug.resolve(handle)
