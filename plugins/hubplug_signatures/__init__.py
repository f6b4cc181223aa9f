"""The plugin ``signatures``: whether a module keeps the common signatures, is complete, and is safe to load.

Profiles: ``text-feature-vector``, ``image-feature-vector`` and ``image-classification`` look at the definition only;
``complete`` and ``safe`` read the module's files, in a child process with limits. None of them imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import hubplug
from hubplug.errors import ConfigError

if TYPE_CHECKING:
    from hubplug.spec import ModuleSpec
    from hubplug.types import Finding

_MOST_SECONDS = 1_000_000
_MOST_MIB = 1 << 30


class CommonSignatures:
    """Validates modules against the profiles that come with hubplug."""

    profiles: ClassVar[Sequence[str]] = (
        "text-feature-vector",
        "image-feature-vector",
        "image-classification",
        "complete",
        "safe",
    )
    # Who allows an op vouches for every module that has it.
    trusted_options: ClassVar[Sequence[str]] = ("allow_ops",)

    def __init__(
        self,
        allow_ops: Sequence[str] = (),
        timeout: float = 120.0,
        memory_mib: int = 4096,
    ) -> None:
        """Sets what the profile ``safe`` allows, and how much a look at a module's files may cost.

        Args:
            allow_ops: Op types that are accepted although they are unsafe or unknown: ``SentencepieceOp``. Not taken from
                a ``hubplug.yaml`` that was merely found in the working directory.
            timeout: Seconds after which the child process is given up.
            memory_mib: MiB of address space that it may use.

        Raises:
            ConfigError: ``timeout`` or ``memory_mib`` is not a limit.
        """
        # A process that is told to use less than nothing may use everything.
        for name, value, most in (("timeout", timeout, _MOST_SECONDS), ("memory_mib", memory_mib, _MOST_MIB)):
            if not 0 < value <= most:
                raise ConfigError(f"{name}: expected a number above 0, to {most:,}, got {value!r}")
        self.allow_ops = frozenset(allow_ops)
        self.timeout = timeout
        self.memory_mib = memory_mib

    @hubplug.hookimpl
    def hubplug_validate(self, spec: ModuleSpec, profile: str) -> list[Finding] | None:
        """Checks a module against one of the profiles; None for another."""
        from hubplug_signatures._profiles import PROFILES

        if profile in PROFILES:
            from hubplug_signatures._static_checks import check_profile

            return check_profile(spec, PROFILES[profile])
        if profile in ("complete", "safe"):
            from hubplug_signatures._file_checks import check_files

            return check_files(
                spec, profile, allow_ops=self.allow_ops, timeout=self.timeout, memory_mib=self.memory_mib
            )
        return None
