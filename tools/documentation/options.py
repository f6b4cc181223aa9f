"""The options, from the constructors of the built-in plugins."""

from __future__ import annotations

import inspect
import json
import re
import typing
from typing import Any

from hubplug.settings.config import DEFAULT
from hubplug.settings.entry_points import installed_plugins, load_entry_point
from hubplug.settings.options import option_parameters
from hubplug.settings.shapes import Shape


def all_options() -> str:
    """A section for each plugin of the default chain."""
    installed = installed_plugins()
    return "\n".join(section(name, load_entry_point(installed[name][0])) for name in DEFAULT["chain"])


def section(name: str, kind: type[Any]) -> str:
    """The options of one plugin."""
    parameters, hints = option_parameters(kind)
    lines = [f"### {name}", "", _markup((inspect.getdoc(kind) or "").partition("\n")[0]), ""]
    if not parameters:
        return "\n".join([*lines, "It has no options.", ""])
    told = {option: description(kind, option).partition("\n\n") for option in parameters}
    lines += ["| option | value | default | |", "|---|---|---|---|"]
    for option, parameter in parameters.items():
        words = Shape.of(hints.get(option, Any)).in_words()
        meaning = " ".join(_markup(told[option][0]).split()).replace("|", "\\|")
        lines.append(f"| `{option}` | {words} | {_default(parameter.default)} | {meaning} |")
    for option in parameters:
        if more := _markup(told[option][2]):
            lines += ["", f"In `{option}`:", "", more]
        if keys := keys_of(hints.get(option)):
            lines += ["", f"Keys in `{option}`: {', '.join(f'`{key}`' for key in keys)}."]
    return "\n".join([*lines, ""])


def description(kind: type[Any], option: str) -> str:
    """What the docstring of the class, or of its constructor, says of an option.

    Raises:
        ValueError: It says nothing of it.
    """
    text = f"{inspect.getdoc(kind) or ''}\n\n{inspect.getdoc(kind.__init__) or ''}"
    match = re.search(rf"^    {option}: (.*(?:\n(?:        .*)?)*)", text, flags=re.MULTILINE)
    if match is None:
        raise ValueError(f"{kind.__name__} does not say what its option {option!r} is")
    return inspect.cleandoc(match[1])


def keys_of(annotation: Any) -> list[str]:
    """The keys of the mappings that an option's value may hold."""
    if typing.is_typeddict(annotation):
        return list(typing.get_type_hints(annotation))
    return [key for argument in typing.get_args(annotation) for key in keys_of(argument)]


def _markup(text: str) -> str:
    return text.replace("``", "`").strip()


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    if value is None:
        return "none"
    return f"`{json.dumps(list(value) if isinstance(value, (tuple, set, frozenset)) else value)}`"
