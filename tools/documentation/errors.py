"""The page of errors, from the docstrings of hubplug.errors: what is the cause, what to do."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from hubplug import errors


def all_errors() -> str:
    """The tree, and a section for each class."""
    _, tree, *_ = (inspect.getdoc(errors) or "").split("\n\n")
    lines = ["```text", inspect.cleandoc(tree), "```", ""]
    for kind in error_classes():
        bases = ", ".join(f"`{base.__name__}`" for base in kind.__bases__ if base is not errors.HubplugError)
        lines += [f"## {kind.__name__}", "", _markup(inspect.getdoc(kind) or ""), ""]
        if bases and kind is not errors.HubplugError:
            lines += [f"Also caught as: {bases}.", ""]
    return "\n".join(lines)


def error_classes() -> Iterator[type[Exception]]:
    """The classes in the order of their definition."""
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, errors.HubplugError):
            yield value


def _markup(text: str) -> str:
    """A docstring as Markdown."""
    text, _, attributes = text.replace("``", "`").partition("\n\nAttributes:\n")
    listed = re.sub(r"^    (\w+): ", r"- `\1`: ", attributes, flags=re.MULTILINE)
    return f"{text}\n\n{listed}".strip()
