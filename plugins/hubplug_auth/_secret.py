"""Where a secret comes from: an environment variable, a file, a command, or the configuration itself."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hubplug.errors import ConfigError
from hubplug.settings.config import environment_value

SOURCES = ("", "_env", "_file", "_command")
_COMMAND_TIMEOUT = 60.0


@dataclass(frozen=True, repr=False)
class Secret:
    """A secret that is read when it is needed, so that it may change.

    Attributes:
        name: What it is: ``token``, ``password``, ...
        source: One of ``SOURCES``.
        value: Name of the variable, path, command, or the secret itself.
        rule: The rule it belongs to, in words.
    """

    name: str
    source: str
    value: Any
    rule: str

    @classmethod
    def from_option(cls, name: str, rule: Mapping[str, Any], where: str, key_path: str) -> Secret:
        """Reads ``name``, ``name_env``, ``name_file`` or ``name_command``.

        Raises:
            ConfigError: There is none, more than one, or an empty one.
        """
        given = [source for source in SOURCES if name + source in rule]
        if len(given) != 1:
            possible = ", ".join(name + source for source in SOURCES)
            got = " and ".join(name + source for source in given) or "none"
            raise ConfigError(f"{key_path}: expected one of {possible}, got {got}")
        value = rule[name + given[0]]
        if given[0] == "_command":
            words = command_words(value, f"{key_path}.{name}_command")
            return cls(name, given[0], words, where)
        if not value:
            raise ConfigError(f"{key_path}.{name}{given[0]}: expected a non-empty string")
        return cls(name, given[0], value, where)

    @property
    def origin(self) -> str:
        """Where it comes from, in words, without the secret."""
        command = self.value[0] if self.source == "_command" else ""
        said = {
            "_env": f"environment variable {self.value}",
            "_file": f"file {self.value}",
            "_command": f"command {command}",
        }
        return said.get(self.source, "the configuration")

    def read(self) -> str:
        """The secret.

        Raises:
            ConfigError: It cannot be had, is empty, or has a control character.
        """
        text = self._read()
        if not text:
            raise self._error("is empty")
        if any(character < " " or character == "\x7f" for character in text):
            raise self._error("has a line break or another control character in it")
        return text

    def find_problem(self) -> str | None:
        """Why it cannot be had at the moment, as far as that shows without running a command."""
        if self.source == "_env" and not environment_value(self.value):
            return f"{self.origin} is not set"
        if self.source == "_file":
            try:
                self._read()
            except ConfigError:
                return f"{self.origin} cannot be read"
        return None

    def _read(self) -> str:
        if self.source == "_env":
            text = environment_value(self.value)
            if text is None:
                raise self._error("is not set")
            return text.strip()
        if self.source == "_file":
            try:
                with Path(self.value).expanduser().open(encoding="utf-8") as file:
                    return file.read().strip()
            except RuntimeError:
                raise self._error("cannot be read: no user here has that home directory") from None
            except (OSError, UnicodeDecodeError) as error:
                raise self._error(f"cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}") from None
        if self.source == "_command":
            return next(iter(run_command(self.value, self.rule).splitlines()), "").strip()
        return str(self.value)

    def _error(self, problem: str) -> ConfigError:
        return ConfigError(
            f"The {self.name} of the rule for {self.rule}: {self.origin} {problem}; the request was not sent",
            hint=f"provide the {self.name}, or take the rule out of the options of the plugin auth",
        )


def command_words(value: str | Sequence[str], key_path: str) -> list[str]:
    """A command as a list of words, without a shell.

    Raises:
        ConfigError: It has no word, or a quote without an end.
    """
    try:
        words = shlex.split(value) if isinstance(value, str) else list(value)
    except ValueError as error:
        raise ConfigError(f"{key_path}: not a valid command line: {error}") from None
    if not words:
        raise ConfigError(f"{key_path}: expected a command line or a list of words")
    return words


def run_command(words: Sequence[str], rule: str, told: str | None = None) -> str:
    """What a command prints; what it complains about goes to standard error, as it may ask the user something.

    Raises:
        ConfigError: It cannot be run, fails, or does not end in time.
    """
    problem = None
    try:
        done = subprocess.run(
            list(words),
            input=told,
            stdin=subprocess.DEVNULL if told is None else None,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            timeout=_COMMAND_TIMEOUT,
            check=False,
        )
        if done.returncode == 0:
            return done.stdout
        problem = f"ended with status {done.returncode}"
    except subprocess.TimeoutExpired:
        problem = f"did not end within {_COMMAND_TIMEOUT:g} s"
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "printed something that is not text"
    raise ConfigError(
        f"The command {words[0]!r} of the rule for {rule}: {problem}; the request was not sent",
        hint="run it in a shell to see what is wrong",
    )
