"""How a YAML file is read: safely, with equal keys refused (PyYAML keeps the last one), and within caps.

The caps are far above what a configuration needs, and hold before PyYAML does the work: it takes a second for 20,000 values,
and an alias stands for as many values as it repeats.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from hubplug.errors import ConfigError

_MOST_BYTES = 256 << 10
_MOST_VALUES = 10_000
_MOST_LEVELS = 50
# Of a value that is not text: a number, a date.
_MOST_DIGITS = 100

_SHOWN = 400
_TOO_MUCH = "no configuration needs so much; check that this is the right file"
_QUOTE = "put quotes around it if it is text"
_TEXT = "tag:yaml.org,2002:str"


class _StrictLoader(yaml.SafeLoader):
    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.name = name
        self._values = 0
        self._level = 0
        self._repeated: dict[str, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        anchor: Any = getattr(event, "anchor", None)
        if isinstance(event, yaml.AliasEvent):
            if anchor in self.anchors and anchor not in self._repeated:
                raise self._error(event, f"{anchor!r} contains itself", "write it without the alias")
            self._values += self._repeated.get(anchor, 0)
        before = self._values
        self._values += 1
        self._level += 1
        if self._values > _MOST_VALUES:
            raise self._error(event, f"there are more than {_MOST_VALUES} values, repeated ones counted", _TOO_MUCH)
        if self._level > _MOST_LEVELS:
            raise self._error(event, f"it is nested deeper than {_MOST_LEVELS} levels", _TOO_MUCH)
        node = super().compose_node(parent, index)
        self._level -= 1
        if anchor is not None and not isinstance(event, yaml.AliasEvent):
            self._repeated[anchor] = self._values - before
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if isinstance(node, yaml.ScalarNode) and node.tag != _TEXT and len(node.value) > _MOST_DIGITS:
            raise self._error(node, f"a value of {len(node.value)} characters is neither a number nor a date", _QUOTE)
        try:
            return super().construct_object(node, deep)
        except (ConfigError, yaml.YAMLError):
            raise
        except Exception as error:  # PyYAML leaves what a number or date cannot be to int(), date() and others.
            kind = node.tag.rpartition(":")[2]
            raise self._error(node, f"{str(node.value)[:80]!r} is not a valid {kind} ({error})", _QUOTE) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key in seen and key != "<<":
                raise self._error(key_node, f"the key {key!r} is there twice", "remove one of them")
            if key is not None:
                seen.add(key)
        return super().construct_mapping(node, deep)

    def _error(self, at: Any, said: str, hint: str) -> ConfigError:
        return ConfigError(f"{self.name}: line {at.start_mark.line + 1}: {said}", hint=hint)


def read_yaml(path: Path) -> object:
    """The content of a YAML file.

    Raises:
        ConfigError: It cannot be read, is not YAML, is beyond the caps, or has a key twice.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ConfigError(f"{path} has more than {_MOST_BYTES} bytes", hint=_TOO_MUCH)
        loader = _StrictLoader(data.decode("utf-8"), str(path))
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except ConfigError:
        raise
    except Exception as error:  # Also what PyYAML leaves to int() and chr(), in directives and escapes.
        said = " ".join(str(error).split())
        raise ConfigError(f"{path} is not YAML: {said if len(said) <= _SHOWN else said[:_SHOWN] + '...'}") from error
