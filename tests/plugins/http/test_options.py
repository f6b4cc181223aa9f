"""Options: what is refused when the plugin is made, and that making it costs nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import jsonschema
import pytest

from hubplug.errors import ConfigError
from hubplug.settings.options import find_option_error, options_schema
from hubplug_http import Http
from hubplug_http._options import read_servers
from tests.plugins.http.driving import ARCHIVE, bring
from tests.servers import Reply, ScriptedServer

NUMBERS = ("connect_timeout", "read_timeout", "min_rate", "min_rate_window", "max_retry_wait")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prefixes": ["hub.example.com"]}, "prefixes: 'hub.example.com' is not the beginning of an http"),
        ({"prefixes": ["gs://bucket/"]}, "prefixes: 'gs://bucket/'"),
        ({"mirrors": ["https://b.example/"]}, "mirrors: set without prefixes"),
        ({"retries": -1}, "retries: expected a number from 0"),
        ({"read_timeout": 0}, "read_timeout: expected a number above 0"),
        *(
            ({name: value}, f"{name}: expected a number")
            for name in NUMBERS
            for value in (float("inf"), float("nan"), 1e300)
        ),
        ({"retries": 10**30}, "retries: expected a number from 0"),
        ({"ca_bundle": "/no/such/file"}, "ca_bundle: there is no '/no/such/file'"),
        ({"client_cert": ["a", "b", "c"]}, "client_cert: expected a path or two"),
        ({"proxy": "proxy.example.com"}, "proxy: expected the URL of a proxy"),
        ({"servers": {"https://a.example/": {"retries": -1}}}, "servers\\['https://a.example/'\\].retries: expected a"),
        ({"servers": {"a.example": {}}}, "servers: 'a.example' is not"),
        ({"headers": {"https://a.example/": {"X": "a\r\nY: b"}}}, "a header must be a single line"),
        ({"headers": {"a": {"X": "b"}}}, "headers: 'a' is not"),
    ],
)
def test_an_option_that_cannot_be_meant(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Http(**options)


@pytest.mark.parametrize(
    ("options", "path", "problem"),
    [
        ({"missing": "nxt"}, "missing", "expected one of 'error', 'next', got 'nxt'"),
        (
            {"load_format": "compressed"},
            "load_format",
            "expected one of 'AUTO', 'COMPRESSED', 'UNCOMPRESSED', got 'com",
        ),
        ({"retries": 1.5}, "retries", "expected a whole number, got 1.5"),
        ({"client_cert": 5}, "client_cert", "expected a string or a list, each item a string, got 5"),
        ({"servers": {"https://a.example/": 5}}, "servers['https://a.example/']", "expected a mapping, got 5"),
        (
            {"servers": {"https://a.example/": {"verify": "no"}}},
            "servers['https://a.example/'].verify",
            "expected true",
        ),
        (
            {"servers": {"https://a.example/": {"ca_bundel": "x"}}},
            "servers['https://a.example/'].ca_bundel",
            "there is no",
        ),
        (
            {"servers": {"https://me:canary@a.example/": {"retries": "x"}}},
            "servers['https://a.example/'].retries",
            "expe",
        ),
        (
            {"headers": {"https://a.example/": {"X-Key": 20_23}}},
            "headers['https://a.example/'].X-Key",
            "expected a string",
        ),
        ({"rewrite": [{"from": "a"}]}, "rewrite[0].to", "this option is required"),
        ({"rewrite": [{"from": "a", "to": 5}]}, "rewrite[0].to", "expected a string, got 5"),
        ({"rewrite": [{"from": "a", "to": "b", "form": "c"}]}, "rewrite[0].form", "there is no such option"),
        (
            {"rewrite": [{"from": "a", "to": "b", "format_query": "no"}]},
            "rewrite[0].format_query",
            "expected true or fa",
        ),
    ],
)
def test_a_value_of_another_shape(options: dict[str, Any], path: str, problem: str) -> None:
    fault = find_option_error(Http, options)
    assert fault is not None
    assert fault.path == path
    assert fault.problem.startswith(problem)
    assert not any(secret in str(fault) for secret in ("canary", "2023"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(options, options_schema(Http), jsonschema.Draft202012Validator)


def test_a_misspelt_setting_gets_the_nearest_name() -> None:
    fault = find_option_error(Http, {"servers": {"https://a.example/": {"ca_bundel": "x"}}})
    assert "did you mean 'ca_bundle'?" in str(fault and fault.hint)


def test_the_longest_prefix_says_the_settings() -> None:
    servers = read_servers(
        {"retries": 1},
        {"https://a.example/": {"retries": 2}, "https://a.example/x": {"retries": 3, "verify": False}},
        {"https://a.example/": {"A": "1", "B": "1"}, "https://a.example/x": {"B": "2"}},
    )
    assert [servers.at(f"https://{url}").retries for url in ("b.example/x", "a.example/y", "a.example/x/y")] == [
        1,
        2,
        3,
    ]
    assert [servers.at(f"https://a.example/{path}").verify for path in ("y", "x")] == [True, False]
    assert servers.headers_for("https://a.example/x") == {"A": "1", "B": "2"}
    assert servers.headers_for("https://b.example/x") == {}


def test_the_constructor_fits_the_configurations_check() -> None:
    options = {
        "prefixes": ["https://a.example/"],
        "rewrite": [{"from": "a", "to": "b", "format_query": False}],
        "servers": {"https://a.example/": {"retries": 3, "verify": False}},
        "headers": {"https://a.example/": {"X-Key": "value"}},
        "client_cert": ["a", "b"],
        "progress": "1",
        "disable_cert_validation": "true",
        "read_timeout": 3,
    }
    assert find_option_error(Http, options) is None
    jsonschema.validate(options, options_schema(Http), jsonschema.Draft202012Validator)


def test_no_repr_shows_a_header() -> None:
    plugin = Http(headers={"https://a.example/": {"X-Key": "canary"}}, proxy="http://me:canary@127.0.0.1:1")
    assert "canary" not in repr(plugin) + repr(vars(plugin))


def test_the_user_agent_names_hubplug(server: ScriptedServer) -> None:
    server.always(Reply(body=ARCHIVE))
    bring(server.url("/m"))
    assert str(server.requests[0].header("User-Agent")).startswith("hubplug/")


def test_requests_is_not_imported_before_something_is_sent() -> None:
    program = """
import sys
from hubplug.types import Handle
from hubplug_http import Http
plugin = Http(headers={"https://a.example/": {"X": "y"}}, servers={"https://a.example/": {"retries": 2}})
source = plugin.hubplug_resolve(Handle.parse("https://a.example/m"))
assert plugin.hubplug_fetch(source).network
loaded = {"requests", "urllib3", "tqdm", "ssl", "tensorflow"} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})
