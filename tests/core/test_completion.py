"""What real shells complete: commands, options, handles that are here, names of profiles and chains."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from hubplug.cli.main import hubplug
from hubplug_cache import CacheDirectory
from tests.core.test_command_help import every_command
from tests.plugins.cache.origin import Origin

HANDLE = "https://models.example/team/model/1"
CONFIG = "version: 1\nchains: {staging: [cache, file]}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a configuration, a cache with two modules, and `hubplug` on the path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "hubplug").write_text(f"#!{sys.executable}\nfrom hubplug.cli.main import main\nmain()\n")
    (programs / "hubplug").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "hubplug.yaml").write_text(CONFIG)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "modules"))
    for handle in (HANDLE, "https://user:canary@models.example/team/secret/1"):
        Origin().resolve(CacheDirectory(str(tmp_path / "modules")), handle)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _bash(typed: str) -> list[str]:
    """What bash offers for a line; it splits words at colons, so it is offered what comes after the last one."""
    script = f"""
        source <(hubplug completion bash)
        COMP_LINE={typed!r} COMP_POINT={len(typed)}
        _hubplug_completion hubplug
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return _lines(["bash", "-c", script])


def _fish(typed: str) -> list[str]:
    script = f"hubplug completion fish | source; complete --do-complete {typed!r}"
    return [line.partition("\t")[0] for line in _lines(["fish", "--no-config", "-c", script])]


def _zsh(typed: str) -> str:
    """What zsh shows while a line is completed, in a terminal of its own, and at last the line between ``<<<`` and ``>>>``."""
    start = r"""
        PS1=; TERM=dumb; stty columns 200 -echo; autoload -Uz compinit; compinit -u -d ./dump
        eval "$(hubplug completion zsh)"
        finish () { print -r -- "<<<$BUFFER>>>"; zle kill-whole-line }
        zle -N finish; bindkey "^X" finish; print R""EADY
    """
    script = """
        zmodload zsh/zpty; zpty z zsh -f -i; zpty -w z "$1"; zpty -r z got '*READY*'
        zpty -w -n z "$2"$'\\t\\030'; zpty -r -m z got '*>>>*'; print -r -- "$got"; zpty -d z
    """
    return "\n".join(_lines(["zsh", "-f", "-c", script, "zsh", start, typed]))


def _lines(command: list[str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


OFFERED = [
    ("hubplug conf", ["config"]),
    ("hubplug config s", ["schema", "show"]),
    ("hubplug show --f", ["--format"]),
    ("hubplug --chain st", ["staging"]),
    ("hubplug validate --profile text-", ["text-feature-vector"]),
    ("hubplug cache list --cache ca", ["cache"]),
    ("hubplug publish --profile image-c", ["image-classification"]),
    ("hubplug convert --to tf1", ["tf1-hub"]),
]
# Names that no one here can know.
FREE = {"apply signature", "convert signatures", "publish password_env", "serve token_env"}
NAMED = {"NAME", "HANDLE", "[HANDLE...]", "HANDLE...", "TARGET", "FILE", "DIR", "DIRECTORY", "URL_OR_PATH", "KEY"}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(("typed", "offered"), [*OFFERED, ("hubplug show https:", ["//models.example/team/model/1"])])
def test_bash_completes(typed: str, offered: list[str], folder: Path) -> None:
    assert sorted(filter(None, _bash(typed))) == offered


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
@pytest.mark.parametrize(("typed", "offered"), [*OFFERED, ("hubplug show https:", [HANDLE])])
def test_fish_completes(typed: str, offered: list[str], folder: Path) -> None:
    assert sorted(_fish(typed)) == offered


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
@pytest.mark.parametrize(("typed", "offered"), [*OFFERED, ("hubplug show https:", [HANDLE])])
def test_zsh_completes(typed: str, offered: list[str], folder: Path) -> None:
    shown, _, line = _zsh(typed).rpartition("<<<")
    if len(offered) == 1:
        assert line.partition(">>>")[0].strip() == f"{typed.rpartition(' ')[0]} {offered[0]}"
    else:  # the line stays as it is, and they are listed
        assert re.findall(r"^(\w+) +-- ", shown, re.MULTILINE) == offered


def test_whatever_takes_a_name_or_a_path_has_it_completed(folder: Path) -> None:
    texts = {
        " ".join([*path, str(param.name)])
        for path, command in every_command(hubplug)
        for param in command.params
        if type(param.type) is type(click.STRING) and param.metavar in NAMED
    }
    assert texts <= FREE


def test_a_broken_configuration_is_silent_while_one_types(folder: Path) -> None:
    (folder / "hubplug.yaml").write_text("version: 1\nchain: [nope]\n")
    environment = {
        **os.environ,
        "_HUBPLUG_COMPLETE": "fish_complete",
        "COMP_WORDS": "hubplug show h",
        "COMP_CWORD": "h",
    }
    done = subprocess.run(["hubplug"], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""


def test_completing_a_handle_imports_nothing_heavy(folder: Path) -> None:
    environment = {
        **os.environ,
        "_HUBPLUG_COMPLETE": "fish_complete",
        "COMP_WORDS": "hubplug show h",
        "COMP_CWORD": "h",
    }
    command = [sys.executable, "-X", "importtime", shutil.which("hubplug") or ""]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert HANDLE in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "hubplug.cli.main" in imported
    assert not imported & {"tensorflow", "requests", "fsspec", "gcsfs", "numpy", "hubplug_tf1"}
