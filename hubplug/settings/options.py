"""Which options a plugin class takes: the parameters of its constructor, in the shapes of their annotations."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from typing import Any

from hubplug.settings.shapes import Fault, Shape
from hubplug.shown.words import nearest


def find_option_error(
    constructor: type[Any], options: Mapping[str, Any], raw: Mapping[str, Any] | None = None
) -> Fault | None:
    """Checks options against a constructor's parameters and their annotations, nested ones included.

    Args:
        constructor: The class.
        options: Name -> value, as it is passed.
        raw: The values as they may be shown, with ``${...}`` unexpanded; None: the same.

    Returns:
        Where something is wrong, what, and a hint; None when all fit.
    """
    if not options and not missing_options(constructor, options):
        return None
    return options_shape(constructor).find_fault(options, raw)


def missing_options(constructor: type[Any], options: Mapping[str, Any]) -> list[str]:
    """The options that a constructor requires and that are not given."""
    parameters, _ = option_parameters(constructor)
    return [name for name, p in parameters.items() if p.default is inspect.Parameter.empty and name not in options]


def find_declaration_error(constructor: type[Any]) -> tuple[str, str] | None:
    """Whether what a plugin class declares of its options is about options that it has: a slip there would fail open.

    Returns:
        What is wrong with ``trusted_options``, ``untrusted_options`` or ``environment``, and a hint; None when nothing is.
    """
    parameters, _ = option_parameters(constructor)
    for declaration in ("trusted_options", "untrusted_options", "environment"):
        names = getattr(constructor, declaration, ())
        if isinstance(names, str):
            return f"declares {declaration} as a string, and it is a list of names", f"write ({names!r},)"
        for name in names:
            if name not in parameters:
                return f"names {name!r} in {declaration}, and it has no such option", nearest(name, parameters)
    return None


def options_shape(constructor: type[Any]) -> Shape:
    """The shape of the options of a plugin class."""
    parameters, hints = option_parameters(constructor)
    fields = {
        name: (hints.get(name, Any), ... if parameter.default is inspect.Parameter.empty else parameter.default)
        for name, parameter in parameters.items()
    }
    return Shape.of_fields(f"options of {constructor.__name__}", fields)


def options_schema(constructor: type[Any]) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the options of a plugin class."""
    schema = options_shape(constructor).schema()
    for name, parameter in option_parameters(constructor)[0].items():
        if isinstance(parameter.default, (tuple, list, Mapping)):  # msgspec does not say what it makes anew each time
            plain = dict if isinstance(parameter.default, Mapping) else list
            schema["properties"][name]["default"] = plain(parameter.default)
    return schema


def option_parameters(constructor: type[Any]) -> tuple[dict[str, inspect.Parameter], dict[str, Any]]:
    """The constructor's parameters that an option can set, and their annotations as types."""
    if constructor.__init__ is object.__init__:
        return {}, {}
    signature = inspect.signature(constructor)
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = {name: p for name, p in signature.parameters.items() if p.kind in named}
    try:
        hints = typing.get_type_hints(constructor.__init__)
    except (NameError, TypeError):  # annotations that exist for type checkers only
        hints = {}
    return parameters, hints
