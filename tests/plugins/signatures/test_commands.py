"""``hubplug validate`` and ``hubplug diff`` as a continuous-integration job runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hubplug.errors import ConfigError, ValidationError
from hubplug.hub import Hub
from hubplug.testing import run_without
from hubplug_format import ModuleBuilder, write_module
from hubplug_signatures._commands import diff, validate
from tests.plugins.signatures.conftest import text_builder


def run(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.fixture
def unsafe(tmp_path: Path) -> Path:
    builder = ModuleBuilder()
    builder.node("ReadFile", name="bad")
    write_module(tmp_path / "unsafe", builder)
    return tmp_path / "unsafe"


def test_a_good_module_exits_with_0(text_module: Path) -> None:
    result = run(
        validate, text_module, "--profile", "text-feature-vector", "--profile", "complete", "--profile", "safe"
    )
    assert (result.exit_code, result.output) == (0, f"{text_module}: no findings\n")


def test_an_error_exits_with_1(unsafe: Path) -> None:
    result = run(validate, unsafe)
    assert result.exit_code == 1
    first, last = result.output.splitlines()
    assert first.startswith("error: safe/reads-files: graph variant []: op ReadFile can read files")
    assert last == f"{unsafe}: 1 error"


@pytest.mark.parametrize("spelling", ["{}", "{}/../unsafe", "file://{}", "link"])
def test_a_prefix_of_a_local_directory_covers_every_spelling_of_its_path(
    unsafe: Path, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(unsafe.parent)
    (unsafe.parent / "link").symlink_to(unsafe)
    demanding = Hub({"chain": ["file", "tf1", "signatures"], "validate": {f"file://{unsafe}": ["safe"]}})
    with pytest.raises(ValidationError, match="does not keep safe"):
        demanding.load_spec(spelling.format(unsafe))


def test_a_prefix_of_another_directory_demands_nothing(unsafe: Path) -> None:
    demanding = Hub({"chain": ["file", "tf1", "signatures"], "validate": {f"file://{unsafe}er": ["safe"]}})
    assert demanding.load_spec(str(unsafe))


@pytest.mark.parametrize("form", ["text", "json", "sarif"])
def test_allowed_ops_are_accepted_and_every_report_says_where_they_are(unsafe: Path, form: str) -> None:
    result = run(validate, unsafe, "--profile", "safe", "--allow-op", "ReadFile", "--format", form)
    assert result.exit_code == 0
    assert "safe/allowed-op" in result.output
    assert "op ReadFile can read files; it is allowed by name, and occurs once: node 'bad'" in result.output


def test_a_file_that_lay_in_the_working_directory_allows_no_ops(unsafe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(unsafe.parent)
    path = unsafe.parent / "hubplug.yaml"
    path.write_text(
        "version: 1\nchain: [file, tf1, signatures]\nplugins: {signatures: {options: {allow_ops: [ReadFile]}}}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match=r"plugins\.signatures\.options\.allow_ops.*merely found"):
        Hub().load_spec(str(unsafe))
    monkeypatch.setenv("HUBPLUG_CONFIG", str(path))
    assert [finding.rule for finding in Hub().validate(str(unsafe), ["safe"])] == ["safe/allowed-op"]


def test_json_says_all_there_is(unsafe: Path) -> None:
    result = run(validate, unsafe, "--format", "json")
    report = json.loads(result.output)
    assert (report["subject"], report["errors"], report["warnings"]) == (str(unsafe), 1, 0)
    (finding,) = report["findings"]
    assert finding["rule"] == "safe/reads-files"
    assert finding["where"] == "node 'bad'"
    assert finding["tags"] == []


def test_sarif_has_the_parts_that_the_standard_demands(unsafe: Path) -> None:
    (log,) = json.loads(run(validate, unsafe, "--format", "sarif").output)["runs"]
    meaning = {"shortDescription": {"text": "An op can read files."}}
    assert log["tool"]["driver"] == {"name": "hubplug", "rules": [{"id": "safe/reads-files", **meaning}]}
    (result,) = log["results"]
    assert (result["ruleId"], result["ruleIndex"], result["level"]) == ("safe/reads-files", 0, "error")
    assert result["message"]["text"].startswith("op ReadFile")
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == str(unsafe)


def test_sarif_places_findings_at_a_reference_that_is_a_uri(unsafe: Path, text_module: Path, tmp_path: Path) -> None:
    spaced = unsafe.rename(tmp_path / "a module")
    for command, handles in ((validate, [spaced]), (diff, [text_module, spaced])):
        (log,) = json.loads(run(command, *handles, "--format", "sarif").output)["runs"]
        places = {
            place["physicalLocation"]["artifactLocation"]["uri"] for r in log["results"] for place in r["locations"]
        }
        assert places == {f"{tmp_path}/a%20module"}


def test_names_in_a_module_cannot_forge_lines_of_a_report(tmp_path: Path) -> None:
    builder = ModuleBuilder()
    builder.node("Evil\x1b[2J\nno findings", name="bad")
    write_module(tmp_path / "m", builder)
    result = run(validate, tmp_path / "m", "--profile", "safe")
    finding, summary = result.output.splitlines()
    assert r"op Evil\x1b[2J\nno findings is not one of TensorFlow's" in finding
    assert summary == f"{tmp_path}/m: 1 error"


def test_running_where_there_is_no_tensorflow_says_so(text_module: Path) -> None:
    run_without(
        "tensorflow",
        code=f"""
