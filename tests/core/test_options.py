"""Options against a constructor's signature, and the JSON Schema that says the same to editors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Optional, Union

import jsonschema
import pytest

from hubplug.settings.options import find_option_error, options_schema
from hubplug.settings.shapes import Fault, Shape
from hubplug.shown.redaction import without_secrets


class Everything:
    def __init__(
        self,
        *,
        needed: str,
        flag: bool = False,
        count: int = 3,
        seconds: float = 1.5,
        mode: Literal["fast", "safe"] = "safe",
        names: Sequence[str] = (),
        rules: list[Mapping[str, Any]] | None = None,
        table: Mapping[str, int] | None = None,
        old: Optional[Union[str, int]] = None,  # noqa: UP007, UP045 (both spellings have to work)
        anything: Any = None,
        unmarked=None,  # type: ignore[no-untyped-def]
    ) -> None: ...


class Nothing:
    pass


class Open:
    def __init__(self, known: int = 1, *rest: int, **more: int) -> None: ...


GOOD: list[dict[str, Any]] = [
    {},
    {"flag": True},
    {"count": 0},
    {"seconds": 2},
    {"seconds": 2.5},
    {"mode": "fast"},
    {"names": ["a", "b"]},
    {"names": []},
    {"rules": [{"a": 1}]},
    {"rules": None},
    {"table": {"a": 1}},
    {"old": "a"},
    {"old": 1},
    {"old": None},
    {"anything": {"a": [1]}},
    {"unmarked": 3},
]
BAD: list[dict[str, Any]] = [
    {"flag": "yes"},
    {"flag": 1},
    {"count": True},
    {"count": "3"},
    {"count": 1.5},
    {"seconds": "2"},
    {"seconds": True},
    {"mode": "slow"},
    {"names": "a"},
    {"names": ["a", 1]},
    {"names": {"a": 1}},
    {"rules": ["a"]},
    {"table": {"a": "b"}},
    {"table": []},
    {"old": []},
    {"needed": None},
    {"unknown": 1},
]


@pytest.mark.parametrize("options", GOOD, ids=str)
def test_what_fits_the_constructor_fits_the_schema(options: dict[str, Any]) -> None:
    options = {"needed": "x", **options}
    assert find_option_error(Everything, options) is None
    jsonschema.validate(options, options_schema(Everything), jsonschema.Draft202012Validator)


@pytest.mark.parametrize("options", BAD, ids=str)
def test_what_does_not_fit_the_constructor_does_not_fit_the_schema(options: dict[str, Any]) -> None:
    (name,) = options
    options = {"needed": "x", **options}
    error = find_option_error(Everything, options)
    assert error is not None
    assert error.path.partition(".")[0].partition("[")[0] == name
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(options, options_schema(Everything), jsonschema.Draft202012Validator)


def test_a_missing_option_is_named() -> None:
    assert find_option_error(Everything, {}) == Fault("needed", "this option is required")
    assert options_schema(Everything)["required"] == ["needed"]


def test_an_unknown_option_comes_with_the_nearest_name() -> None:
    error = find_option_error(Everything, {"needed": "x", "cuont": 1})
    assert error is not None
    assert (error.path, error.problem) == ("cuont", "there is no such option")
    assert (error.hint or "").startswith("did you mean 'count'? possible: anything, count, ")


def test_a_class_without_a_constructor_takes_no_option() -> None:
    assert find_option_error(Nothing, {}) is None
    assert find_option_error(Nothing, {"a": 1}) == Fault("a", "there is no such option", "there are none")
    schema = options_schema(Nothing)
    assert (schema["properties"], schema["additionalProperties"]) == ({}, False)


def test_a_constructor_that_takes_anything_is_held_to_the_names_it_spells_out() -> None:
    assert find_option_error(Open, {"known": 2}) is None
    assert find_option_error(Open, {"more": 2}) is not None


def test_the_schema_says_the_defaults() -> None:
    properties = options_schema(Everything)["properties"]
    assert properties["count"] == {"type": "integer", "default": 3}
    assert properties["mode"] == {"enum": ["fast", "safe"], "default": "safe"}
    assert properties["names"] == {"type": "array", "items": {"type": "string"}, "default": []}


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (str, "a string"),
        (Optional[int], "a whole number"),  # noqa: UP045
        (Union[str, float], "a string or a number"),  # noqa: UP007
        (str | int, "a string or a whole number"),
        (Literal["b", "a"], "one of 'a', 'b'"),
        (Sequence[str], "a list, each item a string"),
        (list, "a list"),
        (dict[str, int], "a mapping"),
        (Any, "a value"),
    ],
)
def test_a_type_is_said_in_words(hint: Any, words: str) -> None:
    assert Shape.of(hint).in_words() == words


def test_secrets_are_left_out_of_what_is_shown_and_references_stay() -> None:
    options = {
        "token": "canary",
        "token_env": "CORP_TOKEN",
        "token_file": "/run/token",
        "password": 1234,
        "header": {"X-Key": "canary"},
        "client_secret": "${SECRET}",
        "rules": [{"prefix": "https://user:canary@h/?x=canary", "bearer_token": "a${X}b"}],
        "insecure": True,
        "dir": "/models",
    }
    shown = without_secrets(options)
    assert "canary" not in str(shown)
    assert shown == {
        "token": "***",
        "token_env": "CORP_TOKEN",
        "token_file": "/run/token",
        "password": "***",
        "header": {"X-Key": "***"},
        "client_secret": "${SECRET}",
        "rules": [{"prefix": "https://h/?x=***", "bearer_token": "***"}],
        "insecure": True,
        "dir": "/models",
    }
