"""Which rule signs a request, and which rules are refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import jsonschema
import pytest

from hubplug.errors import ConfigError
from hubplug.settings.options import find_option_error, options_schema
from hubplug.types import AuthRequest, Declined, Handle
from hubplug_auth import Credentials
from tests.plugins.auth.signing import URL, signed, signer

HUB = "https://hub.example.com/"


def test_without_rules_it_has_no_say() -> None:
    assert Credentials().hubplug_auth(AuthRequest(URL, Handle.parse(URL))) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://hub.example.com.evil.example/team/m",
        "https://hub.example.com:8443/team/m",
        "http://hub.example.com/team/m",
        "https://hub.example.com/teams/m",
        "https://hub.example.com/team/../m",
        "https://hub.example.com/team/%2e%2e/m",
        "https://evil.example/https://hub.example.com/team/m",
        "https://hub.example.com@evil.example/team/m",
        "https://evil.example\\@hub.example.com/team/m",
        "https://evil.example/team/m#@hub.example.com/team/",
    ],
)
def test_a_url_outside_the_prefix_is_not_signed(url: str) -> None:
    rules = [{"prefix": f"{HUB}team", "token": "canary"}]
    assert isinstance(Credentials(rules=rules).hubplug_auth(AuthRequest(url, Handle("x"))), Declined)


@pytest.mark.parametrize("url", [f"{HUB}team", f"{HUB}team/", f"{HUB}team/m?x=y", "HTTPS://HUB.example.com:443/team/m"])
def test_a_url_under_the_prefix_is_signed(url: str) -> None:
    assert signed([{"prefix": f"{HUB}team", "token": "word"}], url)["Authorization"] == "Bearer word"


def test_the_longest_prefix_wins_wherever_it_stands() -> None:
    short, long = {"prefix": HUB, "token": "short"}, {"prefix": f"{HUB}team/", "token": "long"}
    for rules in ([short, long], [long, short]):
        assert signed(rules)["Authorization"] == "Bearer long"
        assert signed(rules, f"{HUB}other/m")["Authorization"] == "Bearer short"


@pytest.mark.parametrize(
    "query", ["X-Amz-Signature=abc", "x-goog-signature=abc", "sv=1&sig=abc", "Signature=a&Key-Pair-Id=b"]
)
def test_a_redirect_to_a_signed_url_is_left_alone(query: str) -> None:
    rules = [{"prefix": HUB, "token": "word"}]
    assert signer(rules, f"{HUB}m?{query}", "https://front.example/m") is None
    assert signer(rules, f"{HUB}m?version=2", "https://front.example/m") is not None


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({}, "expected one way to sign, got none"),
        ({"prefix": HUB}, "expected one way to sign, got none"),
        ({"prefix": HUB, "token": "a", "netrc": True}, "expected one way to sign, got token and netrc"),
        ({"prefix": HUB, "token": "a", "token_env": "A"}, "expected one of token, .* got token and token_env"),
        ({"prefix": HUB, "token": ""}, "expected a non-empty string"),
        ({"prefix": HUB, "token": "a", "scope": "b"}, "scope: this is for another way to sign than token"),
        ({"prefix": HUB, "username": "a"}, "expected one of password, .* got none"),
        ({"prefix": HUB, "username": "a:b", "password": "c"}, "a user name has no colon"),
        ({"prefix": HUB, "token_command": "'unfinished"}, "not a valid command line"),
        ({"prefix": HUB, "token_command": []}, "expected a command line or a list of words"),
        ({"prefix": HUB, "header": "X Y", "value": "z"}, "expected the name of a header"),
        ({"prefix": HUB, "header": "X"}, "expected one of value, "),
        ({"prefix": HUB, "netrc": False}, "expected true or a path"),
        ({"prefix": HUB, "google": False}, "expected true"),
        ({"prefix": HUB, "token_url": "x", "client_id": "a", "client_secret": "b"}, "token_url: expected an http"),
        ({"prefix": HUB, "token_url": HUB, "client_secret": "b"}, "client_id: expected a non-empty string"),
        ({"prefix": "hub.example.com", "token": "a"}, "prefix: expected the beginning of an http"),
        ({"prefix": "https://hub.example.com/#x", "token": "a"}, "prefix: expected the beginning of an http"),
        ({"prefix": "https://me:canary@hub.example.com/", "token": "a"}, "prefix: expected the beginning of an http"),
        ({"prefix": "https://hub.example.com/team\n", "token": "a"}, "prefix: expected the beginning of an http"),
        ({"prefix": "https://hub.example.com/team ", "token": "a"}, "prefix: expected the beginning of an http"),
        ({"prefix": "https://hub.example.com\\team", "token": "a"}, "prefix: expected the beginning of an http"),
        ({"token": "a"}, "prefix: expected .* got none"),
    ],
)
def test_a_rule_that_cannot_be_meant(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Credentials(rules=[{"prefix": "https://first.example/", "token": "x"}, rule])
    assert caught.value.message.startswith("rules[1]")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "path", "problem"),
    [
        ("canary", "", "expected a mapping, got a string"),
        ({"tokn_env": "canary"}, ".tokn_env", "there is no such option"),
        ({"prefix": 5}, ".prefix", "expected a string, got 5"),
        ({"token": 20_23}, ".token", "expected a string, got '***'"),
        ({"header": "X-Key", "value": 20_23}, ".value", "expected a string, got '***'"),
        ({"username": "me", "password": ["canary"]}, ".password", "expected a string, got a list"),
        ({"token_command": 5}, ".token_command", "expected a string or a list, each item a string, got 5"),
        ({"token_command": ["print", 5]}, ".token_command[1]", "expected a string, got 5"),
        ({"netrc": 5}, ".netrc", "expected true or false or a string, got 5"),
        ({"google": "yes"}, ".google", "expected true or false, got 'yes'"),
        ({"token_url": HUB, "client_auth": "query"}, ".client_auth", "expected one of 'body', 'header', got "),
    ],
)
def test_a_value_of_another_shape(rule: Any, path: str, problem: str) -> None:
    options = {"rules": [{"prefix": "https://first.example/", "token": "x"}, rule]}
    fault = find_option_error(Credentials, options)
    assert fault is not None
    assert fault.path == f"rules[1]{path}"
    assert fault.problem.startswith(problem)
    assert not any(secret in str(fault) for secret in ("canary", "2023"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(options, options_schema(Credentials), jsonschema.Draft202012Validator)


def test_two_rules_for_one_prefix_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"rules\[1\]: there is a rule for https://hub.example.com/ already"):
        Credentials(rules=[{"prefix": HUB, "token": "a"}, {"prefix": HUB, "token": "b"}])


def test_rules_are_credentials_to_the_configuration() -> None:
    assert "rules" in Credentials.trusted_options
    assert find_option_error(Credentials, {"rules": [{"prefix": HUB, "token_env": "A"}]}) is None


def test_no_repr_shows_a_secret() -> None:
    rules = [
        {"prefix": f"{HUB}1", "token": "canary"},
        {"prefix": f"{HUB}2", "username": "me", "password": "canary"},
        {"prefix": f"{HUB}3", "header": "X-Key", "value": "canary"},
        {"prefix": f"{HUB}4", "token_url": HUB, "client_id": "me", "client_secret": "canary"},
    ]
    plugin = Credentials(rules=rules)
    shown = repr(plugin) + repr(vars(plugin))
    for rule in rules:
        answer = signer(plugin, f"{rule['prefix']}/m")
        shown += repr(answer) + answer.hubplug_rule + repr(vars(answer))
    assert "canary" not in shown


def test_neither_requests_nor_google_auth_is_imported_before_something_is_signed() -> None:
    program = """
import sys
from hubplug.types import AuthRequest, Handle
from hubplug_auth import Credentials
plugin = Credentials(rules=[
    {"prefix": "https://a.example/", "token_env": "A"},
    {"prefix": "https://b.example/", "token_url": "https://c.example/", "client_id": "a", "client_secret_env": "B"},
    {"google": True},
])
for host in ("a.example", "b.example", "storage.googleapis.com", "other.example"):
    plugin.hubplug_auth(AuthRequest(f"https://{host}/m", Handle("x")))
loaded = {"requests", "google.auth", "tensorflow"} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_a_prefix_covers_every_spelling_of_its_urls() -> None:
    signer = Credentials(rules=[{"prefix": "http://bücher.example/", "token": "x"}])
    for url in ("http://xn--bcher-kva.example/m", "http://BÜCHER.example:80/m", "http://b%C3%BCcher.example/m"):
        answer = signer.hubplug_auth(AuthRequest(url, Handle("http://h/")))
        assert callable(answer) == ("%" not in url), url
    with pytest.raises(ConfigError, match=r"there is a rule for .* already"):
        Credentials(
            rules=[{"prefix": one, "token": "x"} for one in ("http://bücher.example", "http://XN--BCHER-KVA.example/")]
        )
