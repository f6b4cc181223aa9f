"""The command line: what it prints, its exit status, and that it never shows a traceback or a secret."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

import hubplug
from hubplug.cli.main import hubplug as command
from hubplug.in_effect import current_hub
from hubplug.settings.entry_points import installed_plugins
from hubplug.settings.inventory import config_schema, inventory
from tests.core.small_plugins import toy_plugins

MakeHub = Callable[..., hubplug.Hub]
Install = Callable[..., None]

PLUGIN = """
    import hubplug

    class Plugin:
        trusted_options = ("token",)
        def __init__(self, *, token: str = "", count: int = 1) -> None: ...
        @hubplug.hookimpl
        def hubplug_auth(self, request):
            return None
"""


def run(*arguments: str, fine: bool = True) -> Result:
    try:
        runner = CliRunner(mix_stderr=False)  # type: ignore[call-arg]
    except TypeError:  # click 8.2 always keeps the two apart
        runner = CliRunner()
    result = runner.invoke(command, list(arguments))
    assert result.exit_code == (0 if fine else 2), result.output
    if not fine and result.exception is not None:
        assert isinstance(result.exception, SystemExit)
    return result


@pytest.fixture
def active(hub: hubplug.Hub) -> Iterator[hubplug.Hub]:
    with hub.activate():
        yield hub


@pytest.mark.usefixtures("active")
def test_resolve_prints_the_directory_and_nothing_else() -> None:
    path = Path(run("resolve", "toy://a").output.removesuffix("\n"))
    assert (path / "model.txt").read_text() == "good a"


@pytest.mark.usefixtures("active")
def test_an_error_is_two_lines_on_standard_error_and_status_2() -> None:
    result = run("resolve", "nobody://user:canary@x?t=canary", fine=False)
    assert result.stdout == ""
    error, hint = result.stderr.splitlines()
    assert error.startswith(
        "error: No plugin takes the handle 'nobody://x?t=***' (asked hubplug_resolve of: Resolver[0]"
    )
    assert hint.startswith("hint: ")
    assert "canary" not in result.output


def test_a_bug_of_a_plugin_is_no_traceback_unless_asked_for(make_hub: MakeHub) -> None:
    class Broken:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: Any) -> None:
            raise KeyError("x")

    with make_hub(Broken()).activate():
        quiet = run("resolve", "toy://a", fine=False)
        loud = run("--traceback", "resolve", "toy://a", fine=False)
    assert "Traceback" not in quiet.output
    assert "'Broken[0]' of this program failed" in quiet.stderr
    assert "Traceback" in loud.stderr
    assert "KeyError: 'x'" in loud.stderr
    assert loud.stderr.endswith(quiet.stderr)


@pytest.mark.usefixtures("active")
def test_show_describes_a_module_for_people_and_for_machines() -> None:
    assert run("show", "toy://a").output.splitlines() == [
        "format: TextSpec",
        "location: toy://a",
        "graph variant [] (inference)",
        "  signature 'default'",
        "    input  'text'  string  [None]  dense",
        "    output  'default'  string  [None]  dense",
    ]
    description = json.loads(run("show", "toy://a", "--format", "json").output)
    assert description["variants"][0]["signatures"]["default"]["inputs"] == {
        "text": {"dtype": "string", "shape": [None], "kind": "dense"}
    }


def test_explain_shows_who_would_take_an_export(make_hub: MakeHub) -> None:
    class Harbour:
        @hubplug.hookimpl
        def hubplug_publish(self, handle: hubplug.Handle) -> Any:
            if handle.scheme == "corp":
                return handle.instead("harbour://m")
            return hubplug.Plan(f"ship it to {handle}", lambda produce: None)

    with make_hub(Harbour()).activate():
        assert run("explain", "--export", "corp://u:canary@m").output.splitlines() == [
            "publish  Harbour[0]: exported to harbour://m",
            "publish  Harbour[0]: ship it to harbour://m",
        ]
        assert run("explain", "--export", "/models/m").output.startswith("a local path")


def test_explain_shows_who_answers_and_who_declines(make_hub: MakeHub, tmp_path: Path) -> None:
    class Mirror:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: hubplug.Handle) -> Any:
            if handle.scheme == "corp":
                return handle.instead("toy://user:canary@a?t=canary")
            return hubplug.Declined("only corp://")

    class Signer:
        @hubplug.hookimpl
        def hubplug_auth(self, request: Any) -> Any:
            return print

    with make_hub(Mirror(), Signer()).activate():
        lines = run("explain", "corp://m").output.splitlines()
        rows = json.loads(run("explain", "corp://m", "--format", "json").output)
    shelf = next(line for line in lines if line.startswith("cache"))
    assert [line for line in lines if line != shelf] == [
        "resolve  Mirror[0]: redirected to toy://a?t=***",
        "resolve  Resolver[2]: it lives at toy://a?t=***",
        "         Mirror[0] declined: only corp://",
        "fetch    Fetcher[4]: bring toy://a?t=***",
        "auth     Signer[1]: builtin_function_or_method",
    ]
    assert shelf.startswith(f"cache    Shelf[3]: miss: fill {tmp_path}")
    assert rows[1]["declined"] == [{"plugin": "Mirror[0]", "reason": "only corp://"}]
    assert not (tmp_path / "shelf").exists()


@pytest.mark.usefixtures("active")
def test_explain_ends_with_the_cache_that_has_it() -> None:
    run("resolve", "toy://a")
    resolved, cached = run("explain", "toy://a").output.splitlines()
    assert resolved == "resolve  Resolver[0]: it lives at toy://a"
    assert cached.startswith("cache    Shelf[1]: hit: use ")


def test_explain_says_when_nobody_answers_a_later_hook(tmp_path: Path) -> None:
    plugins = [
        p for p in toy_plugins(tmp_path, {}) if not hasattr(p, "hubplug_fetch") and not hasattr(p, "hubplug_cache")
    ]
    with hubplug.Hub({"chain": []}, plugins=plugins).activate():
        assert run("explain", "toy://a").output.splitlines()[1:] == [
            "cache    -: no plugin answers",
            "fetch    -: no plugin answers",
        ]


def test_explain_says_nothing_of_signing_where_a_plugin_fetches_by_itself(make_hub: MakeHub) -> None:
    class Courier:
        @hubplug.hookimpl
        def hubplug_resolve(self, handle: hubplug.Handle) -> Any:
            return hubplug.Source(handle, handle.text)

        @hubplug.hookimpl
        def hubplug_fetch(self, source: hubplug.Source) -> Any:
            return hubplug.Plan(f"send for {source}", lambda tree, auth_for: None)

    class Signer:
        @hubplug.hookimpl
        def hubplug_auth(self, request: Any) -> Any:
            return print

    with make_hub(Courier(), Signer()).activate():
        assert not any(line.startswith("auth") for line in run("explain", "courier://m").output.splitlines())
        assert any(line.startswith("auth     Signer") for line in run("explain", "https://h/m").output.splitlines())


@pytest.fixture
def mirrored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A configuration with a mirror, and credentials for both places of which one is there."""
    path = tmp_path / "hubplug.yaml"
    path.write_text("""
version: 1
chain: [auth, http, archive]
plugins:
  http: {options: {prefixes: ["https://hub.example.com/"], mirrors: ["https://eu.example.com/"]}}
  auth:
    options:
      rules:
        - {prefix: "https://hub.example.com/", token_env: TOKEN_OF_THE_HUB}
        - {prefix: "https://eu.example.com/", token_env: TOKEN_OF_THE_MIRROR}
""")
    monkeypatch.setenv("TOKEN_OF_THE_MIRROR", "CANARY")
    monkeypatch.delenv("TOKEN_OF_THE_HUB", raising=False)
    return str(path)


