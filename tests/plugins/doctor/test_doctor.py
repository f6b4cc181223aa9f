"""`hubplug doctor`: one page with what is wrong, whatever is broken, and no secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import hubplug
from hubplug.cli.main import hubplug as command
from hubplug_cache import CacheDirectory
from hubplug_doctor._tensorflow import find_problems
from tests.plugins.cache.origin import Origin

CONFIG = """
version: 1
plugins:
  auth:
    options:
      rules:
        - {prefix: "https://hub.example.com/", token_env: CORP_TOKEN}
        - {prefix: "https://other.example.com/", token_env: OTHER_TOKEN}
  http:
    options: {headers: {"https://hub.example.com/": {X-Key: "${CORP_KEY}"}}}
"""
HANDLE = "https://user:canary@hub.example.com/m/1?token=canary"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, a cache in it, and secrets in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "modules"))
    monkeypatch.setenv("HTTPS_PROXY", "http://user:canary@proxy.example:3128")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    monkeypatch.setenv("CORP_TOKEN", "canary")
    monkeypatch.setenv("CORP_KEY", "canary")
    monkeypatch.delenv("OTHER_TOKEN", raising=False)
    return tmp_path


def _run(*arguments: str) -> Result:
    result = CliRunner().invoke(command, [*arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "canary" not in result.output
    return result


def _page(*arguments: str) -> dict[str, Any]:
    page: dict[str, Any] = json.loads(_run(*arguments, "--json").stdout)
    return page


def test_a_good_installation_has_no_problem_of_its_own(folder: Path) -> None:
    page = _page("doctor")
    assert [problem for problem in page["problems"] if not problem.startswith("tensorflow: ")] == []
    assert page["versions"]["hubplug"] == hubplug.__version__
    assert page["configuration"]["read_from"] == "the built-in configuration"
    assert page["configuration"]["set_by_environment"] == {"plugins.cache.options.dir": "TFHUB_CACHE_DIR"}
    assert {"HTTPS_PROXY", "AWS_SECRET_ACCESS_KEY", "TFHUB_CACHE_DIR"} <= set(page["environment"])
    assert page["state"]["cache"]["directory"] == str(folder / "modules")


def test_credentials_are_named_with_whether_they_are_set(folder: Path) -> None:
    (folder / "hubplug.yaml").write_text(CONFIG)
    result = _run("--config", "hubplug.yaml", "doctor")
    assert result.exit_code == 1
    assert "CORP_TOKEN, rule for https://hub.example.com/: set\n" in result.stdout
    assert (
        "OTHER_TOKEN, rule for https://other.example.com/: environment variable OTHER_TOKEN is not set" in result.stdout
    )
    (problem,) = [one for one in _page("--config", "hubplug.yaml", "doctor")["problems"] if one.startswith("auth: ")]
    assert "OTHER_TOKEN" in problem


def test_a_handle_is_explained_and_not_fetched() -> None:
    row = _page("doctor", HANDLE)["handles"][0]
    assert row["handle"] == "https://hub.example.com/m/1?token=***"
    assert row["problem"] is None
    assert row["way"][-1].startswith("fetch: http: download ")


def test_a_handle_that_no_plugin_takes_is_a_problem() -> None:
    result = _run("doctor", "nope://x?key=canary", "/nowhere/at/all")
    assert result.exit_code == 1
    assert "nope://x?key=***: No plugin takes" in result.stdout
    assert "/nowhere/at/all: /nowhere/at/all does not exist" in result.stdout


def test_a_cache_says_its_size_and_its_damage(folder: Path) -> None:
    for name in ("1", "2"):
        Origin().resolve(CacheDirectory(str(folder / "modules")), f"https://models.example/m/{name}")
    entry = next(path for path in sorted((folder / "modules").iterdir()) if path.is_dir() and len(path.name) == 40)
    (entry / "saved_model.pb").unlink()
    page = _page("doctor")
    assert page["state"]["cache"]["entries"] == 2
    assert page["state"]["cache"]["bytes"] > 5000
    assert [one for one in page["problems"] if f"cache: {entry}: saved_model.pb is missing" in one]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version: 1\nchain: [nope]\n", "no plugin 'nope' is installed"),
        ("version: 1\nplugins: {cache: {options: {dri: x}}}\n", "there is no such option"),
        ("version: 7\n", "version"),
        ("\t", "hubplug.yaml"),
    ],
)
def test_a_broken_configuration_is_on_the_page_and_takes_nothing_else_from_it(
    text: str, problem: str, folder: Path
) -> None:
    (folder / "hubplug.yaml").write_text(text)
    result = _run("doctor")
    assert result.exit_code == 1
    assert "VERSIONS" in result.stdout
    page = _page("doctor")
    assert problem in " ".join(page["problems"])


Find = Callable[[dict[str, str], dict[str, Any] | None], list[str]]


@pytest.mark.parametrize(
    ("installed", "found", "said"),
    [
        ({}, None, ""),
        ({"tensorflow": "2.15.1"}, {"version": "2.15.1", "keras": "2.15.0"}, ""),
        ({"tensorflow": "2.21.0", "tf-keras": "2.21.0"}, {"version": "2.21.0", "keras": "3.1"}, ""),
        ({"tensorflow": "2.21.0"}, {"version": "2.21.0", "keras": "3.1"}, "pip install 'tf_keras~=2.21.0'"),
        (
            {"tensorflow": "2.21.0", "tf-keras": "2.15.0"},
            {"version": "2.21.0", "keras": "3.1"},
            "is not for TensorFlow",
        ),
        ({"tensorflow": "2.12.0"}, {"version": "2.12.0", "keras": "2.12.0"}, "is older than 2.15"),
        (
            {"tensorflow": "2.15.1", "tensorflow-cpu": "2.15.0"},
            {"version": "2.15.1", "keras": "2.15.0"},
            "same package",
        ),
    ],
)
def test_what_does_not_fit_is_said(installed: dict[str, str], found: dict[str, Any] | None, said: str) -> None:
    assert (said in " ".join(find_problems(installed, found))) if said else find_problems(installed, found) == []


def test_a_tensorflow_that_ends_its_process_is_a_line_of_the_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "broken").mkdir()
    (folder / "broken/tensorflow.py").write_text("import os; os.abort()\n")
    monkeypatch.syspath_prepend(str(folder / "broken"))
    result = _run("doctor")
    assert result.exit_code == 1
    assert "tensorflow: TensorFlow cannot be imported: the process " in result.stdout
