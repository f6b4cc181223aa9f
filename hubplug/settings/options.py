"""Whether options fit a plugin class's constructor, and the JSON Schema that says so to editors."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Collection, Mapping
from typing import Any, Literal, Union

from hubplug.shown.redaction import without_secrets
from hubplug.shown.words import nearest

_NAMES: Mapping[Any, str] = {str: "a string", bool: "true or false", int: "a whole number", float: "a number"}
_JSON_TYPES: Mapping[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}


def find_option_error(
    constructor: type[Any], options: Mapping[str, Any], raw: Mapping[str, Any] | None = None
) -> tuple[str, str, str | None] | None:
    """Checks options against a constructor's parameters and their annotations.

    Args:
        constructor: The class.
        options: Name -> value, as it is passed.
        raw: The values as they may be shown, with ``${...}`` unexpanded; None: the same.

    Returns:
        The option, what is wrong with it, and a hint; None when all fit.
    """
    parameters, hints = option_parameters(constructor)
    for name, value in options.items():
        if name not in parameters:
            return name, "there is no such option", nearest(name, parameters)
        if name in hints and not _fits(value, hints[name]):
            shown = value if raw is None else raw.get(name, value)
            return name, f"expected {kind_in_words(hints[name])}, got {_in_words(name, shown)}", None
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in options:
            return name, "this option is required", None
    return None


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


def options_schema(constructor: type[Any]) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the options of a plugin class."""
    parameters, hints = option_parameters(constructor)
    properties = {}
    for name, parameter in parameters.items():
        schema = _schema(hints.get(name, Any))
        if parameter.default is not inspect.Parameter.empty and parameter.default is not None:
            default = parameter.default
            schema["default"] = list(default) if isinstance(default, (tuple, set, frozenset)) else default
        properties[name] = schema
    required = [name for name, p in parameters.items() if p.default is inspect.Parameter.empty]
    result: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**result, "required": required} if required else result


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


def kind_in_words(hint: Any) -> str:
    """A type as a person reads it."""
    if hint in _NAMES:
        return _NAMES[hint]
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(kind_in_words(arg) for arg in args if arg is not type(None)))
    if origin is Literal:
        return "one of " + ", ".join(map(repr, args))
    if _is_list(hint):
        item = args[0] if args else Any
        return "a list" if item is Any else f"a list, each item {kind_in_words(item)}"
    if _is_mapping(hint):
        return "a mapping"
    return "a value"


def _in_words(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return repr(without_secrets(value, name))


def _fits(value: Any, hint: Any) -> bool:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, arg) for arg in args)
    if hint is type(None):
        return value is None
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    if hint in (str, bool):
        return isinstance(value, hint)
    if origin is Literal:
        return value in args
    if _is_list(hint):
        return isinstance(value, (list, tuple)) and (not args or all(_fits(item, args[0]) for item in value))
    if _is_mapping(hint):
        return isinstance(value, Mapping) and (len(args) < 2 or all(_fits(item, args[1]) for item in value.values()))
    return True


def _schema(hint: Any) -> dict[str, Any]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint in _JSON_TYPES:
        return {"type": _JSON_TYPES[hint]}
    if origin in (Union, types.UnionType):
        return {"anyOf": [{"type": "null"} if arg is type(None) else _schema(arg) for arg in args]}
    if origin is Literal:
        return {"enum": list(args)}
    if _is_list(hint):
        return {"type": "array", **({"items": _schema(args[0])} if args else {})}
    if _is_mapping(hint):
        return {"type": "object", **({"additionalProperties": _schema(args[1])} if len(args) > 1 else {})}
    return {}


def _is_list(hint: Any) -> bool:
    kind = typing.get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, Collection) and not issubclass(kind, (str, bytes, Mapping))


def _is_mapping(hint: Any) -> bool:
    kind = typing.get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, Mapping)