from click.testing import CliRunner
from hubplug.errors import MissingDependencyError
from hubplug_signatures._commands import validate
result = CliRunner().invoke(validate, [{str(text_module)!r}, "--profile", "text-feature-vector", "--run"])
assert isinstance(result.exception, MissingDependencyError), result
assert "hubplug[tensorflow]" in result.exception.hint
""",
    )


def test_warnings_alone_exit_with_0(tmp_path: Path) -> None:
    builder = text_builder()
    builder.signature(outputs={"hidden": builder.constant(1.0)})
    write_module(tmp_path / "m", builder)
    result = run(validate, tmp_path / "m", "--profile", "text-feature-vector")
    assert result.exit_code == 0
    assert result.output.endswith("1 warning\n")


def test_what_could_not_be_checked_exits_with_2(text_module: Path) -> None:
    (text_module / "saved_model.cpb").write_bytes(b"")
    assert run(validate, text_module, "--profile", "safe").exit_code == 1
    (text_module / "saved_model.pbtxt").write_text("not {", encoding="utf-8")
    assert run(validate, text_module, "--profile", "safe").exit_code == 2


def test_a_profile_that_nobody_knows_is_an_error(text_module: Path) -> None:
    result = run(validate, text_module, "--profile", "house-rules")
    assert isinstance(result.exception, ConfigError)


def test_running_needs_a_profile_that_says_what_to_run(text_module: Path) -> None:
    result = run(validate, text_module, "--run")
    assert isinstance(result.exception, ConfigError)


def test_a_successor_exits_with_0_and_a_breaking_one_with_1(text_module: Path, unsafe: Path) -> None:
    assert run(diff, text_module, text_module).exit_code == 0
    result = run(diff, text_module, unsafe)
    assert result.exit_code == 1
    assert (
        "error: diff/signature: graph variant [], signature 'default': the signature 'default' is gone" in result.output
    )


def test_a_module_that_does_not_keep_what_its_place_demands_is_reported(
    unsafe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "hubplug.yaml"
    config.write_text(f"version: 1\nvalidate: {{'file://{unsafe.parent}/': [safe]}}\n", encoding="utf-8")
    with Hub(str(config)).activate():
        for arguments in ([], ["--profile", "safe", "--allow-op", "Abort"]):
            result = run(validate, f"file://{unsafe}", *arguments)
            assert result.exit_code == 1
            assert "op ReadFile" in result.output