needs_http = pytest.mark.skipif("http" not in installed_plugins(), reason="hubplug is not installed here")


@needs_http
def test_explain_shows_the_credentials_of_mirrors_and_what_is_not_set(mirrored: str) -> None:
    shown = run("--config", mirrored, "explain", "https://hub.example.com/m/1").output.splitlines()
    query = "tf-hub-format=compressed"
    assert shown[-3:] == [
        f"fetch    http: download https://hub.example.com/m/1?{query}, else https://eu.example.com/m/1?{query} as an archive",
        f"auth     auth: for https://hub.example.com/m/1?{query}: bearer token from environment variable TOKEN_OF_THE_HUB, "
        "rule for https://hub.example.com/, but environment variable TOKEN_OF_THE_HUB is not set",
        f"auth     auth: for https://eu.example.com/m/1?{query}: bearer token from environment variable TOKEN_OF_THE_MIRROR, "
        "rule for https://eu.example.com/",
    ]


@needs_http
def test_checking_says_which_credentials_are_not_set(mirrored: str) -> None:
    result = run("--config", mirrored, "config", "check")
    assert result.stderr.splitlines() == [
        "warning: plugins.auth: bearer token from environment variable TOKEN_OF_THE_HUB, rule for https://hub.example.com/: "
        "environment variable TOKEN_OF_THE_HUB is not set"
    ]
    assert result.stdout.endswith(": valid, with warnings; chain: auth, http, archive\n")
    found = json.loads(run("--config", mirrored, "config", "check", "--json").stdout)
    assert [f"warning: {warning}" for warning in found["warnings"]] == result.stderr.splitlines()


