"""Whether a value has the shape that annotations describe, and the JSON Schema that says so to editors: msgspec decides.

Shapes are plain annotations: ``str``, ``int | None``, ``Sequence[str]``, ``Mapping[str, ...]``, ``Literal[...]`` and, for mappings
with known keys, ``TypedDict``. What msgspec has no shape for is taken as it is.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Union

from hubplug.shown.redaction import without_secrets
from hubplug.shown.words import nearest
from hubplug.urls import redact

_AT = re.compile(r"^(?P<said>.*?)(?: - at (?P<in_key>`key` in )?`\$(?P<path>.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]|\[\.\.\.\]")
_KEY = re.compile(r"`(.+)`$")
_WORDS: Mapping[str, str] = {
    "StrType": "a string",
    "BoolType": "true or false",
    "IntType": "a whole number",
    "FloatType": "a number",
    "NoneType": "nothing",
    "DictType": "a mapping",
    "StructType": "a mapping",
    "AnyType": "a value",
}


@dataclass(frozen=True)
class Fault:
    """What is wrong with a value.

    Attributes:
        path: Keys and indices from the outermost value to where it is: ``rules[0].prefix``; empty for the value itself.
        problem: One clause: "expected a whole number, got 'x'".
        hint: What to do, or None.
    """

    path: str
    problem: str
    hint: str | None = None


@dataclass(frozen=True)
class Shape:
    """A checked description of values.

    Attributes:
        kind: The type as msgspec takes it.
    """

    kind: Any

    @classmethod
    def of(cls, annotation: Any) -> Shape:
        """The shape of one annotation."""
        return cls(_kind(annotation))

    @classmethod
    def of_fields(cls, name: str, fields: Mapping[str, tuple[Any, Any]]) -> Shape:
        """The shape of a mapping with known keys.

        Args:
            name: What a schema calls it.
            fields: By key its annotation and its default; ``...`` as a default: the key is required.
        """
        return cls(_struct(name, fields))

    def find_fault(self, value: object, shown: object = None, *, thing: str = "option") -> Fault | None:
        """The first thing that is wrong with a value, or None.

        Args:
            value: As it is used.
            shown: The same as it may be shown, with ``${...}`` unexpanded; None: the same.
            thing: What a key is called.
        """
        import msgspec

        try:
            msgspec.convert(value, self.kind)
        except msgspec.ValidationError as error:
            return self._fault(str(error), value, value if shown is None else shown, thing)
        return None

    def schema(self) -> dict[str, Any]:
        """JSON Schema (draft 2020-12) that can stand anywhere in another one: it refers to nothing."""
        import msgspec

        (found,), components = msgspec.json.schema_components([self.kind], ref_template="{name}")
        schema: dict[str, Any] = _without_references(found, components)
        return schema

    def in_words(self) -> str:
        """The shape as a person reads it."""
        import msgspec.inspect

        return _words(msgspec.inspect.type_info(self.kind))

    def _fault(self, message: str, value: object, shown: object, thing: str) -> Fault:
        match = _AT.match(message)
        assert match is not None
        steps = _steps(match["path"] or "", value, self.find_fault_of)
        node, found, seen, name = self._walk(steps, value, shown)
        path = _join(steps)
        if match["said"].startswith("Object contains unknown field"):
            names = [field.encode_name for field in getattr(node, "fields", ())]
            key = _KEY.search(match["said"])
            unknown = key[1] if key else ""
            return Fault(_join([*steps, unknown]), f"there is no such {thing}", nearest(unknown, names))
        if match["said"].startswith("Object missing required field"):
            key = _KEY.search(match["said"])
            return Fault(_join([*steps, key[1] if key else ""]), f"this {thing} is required")
        if match["in_key"]:
            wrong = next((key for key in typing.cast("Mapping[Any, Any]", found) if not isinstance(key, str)), None)
            return Fault(path, f"expected a string as key, got {wrong!r}", _QUOTE)
        expected = _words(node) if node is not None else "another value"
        hint = _QUOTE if expected == "a string" and isinstance(found, (bool, int, float)) else None
        if isinstance(seen, str) and not expected.startswith(("a string", "true", "a number", "a whole", "one of")):
            seen = _TEXT  # which may be anything, a secret too
        return Fault(path, f"expected {expected}, got {_value_in_words(name, seen)}", hint)

    def find_fault_of(self, value: object) -> bool:
        """Whether there is any; of values that are alike but for one key."""
        import msgspec

        try:
            msgspec.convert(value, self.kind)
        except msgspec.ValidationError:
            return True
        return False

    def _walk(self, steps: Sequence[str | int], value: object, shown: object) -> tuple[Any, Any, Any, str]:
        """The type, the value, the value as it may be shown, and the name that it stands under, at the end of a path."""
        import msgspec.inspect

        node: Any = msgspec.inspect.type_info(self.kind)
        found: Any = value
        name = ""
        for step in steps:
            node = _inner(node, step)
            found = found[step]
            try:
                shown = typing.cast("Any", shown)[step]
            except (KeyError, IndexError, TypeError):
                shown = found
            name = step if isinstance(step, str) else name
        return node, found, shown, name


_ABSENT = object()
_TEXT = object()
_QUOTE = "quote it: YAML reads no, on and numbers as other values"


def _kind(annotation: Any) -> Any:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in (str, bool, int, float, None, type(None)) or origin is Literal:
        return annotation
    if origin in (Union, types.UnionType):
        kinds = [_kind(argument) for argument in arguments]
        return Any if Any in kinds else Union[tuple(kinds)]  # noqa: UP007 (made of a list)
    if typing.is_typeddict(annotation):
        return _struct_of(annotation)
    kind = origin or annotation
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return dict[str, _kind(arguments[1])] if len(arguments) == 2 else dict[str, Any]  # type: ignore[misc]
    if isinstance(kind, type) and issubclass(kind, Collection) and not issubclass(kind, (str, bytes)):
        return list[_kind(arguments[0])] if arguments else list[Any]  # type: ignore[misc]
    return Any


@cache
def _struct_of(typed_dict: Any) -> Any:
    hints, required = typing.get_type_hints(typed_dict), typed_dict.__required_keys__
    return _struct(typed_dict.__name__, {key: (hints[key], ... if key in required else _ABSENT) for key in hints})


def _struct(name: str, fields: Mapping[str, tuple[Any, Any]]) -> Any:
    import msgspec

    made: list[Any] = []
    for index, (annotation, default) in enumerate(fields.values()):
        plain = list(default) if isinstance(default, (tuple, set, frozenset)) else default
        if default is ...:
            made.append((f"field{index}", _kind(annotation)))
        elif default is _ABSENT:
            made.append((f"field{index}", Union[_kind(annotation), msgspec.UnsetType], msgspec.UNSET))  # noqa: UP007
        elif isinstance(plain, (list, dict)):
            made.append((f"field{index}", _kind(annotation), msgspec.field(default_factory=_giver(plain))))
        else:
            made.append((f"field{index}", _kind(annotation), plain))
    keys = {f"field{index}": key for index, key in enumerate(fields)}
    return msgspec.defstruct(name, made, rename=keys, forbid_unknown_fields=True, kw_only=True)


def _giver(value: Any) -> Callable[[], Any]:
    return lambda: value


def _steps(path: str, value: Any, is_faulty: Callable[[object], bool]) -> list[str | int]:
    """The keys and indices of a path of msgspec's, which names no key of a mapping that may have any."""
    steps: list[str | int] = []
    whole, found = value, value
    for match in _STEP.finditer(path):
        step: Any
        if match["index"] is not None:
            step = int(match["index"])
        elif match["name"] is not None:
            step = match["name"]
        else:
            alone = (key for key in found if is_faulty(_with(whole, steps, {key: found[key]})))
            step = next(alone, next(iter(found)))
        steps.append(step)
        found = found[step]
    return steps


