"""The page of errors, from the docstrings of hubplug.errors: what is the cause, what to do."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from hubplug import errors


def all_errors() -> str:
    """The tree, and a section for each class."""
    _, tree, *_ = (inspect.getdoc(errors) or "").split("\n\n")
    lines = ["```text", inspect.cleandoc(tree), "```", ""]
    for kind in error_classes():
        bases = ", ".join(f"`{base.__name__}`" for base in kind.__bases__ if base is not errors.HubplugError)
        lines += [f"## {kind.__name__}", "", (inspect.getdoc(kind) or "").replace("``", "`"), ""]
        if bases and kind is not errors.HubplugError:
            lines += [f"Also caught as: {bases}.", ""]
    return "\n".join(lines)


def error_classes() -> Iterator[type[Exception]]:
    """The classes in the order of their definition."""
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, errors.HubplugError):
            yield value