def test_plugins_are_listed_with_distribution_place_and_hooks(install: Install, tmp_path: Path) -> None:
    install("corp-auth", {"corp-auth": "corp_auth:Plugin"}, PLUGIN, version="2.1")
    install("corp-broken", {"broken": "corp_broken:Plugin"}, "raise RuntimeError('no licence')")
    install("corp-idle", {"idle": "corp_idle:Plugin"}, PLUGIN)
    path = tmp_path / "hubplug.yaml"
    path.write_text("version: 1\nchain: [corp-auth, second]\nplugins: {second: {use: corp-auth}}\n")
    lines = run("--config", str(path), "plugins").output.splitlines()
    assert lines[0].split() == ["NAME", "DISTRIBUTION", "IN", "THE", "CHAIN", "HOOKS"]
    assert lines[1].split() == ["corp-auth", "corp-auth", "2.1", "1", "auth"]
    assert lines[2].split() == ["second", "corp-auth", "2.1", "2", "auth"]
    rows = {row["name"]: row for row in json.loads(run("--config", str(path), "plugins", "--format", "json").output)}
    assert rows["idle"] == {
        "name": "idle",
        "distribution": "corp-idle 1.0",
        "place": "no",
        "state": f"no: {path} does not name it",
        "problem": None,
        "hooks": ["hubplug_auth"],
    }
    assert rows["broken"]["state"].startswith("no: The plugin 'broken' (corp_broken:Plugin) of corp-broken 1.0 cannot")
    assert rows["broken"]["hooks"] == []


def test_what_is_wrong_with_a_plugin_stands_below_the_table(install: Install, tmp_path: Path) -> None:
    install("corp-broken", {"broken": "corp_broken:Plugin"}, "raise RuntimeError('no licence')")
    path = tmp_path / "hubplug.yaml"
    path.write_text("version: 1\nchain: [file]\n")
    lines = run("--config", str(path), "plugins").output.splitlines()
    (row,) = [line for line in lines if line.startswith("broken ")]
    assert row.split() == ["broken", "corp-broken", "1.0", "no,", "broken"]
    assert lines[-1].startswith(
        "broken: The plugin 'broken' (corp_broken:Plugin) of corp-broken 1.0 cannot be imported"
    )


def test_a_plugin_object_of_the_program_is_listed_too(make_hub: MakeHub) -> None:
    hub = make_hub()
    row = inventory(hub.config, hub.chain.members)[0]
    assert (row["name"], row["distribution"], row["state"], row["hooks"]) == (
        "Resolver[0]", "this program", "1", ["hubplug_resolve"],
    )  # fmt: skip


