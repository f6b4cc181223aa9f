"""How a YAML file is read: safely, and with equal keys refused (PyYAML keeps the last one)."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from hubplug.errors import ConfigError


class _StrictLoader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key in seen and key != "<<":
                line = key_node.start_mark.line + 1
                raise ConfigError(
                    f"{self.name}: line {line}: the key {key!r} is there twice", hint="remove one of them"
                )
            if key is not None:
                seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> object:
    """The content of a YAML file.

    Raises:
        ConfigError: It cannot be read, is no YAML, or has a key twice.
    """
    try:
        with path.open(encoding="utf-8") as file:
            loader = _StrictLoader(file)
            loader.name = str(path)
            try:
                return loader.get_single_data()
            finally:
                loader.dispose()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
