"""How requests are signed, and what happens where the secret is missing: never an unsigned request."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import pytest

from hubplug.errors import ConfigError
from tests.plugins.auth.signing import URL, signed, signer

HUB = "https://hub.example.com/"


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def program(tmp_path: Path, code: str) -> list[str]:
    """A command that runs some Python."""
    script = tmp_path / "helper.py"
    script.write_text(code)
    return [sys.executable, str(script)]


def test_a_token_from_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [{"prefix": HUB, "token_env": "CORP_TOKEN"}]
    monkeypatch.setenv("CORP_TOKEN", "word")
    assert signed(rules)["Authorization"] == "Bearer word"
    assert signer(rules).hubplug_rule == f"bearer token from environment variable CORP_TOKEN, rule for {HUB}"


def test_a_token_from_a_file_may_change(tmp_path: Path) -> None:
    file = tmp_path / "token"
    answer = signer([{"prefix": HUB, "token_file": str(file)}])
    for word in ("first", "second"):
        file.write_text(f"{word}\n")
        assert sign(answer)["Authorization"] == f"Bearer {word}"
    assert answer.hubplug_rule == f"bearer token from file {file}, rule for {HUB}"


def sign(answer: Any) -> dict[str, str]:
    import requests

    request = requests.Request("GET", URL).prepare()
    request.prepare_auth(answer)
    return dict(request.headers)


def test_a_tilde_in_a_path_is_the_users_home(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("word")
    assert signed([{"prefix": HUB, "token_file": "~/token"}])["Authorization"] == "Bearer word"


def test_a_token_from_a_command(tmp_path: Path) -> None:
    command = program(tmp_path, "print('word')\nprint('a second line')")
    assert signed([{"prefix": HUB, "token_command": command}])["Authorization"] == "Bearer word"
    line = " ".join(f"'{word}'" for word in command)
    assert signed([{"prefix": HUB, "token_command": line}])["Authorization"] == "Bearer word"


def test_a_command_is_run_without_a_shell(tmp_path: Path) -> None:
    command = [*program(tmp_path, "import sys; print(sys.argv[1])"), "$HOME;echo"]
    assert signed([{"prefix": HUB, "token_command": command}])["Authorization"] == "Bearer $HOME;echo"


def test_user_name_and_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "wörd:2")
    rules = [{"prefix": HUB, "username": "mé", "password_env": "PASSWORD"}]
    assert signed(rules)["Authorization"] == basic("mé:wörd:2")
    assert "wörd" not in signer(rules).hubplug_rule


def test_a_header_of_the_users_own() -> None:
    assert signed([{"prefix": HUB, "header": "X-Api-Key", "value": "word"}])["X-Api-Key"] == "word"


def test_a_git_credential_helper_is_told_what_it_is_for(tmp_path: Path) -> None:
    command = program(
        tmp_path,
        "import sys\nasked = sys.stdin.read()\n"
        f"open({str(tmp_path / 'asked')!r}, 'w').write(' '.join(sys.argv[1:]) + '\\n' + asked)\n"
        "print('protocol=https')\nprint('username=me')\nprint('password=word=1')",
    )
    rules = [{"prefix": "https://hub.example.com:8443/", "credential_command": command}]
    assert signed(rules, "https://hub.example.com:8443/team/m?x=y")["Authorization"] == basic("me:word=1")
    assert (tmp_path / "asked").read_text() == "get\nprotocol=https\nhost=hub.example.com:8443\npath=team/m\n\n"


def test_netrc_is_read_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = "machine hub.example.com login me password {}\n"
    rules = [{"prefix": HUB, "netrc": True}]
    write_netrc(tmp_path / ".netrc", entry.format("word"))
    assert signed(rules)["Authorization"] == basic("me:word")
    write_netrc(tmp_path / "another", entry.format("other"))
    monkeypatch.setenv("NETRC", str(tmp_path / "another"))
    assert signed(rules)["Authorization"] == basic("me:other")
    write_netrc(tmp_path / "third", entry.format("third"))
    assert signed([{"prefix": HUB, "netrc": str(tmp_path / "third")}])["Authorization"] == basic("me:third")


@pytest.mark.parametrize(
    ("machine", "url"),
    [("HUB.Example.COM", HUB), ("hub.example.com.", HUB), ("BÜCHER.example", "https://xn--bcher-kva.example/")],
)
def test_a_machine_of_netrc_is_the_same_however_it_is_spelt(machine: str, url: str, tmp_path: Path) -> None:
    text = f"machine other login x password x\nmachine {machine} login me password word\ndefault login y password y\n"
    write_netrc(tmp_path / "netrc", text)
    rules = [{"prefix": url, "netrc": str(tmp_path / "netrc")}]
    assert signed(rules, url)["Authorization"] == basic("me:word")


def write_netrc(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def _missing(tmp_path: Path) -> dict[str, tuple[dict[str, Any], str]]:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "two lines").write_text("canary\r\nX: canary\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00canary")
    write_netrc(tmp_path / "netrc", "machine other.example login me password canary\n")
    write_netrc(tmp_path / "bad-netrc", "machine hub.example.com canary canary canary\n")
    failing = program(tmp_path, "import sys; print('canary'); sys.exit(3)")
    (tmp_path / "silent.py").write_text("")
    silent = [sys.executable, str(tmp_path / "silent.py")]
    return {
        "unset": ({"token_env": "NO_SUCH_TOKEN"}, "environment variable NO_SUCH_TOKEN is not set"),
        "empty variable": ({"token_env": "EMPTY_TOKEN"}, "environment variable EMPTY_TOKEN is not set"),
        "nobody's home": (
            {"token_file": "~nobody-here/token"},
            "file ~nobody-here/token cannot be read: no user here has",
        ),
        "no file": ({"token_file": "/no/such/file"}, "file /no/such/file cannot be read: No such file"),
        "empty file": ({"token_file": str(tmp_path / "empty")}, "is empty"),
        "two lines": ({"token_file": str(tmp_path / "two lines")}, "has a line break"),
        "binary": ({"token_file": str(tmp_path / "binary")}, "cannot be read"),
        "no command": ({"token_command": ["/no/such/command"]}, "'/no/such/command' .*No such file"),
        "failing command": ({"token_command": failing}, "ended with status 3"),
        "silent command": ({"token_command": silent}, "is empty"),
        "silent helper": ({"credential_command": silent}, "knows no user name and password for hub.example.com"),
        "no entry": ({"netrc": str(tmp_path / "netrc")}, "has no entry for hub.example.com"),
        "bad netrc": ({"netrc": str(tmp_path / "bad-netrc")}, "malformed at line 1"),
        "binary netrc": ({"netrc": str(tmp_path / "binary")}, "cannot be read: it is not text"),
        "netrc of nobody": ({"netrc": "~nobody-here/netrc"}, "~nobody-here/netrc cannot be read: no user here has"),
        "no netrc": ({"netrc": True}, "there is no .*netrc"),
        "no password": ({"username": "me", "password_env": "NO_SUCH_TOKEN"}, "The password of the rule for"),
        "no value": ({"header": "X-Key", "value_env": "NO_SUCH_TOKEN"}, "The value of the rule for"),
    }


CASES = [
    "unset",
    "empty variable",
    "nobody's home",
    "no file",
    "empty file",
    "two lines",
    "binary",
    "no command",
    "failing command",
    "silent command",
    "silent helper",
    "no entry",
    "bad netrc",
    "binary netrc",
    "netrc of nobody",
    "no netrc",
    "no password",
    "no value",
]


def test_every_case_is_tried(tmp_path: Path) -> None:
    assert set(CASES) == set(_missing(tmp_path))


@pytest.mark.parametrize("case", CASES)
def test_a_missing_secret_is_an_error_and_no_unsigned_request(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPTY_TOKEN", "")
    rule, words = _missing(tmp_path)[case]
    with pytest.raises(ConfigError, match=words) as caught:
        signed([{"prefix": HUB, **rule}])
    assert "canary" not in str(caught.value)
    assert "the request was not sent" in caught.value.message
    assert f"for {HUB}" in caught.value.message
    assert caught.value.hint