def _with(value: Any, steps: Sequence[str | int], inner: object) -> Any:
    """A value with another one at a place inside."""
    if not steps:
        return inner
    first, *rest = steps
    changed = _with(value[first], rest, inner)
    if isinstance(value, Mapping):
        return {**value, first: changed}
    return [changed if index == first else item for index, item in enumerate(value)]


def _inner(node: Any, step: str | int) -> Any:
    """The type of a key or an item of a type; None where it is not known."""
    for one in getattr(node, "types", (node,)):
        if isinstance(step, int) and hasattr(one, "item_type"):
            return one.item_type
        for field in getattr(one, "fields", ()):
            if field.encode_name == step:
                return field.type
        if isinstance(step, str) and hasattr(one, "value_type"):
            return one.value_type
    return None


def _without_references(schema: Any, components: Mapping[str, Any]) -> Any:
    if isinstance(schema, Mapping):
        whole = components[schema["$ref"]] if "$ref" in schema else schema
        return {key: _without_references(item, components) for key, item in whole.items()}
    return [_without_references(item, components) for item in schema] if isinstance(schema, list) else schema


def _words(node: Any) -> str:
    kind = type(node).__name__
    if kind == "UnionType":
        return " or ".join(_words(one) for one in node.types if type(one).__name__ != "NoneType")
    if kind == "LiteralType":
        return "one of " + ", ".join(map(repr, node.values))
    if kind == "ListType":
        return "a list" if type(node.item_type).__name__ == "AnyType" else f"a list, each item {_words(node.item_type)}"
    return _WORDS.get(kind, "another value")


def _value_in_words(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if value is _TEXT:
        return "a string"
    return "nothing" if value is None else repr(without_secrets(value, name))


def _join(steps: Sequence[str | int]) -> str:
    """A path as a person writes it: ``servers['https://a/'].retries``, ``rules[0].prefix``."""
    path = ""
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif re.fullmatch(r"[\w-]+", step):
            path += f".{step}" if path else step
        else:
            path += f"[{redact(step)!r}]"
    return path