BROKEN = {
    "an import error": ("raise RuntimeError('no licence')", "cannot be imported: RuntimeError: no licence"),
    "a constructor that fails": (PLUGIN.replace("...", "1 / 0"), "ZeroDivisionError"),
    "a hook that is none": (PLUGIN.replace("hubplug_auth", "hubplug_auht"), "'hubplug_auht'"),
    "a missing option": (PLUGIN.replace(" = 1", ""), "requires this option"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_plugins_lists_a_third_party_plugin_that_cannot_be_used_and_goes_on(
    how: str, install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, why = BROKEN[how]
    install("corp-broken", {"broken": "corp_broken:Plugin"}, code)
    install("corp-good", {"good": "corp_good:Plugin"}, PLUGIN)
    monkeypatch.chdir(tmp_path)
    result = run("plugins", "--format", "json", fine=False)
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["broken"]["distribution"] == "corp-broken 1.0"
    assert rows["broken"]["state"].startswith("1, but: ")
    assert why in rows["broken"]["state"]
    assert rows["broken"]["hooks"] == []
    assert (rows["good"]["state"], rows["good"]["hooks"]) == ("2", ["hubplug_auth"])
    assert why in result.stderr
    assert [why in line for line in run("plugins", fine=False).stdout.splitlines()].count(True) == 1
    for others in (["config", "check"], ["config", "show"], ["resolve", "https://127.0.0.1:9/m"]):
        assert why in run(*others, fine=False).stderr


def test_plugins_lists_what_a_file_names_and_what_cannot_be_had_of_it(tmp_path: Path, install: Install) -> None:
    install("corp-broken", {"broken": "corp_broken:Plugin"}, "raise RuntimeError('no licence')")
    install("corp-good", {"good": "corp_good:Plugin"}, PLUGIN)
    path = tmp_path / "f.yaml"
    path.write_text("version: 1\nchain: [good, broken, nobodys]\n")
    result = run("--config", str(path), "plugins", "--format", "json", fine=False)
    states = {row["name"]: row["state"] for row in json.loads(result.stdout)}
    assert states["good"] == "1"
    assert states["broken"].startswith("2, but: ")
    assert states["nobodys"] == f"3, but: {path}: chain: no plugin 'nobodys' is installed"
    run("--config", str(path), "resolve", "x", fine=False)


def test_config_show_says_which_file_and_what_is_in_effect_without_secrets(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("corp-auth", {"corp-auth": "corp_auth:Plugin"}, PLUGIN)
    monkeypatch.setenv("CORP_TOKEN", "canary")
    path = tmp_path / "f.yaml"
    path.write_text(
        "version: 1\nchain: []\nchains: {main: [corp-auth, other]}\nplugins:\n"
        "  corp-auth: {options: {token: 'canary', count: 3}}\n"
        "  other: {use: corp-auth, options: {token: '${CORP_TOKEN}'}}\n"
    )
    result = run("--config", str(path), "--chain", "main", "--offline", "config", "show")
    assert "canary" not in result.output
    assert result.output.startswith(f"# read from {path}\n")
    shown = yaml.safe_load(result.output)
    assert shown["chain"] == ["corp-auth", "other"]
    assert shown["offline"] is True
    assert shown["plugins"] == {
        "corp-auth": {"use": "corp-auth", "options": {"token": "***", "count": 3}},
        "other": {"use": "corp-auth", "options": {"token": "${CORP_TOKEN}"}},
    }


def test_config_show_says_what_the_environment_sets(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = PLUGIN.replace("trusted_options", "environment = {'count': 'TFHUB_TEST_COUNT'}\n        trusted_options")
    install("corp-auth", {"corp-auth": "corp_auth:Plugin"}, code.replace("count: int", "count: int | str"))
    monkeypatch.setenv("TFHUB_TEST_COUNT", "canary")
    path = tmp_path / "f.yaml"
    path.write_text("version: 1\nchain: [corp-auth]\n")
    lines = run("--config", str(path), "config", "show").output.splitlines()
    assert lines[:2] == [f"# read from {path}", "# TFHUB_TEST_COUNT sets plugins.corp-auth.options.count"]
    assert "canary" not in "".join(lines)


def test_config_show_is_itself_a_configuration(tmp_path: Path, install: Install) -> None:
    install("corp-auth", {"corp-auth": "corp_auth:Plugin"}, PLUGIN)
    first = tmp_path / "f.yaml"
    first.write_text("version: 1\nchain: ['*']\nplugins: {corp-auth: {options: {count: 3}}}\n")
    second = tmp_path / "g.yaml"
    second.write_text(run("--config", str(first), "config", "show").output)
    again = run("--config", str(second), "config", "show").output
    assert again.partition("\n")[2] == second.read_text().partition("\n")[2]


def test_config_check_says_fine_or_what_is_wrong(tmp_path: Path, install: Install) -> None:
    install("corp-auth", {"corp-auth": "corp_auth:Plugin"}, PLUGIN)
    path = tmp_path / "f.yaml"
    path.write_text("version: 1\nchain: [corp-auth]\n")
    assert run("--config", str(path), "config", "check").output == f"{path}: fine; chain: corp-auth\n"
    found = json.loads(run("--config", str(path), "config", "check", "--json").output)
    assert found == {"read_from": str(path), "chain": ["corp-auth"], "warnings": []}
    path.write_text("version: 1\nchain: [corp-auth]\nplugins: {corp-auth: {options: {cuont: 1}}}\n")
    assert run("--config", str(path), "config", "check", fine=False).stderr.splitlines() == [
        f"error: {path}: plugins.corp-auth.options.cuont: there is no such option",
        "hint: did you mean 'count'? possible: count, token",
    ]


def test_config_check_looks_at_alternative_chains_too(tmp_path: Path, install: Install) -> None:
    install("corp-auth", {"corp-auth": "corp_auth:Plugin"}, PLUGIN)
    path = tmp_path / "f.yaml"
    path.write_text("version: 1\nchain: [corp-auth]\nchains: {good: [], bad: [corp-atuh]}\n")
    said = run("--config", str(path), "config", "check", fine=False).stderr
    assert said.startswith(
        f"error: The chain 'bad' cannot be used: {path}: chain: no plugin 'corp-atuh' is installed\n"
        "hint: did you mean 'corp-auth'?"
    )


def test_config_check_notices_a_profile_that_nobody_knows(tmp_path: Path, install: Install) -> None:
    code = PLUGIN.replace("hubplug_auth(self, request)", "hubplug_validate(self, spec, profile)")
    install(
        "house-rules",
        {"house": "house_rules:Plugin"},
        code.replace("trusted_options", "profiles = ('house', 'tidy')\n        trusted_options"),
    )
    path = tmp_path / "f.yaml"
    path.write_text("version: 1\nchain: [house]\nvalidate: {'https://h/': [house]}\n")
    run("--config", str(path), "config", "check")
    path.write_text("version: 1\nchain: [house]\nvalidate: {'https://h/': [house, huose]}\n")
    said = run("--config", str(path), "config", "check", fine=False).stderr
    assert said.splitlines() == [
        f"error: {path}: validate.https://h/: no plugin of the chain knows the profile 'huose' (asked: house)",
        "hint: did you mean 'house'? possible: house, tidy",
    ]
    path.write_text("version: 1\nchain: [house]\nchains: {bare: []}\nvalidate: {'https://h/': [house]}\n")
    said = run("--config", str(path), "config", "check", fine=False).stderr
    assert said.startswith("error: The chain 'bare' cannot be used: ")
    assert "'house' (asked: no plugin)" in said


def test_a_plugin_that_does_not_say_which_profiles_it_knows_may_know_any(tmp_path: Path, install: Install) -> None:
    code = PLUGIN.replace("hubplug_auth(self, request)", "hubplug_validate(self, spec, profile)")
    install("house-rules", {"house": "house_rules:Plugin"}, code)
    path = tmp_path / "f.yaml"
    path.write_text("version: 1\nchain: [house]\nvalidate: {'https://h/': [any]}\n")
    run("--config", str(path), "config", "check")


GOOD = [
    "version: 1",
    "version: 1\nchain: [corp-auth, '*']\nchains: {a: []}\noffline: true\nlocked: false",
    "version: 1\nlimits: {max_bytes: 1000}\nvalidate: {'https://h/': [safe]}",
    "version: 1\nplugins: {corp-auth: {options: {token: a, count: 2}}}",
    "version: 1\nplugins: {corp-auth: {use: corp-auth, options: {token: a}}}",
    "version: 1\nplugins: {mine: {use: corp-auth, options: {count: 2}}}",
]
BAD = [
    "chain: []",
    "version: 2",
    "version: 1\nchian: []",
    "version: 1\nchain: [1]",
    "version: 1\nchain: [a, a]",
    "version: 1\nlimits: {max_bites: 1}",
    "version: 1\nplugins: {corp-auth: {options: {tokne: a}}}",
    "version: 1\nplugins: {corp-auth: {options: {count: two}}}",
    "version: 1\nplugins: {corp-auth: {optoins: {}}}",
    "version: 1\nplugins: {corp-auth: {use: corp-auth, options: {count: two}}}",
    "version: 1\nplugins: {mine: {use: corp-auth, options: {tokne: a}}}",
    "version: 1\nplugins: {mine: {use: nobody}}",
    "version: 1\nplugins: {mine: {options: {}}}",
]


def test_config_schema_is_a_schema_that_knows_the_options_of_every_plugin(install: Install) -> None:
    install("corp-auth", {"corp-auth": "corp_auth:Plugin"}, PLUGIN)
    schema = json.loads(run("config", "schema").output)
    assert schema == config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for text in GOOD:
        assert list(validator.iter_errors(yaml.safe_load(text))) == [], text
    for text in BAD:
        assert list(validator.iter_errors(yaml.safe_load(text))), text


@pytest.mark.skipif("http" not in installed_plugins(), reason="hubplug is not installed here")
def test_the_repositorys_hubplug_yaml_keeps_the_schema() -> None:
    text = (Path(__file__).resolve().parents[2] / "hubplug.yaml").read_text()
    jsonschema.validate(yaml.safe_load(text), config_schema(), jsonschema.Draft202012Validator)


def test_lock_writes_and_fetch_follows(tmp_path: Path) -> None:
    path = tmp_path / "hubplug.yaml"
    path.write_text("version: 1\nchain: []\nlocked: true\n")
    texts = {"a": "good a"}
    with hubplug.Hub(path, plugins=toy_plugins(tmp_path / "one", texts)).activate():
        assert run("lock", "toyball://a").output == f"{tmp_path / 'hubplug.lock'}: 1 module pinned\n"
    with hubplug.Hub(path, plugins=toy_plugins(tmp_path / "two", texts)).activate():
        assert run("fetch", "--locked").output.endswith("  toyball://a\n")
    texts["a"] = "good but another"
    with hubplug.Hub(path, plugins=toy_plugins(tmp_path / "three", texts)).activate():
        assert "expected the archive with sha256" in run("fetch", "--locked", fine=False).stderr
        assert run("lock", "toyball://a").output == f"{tmp_path / 'hubplug.lock'}: 1 module pinned\n"


@pytest.mark.usefixtures("active")
def test_fetch_wants_something_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "name handles, or give --locked" in run("fetch", fine=False).stderr
    result = run("fetch", "--locked", fine=False)
    assert result.stderr.splitlines()[0] == "error: There is no hubplug.lock"


COMMAND = """
    import click

    @click.command()
    def greet():
        "Greet everybody."
        click.echo("hello")

    nothing = 3
"""


def test_a_plugin_adds_a_subcommand(install: Install) -> None:
    install("corp-tools", {"greet": "corp_tools:greet"}, COMMAND, group="hubplug.commands")
    assert run("greet").output == "hello\n"
    assert "Greet everybody." in run("--help").output


def test_a_broken_subcommand_takes_nothing_else_away(install: Install) -> None:
    install("corp-tools", {"greet": "corp_tools:nothing"}, COMMAND, group="hubplug.commands")
    assert run("greet", fine=False).stderr == (
        "error: The command 'greet' (corp_tools:nothing) of corp-tools 1.0 is a int, expected a click.Command\n"
    )
    text = run("--help").output
    assert "(cannot be used: The command 'greet'" in text
    assert "resolve" in text


def test_a_subcommand_that_cannot_be_imported_is_called_one_with_a_way_out_that_is_one(install: Install) -> None:
    install("corp-tools", {"greet": "corp_tools:greet"}, "raise RuntimeError('no licence')", group="hubplug.commands")
    assert run("greet", fine=False).stderr == (
        "error: The command 'greet' (corp_tools:greet) of corp-tools 1.0 cannot be imported: RuntimeError: no licence\n"
        "hint: mend or uninstall the distribution\n"
    )


def test_a_subcommand_that_two_distributions_offer_is_an_error(install: Install) -> None:
    install("corp-one", {"greet": "corp_one:greet"}, COMMAND, group="hubplug.commands")
    install("corp-two", {"greet": "corp_two:greet"}, COMMAND, group="hubplug.commands")
    assert "The command 'greet' is offered by corp-" in run("greet", fine=False).stderr


def test_a_subcommand_of_the_core_cannot_be_replaced(install: Install, hub: hubplug.Hub) -> None:
    install("corp-tools", {"resolve": "corp_tools:greet"}, COMMAND, group="hubplug.commands")
    with hub.activate():
        assert run("resolve", "toy://a").output != "hello\n"


# As a process


def process(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hubplug", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["resolve", "x"], {"HUBPLUG_CONFIG": "/nowhere.yaml"}, "error: No configuration file '/nowhere.yaml'"),
        (["--config", "/nowhere.yaml", "plugins"], {}, "error: No configuration file '/nowhere.yaml'"),
        (["resolve", "x"], {"HUBPLUG_OFFLINE": "maybe"}, "error: HUBPLUG_OFFLINE is a switch"),
        (["--chain", "frozen", "plugins"], {}, "error: the built-in configuration: there is no chain 'frozen'"),
        (["resolve", ""], {}, "error: '' is not a handle"),
    ],
)
def test_a_process_ends_with_status_2_and_no_traceback(
    arguments: list[str], environment: dict[str, str], message: str, tmp_path: Path
) -> None:
    if arguments == ["resolve", ""]:
        (tmp_path / "hubplug.yaml").write_text("version: 1\nchain: []\n")
    done = process(*arguments, cwd=tmp_path, **environment)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stderr


def test_an_unknown_subcommand_is_said_to_be_unknown(tmp_path: Path) -> None:
    done = process("reslove", cwd=tmp_path)
    assert done.returncode == 2
    assert "No such command 'reslove'" in done.stderr


def test_an_interruption_is_one_line_and_the_status_of_a_shell() -> None:
    asked = threading.Event()

    class Silent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            self.rfile.read(1)  # until the client is gone

    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        handle = f"http://127.0.0.1:{server.server_address[1]}/publisher/model/1"
        started = subprocess.Popen(
            [sys.executable, "-m", "hubplug", "resolve", handle],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert asked.wait(60)
            started.send_signal(signal.SIGINT)
            output, errors = started.communicate(timeout=60)
        finally:
            started.kill()
            server.shutdown()
    assert (started.returncode, output, errors.strip()) == (130, "", "interrupted")


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_the_list_of_commands_cuts_no_sentence(columns: str) -> None:
    listed = CliRunner(env={"COLUMNS": columns}).invoke(command, ["--help"]).output.partition("Commands:")[2]
    assert "..." not in listed


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", ["--help", "config schema", "config show", "plugins", "cache path"])
def test_output_that_a_full_disk_does_not_take_is_two_lines(arguments: str, unbuffered: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hubplug", *arguments.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            timeout=120,
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "error: Cannot write: No space left on device"
    assert len(done.stderr.splitlines()) == 2


# What it sets is the process's default

WHERE_A_PROGRAM_ASKS = {
    "the main thread": "ask()",
    "a thread": "t = threading.Thread(target=ask); t.start(); t.join()",
    "a pool of threads": "ThreadPoolExecutor().submit(ask).result()",
    "a timer": "t = threading.Timer(0, ask); t.start(); t.join()",
    "a task": "asyncio.run(asyncio.to_thread(ask))",
    "a loop's pool": "asyncio.new_event_loop().run_until_complete(loop_pool())",
    "an empty context": "contextvars.Context().run(ask)",
    "the end of the program": "atexit.register(ask)",
    "a fork": "ask_in_process(get_context('fork'))",
    "a spawned process": "ask_in_process(get_context('spawn'))",
    "a process of its own": "subprocess.run([sys.executable, __file__, 'child'], check=True)",
    "another directory": "os.chdir('/'); ask()",
}
ASKING = """
    import asyncio, atexit, contextvars, os, subprocess, sys, threading
    from concurrent.futures import ThreadPoolExecutor
    from multiprocessing import get_context
    import hubplug
    from hubplug.in_effect import current_hub

    def ask():
        config = current_hub().config
        print(config.offline, config.locked, config.chain, flush=True)

    async def loop_pool():
        await asyncio.get_running_loop().run_in_executor(None, ask)

    def ask_in_process(context):
        process = context.Process(target=ask)
        process.start()
        process.join()

    if __name__ == "__main__":
        if sys.argv[1:] == ["child"]:
            ask()
        else:
            {statement}
"""


@pytest.mark.parametrize("where", WHERE_A_PROGRAM_ASKS)
def test_what_the_command_line_sets_holds_wherever_a_program_asks(where: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(ASKING).replace("{statement}", WHERE_A_PROGRAM_ASKS[where]))
    (tmp_path / "f.yaml").write_text("version: 1\nchain: [http]\nchains: {local: [file]}\nlocked: true\n")
    options = ["--config", "f.yaml", "--chain", "local", "--offline"]
    done = process(*options, "run", "program.py", cwd=tmp_path)
    assert done.stdout == "True True ('file',)\n", done.stderr


def test_what_the_command_line_sets_ends_with_it_in_a_program_that_goes_on(
    tmp_path: Path, hub: hubplug.Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("version: 1\nchain: []\n")
    monkeypatch.setenv("HUBPLUG_OFFLINE", "0")
    before = dict(os.environ)
    with hub.activate():
        shown = run("--config", str(path), "--offline", "config", "show").output
        assert shown.startswith(f"# read from {path}\n")
        assert "offline: true" in shown
        assert current_hub() is hub
    assert dict(os.environ) == before
