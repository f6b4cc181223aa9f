"""The absl flags that tensorflow_hub defines when it is imported, and that old programs are started with."""

from __future__ import annotations

import os
from typing import Any

from absl import flags

_FLAGS = (
    (
        "tfhub_cache_dir",
        "TFHUB_CACHE_DIR",
        "Directory in which downloaded modules are kept.",
        flags.ArgumentParser,
        None,
    ),
    (
        "tfhub_model_load_format",
        "TFHUB_MODEL_LOAD_FORMAT",
        "How modules are read from a server.",
        lambda: flags.EnumParser(["AUTO", "COMPRESSED", "UNCOMPRESSED"]),
        "AUTO",
    ),
)


class _VariableFlag(flags.Flag):
    """A flag that says the same as an environment variable, which is where hubplug looks."""

    def __init__(self, variable: str, **arguments: Any) -> None:
        self._variable = variable
        super().__init__(**arguments)

    def parse(self, argument: Any) -> None:
        super().parse(argument)
        if self.value is not None:
            os.environ[self._variable] = self.value


def define_flags() -> None:
    """Defines the flags that no one else has defined."""
    for name, variable, text, parser, default in _FLAGS:
        if name not in flags.FLAGS:
            flags.DEFINE_flag(
                _VariableFlag(
                    variable,
                    parser=parser(),
                    serializer=flags.ArgumentSerializer(),
                    name=name,
                    default=default,
                    help_string=text,
                ),
                module_name="tensorflow_hub.config",
            )
