"""What a person mistypes on the command line is answered with what was probably meant, or what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from hubplug.cli.main import hubplug


def said(*arguments: str) -> str:
    result = CliRunner().invoke(hubplug, arguments)
    assert result.exit_code == 2
    return result.output


@pytest.mark.usefixtures("isolated_environment")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [("htp", "http"), ("htpps", "https"), ("httpp", "http"), ("gss", "gs"), ("hfds", "hdfs"), ("memry", "memory")],
)
@pytest.mark.parametrize("command", ["explain", "resolve"])
def test_a_misspelt_scheme_is_answered_with_the_right_one(command: str, typed: str, meant: str) -> None:
    assert f"hint: did you mean {meant}://?" in said(command, f"{typed}://bucket.example/m")


@pytest.mark.usefixtures("isolated_environment")
def test_a_scheme_that_is_like_no_other_gets_the_general_hint() -> None:
    assert "did you mean" not in said("resolve", "unheard-of://m")


@pytest.mark.parametrize("arguments", [("serve", "nowhere"), ("--chain", "nope", "resolve", "m")])
def test_what_is_not_there_says_what_to_do(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hint = said(*arguments).partition("hint: ")[2]
    assert len(hint) > 30
    assert "there are none" not in hint


@pytest.mark.usefixtures("isolated_environment")
@pytest.mark.parametrize("text", ["root:x:0:0\n", '{"token": "root:x:0:0"}', "<html>root:x:0:0</html>"])
@pytest.mark.parametrize("prefix", ["", "file://"])
def test_no_local_file_is_quoted(text: str, prefix: str, tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text(text)
    message = said("show", f"{prefix}{tmp_path / 'secrets'}")
    assert "not an archive" in message
    assert "root:x" not in message
