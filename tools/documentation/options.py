"""The tables of options, from the constructors of the built-in plugins."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

from hubplug.settings.config import DEFAULT
from hubplug.settings.options import option_parameters
from hubplug.settings.plugins import installed_plugins, load_entry_point
from hubplug.settings.shapes import Shape


def all_options() -> str:
    """A table for each plugin of the default chain."""
    installed = installed_plugins()
    return "\n".join(table(name, load_entry_point(installed[name][0])) for name in DEFAULT["chain"])


def table(name: str, kind: type[Any]) -> str:
    """The options of one plugin."""
    parameters, hints = option_parameters(kind)
    summary = (inspect.getdoc(kind) or "").partition("\n")[0].replace("``", "`")
    if not parameters:
        return f"**`{name}`** has none. {summary}\n"
    meaning = descriptions(kind)
    rows = [
        f"| `{option}` | {Shape.of(hints.get(option, Any)).in_words()} | {_default(parameter.default)} | {meaning[option]} |"
        for option, parameter in parameters.items()
    ]
    head = ["| option | value | default | |", "|---|---|---|---|"]
    return "\n".join([f"**`{name}`**: {summary}", "", *head, *rows, ""])


def descriptions(kind: type[Any]) -> Mapping[str, str]:
    """What the docstring of the class, or of its constructor, says of each option: its first paragraph.

    Raises:
        ValueError: It says nothing of one.
    """
    text = f"{inspect.getdoc(kind) or ''}\n\n{inspect.getdoc(kind.__init__) or ''}"
    found = {}
    for option in option_parameters(kind)[0]:
        match = re.search(rf"^    {option}: (.*(?:\n {{8}}\S.*)*)", text, flags=re.MULTILINE)
        if match is None:
            raise ValueError(f"{kind.__name__} does not say what its option {option!r} is")
        found[option] = " ".join(match[1].split()).replace("``", "`").replace("|", "\\|")
    return found


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    if value is None:
        return "none"
    return f"`{json.dumps(list(value) if isinstance(value, (tuple, set, frozenset)) else value)}`"
