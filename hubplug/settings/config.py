"""Which settings are in effect: finds, reads and checks hubplug.yaml, and reads the environment (no one else does).

Looked for in this order: the argument, ``HUBPLUG_CONFIG``, ``./hubplug.yaml``, ``hubplug.yaml`` in the user's
configuration directory, the built-in default below.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict, cast

from hubplug.errors import ConfigError
from hubplug.settings.shapes import Shape
from hubplug.shown.words import nearest
from hubplug.urls import find_prefix_error, redact, scheme_of

VERSION = 1
EVERY_OTHER = "*"

# The repository's hubplug.yaml says the same with a comment on every line; a test holds the two equal.
DEFAULT: Mapping[str, Any] = {
    "version": VERSION,
    "chain": [
        "auth",
        "cache",
        "file",
        "kaggle",
        "http",
        "fsspec",
        "archive",
        "tf1",
        "savedmodel",
        "signatures",
        "signing",
    ],
    "chains": {},
    "offline": False,
    "locked": False,
    "disabled": [],
    "server_schemes": ["gs"],
    "limits": {},
    "validate": {},
    "plugins": {},
}


class _PluginSection(TypedDict, total=False):
    use: str
    options: Mapping[str, Any]


class _File(TypedDict, total=False):
    """What hubplug.yaml may say."""

    version: int
    chain: Sequence[str]
    chains: Mapping[str, Sequence[str]]
    offline: bool
    locked: bool
    disabled: Sequence[str]
    server_schemes: Sequence[str]
    limits: Mapping[str, Any]
    validate: Mapping[str, Sequence[str]]
    plugins: Mapping[str, _PluginSection]


_GIVEN = "the given configuration"
_BUILT_IN = "the built-in configuration"
REFERENCE = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True)
class PluginConfig:
    """One plugin instance: the entry point it is made from, and its options (with ``${...}`` unexpanded)."""

    use: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Config:
    """The settings of one Hub.

    Attributes:
        chain: Plugin instance names in the order in which they are asked; ``*`` stands for every other third-party one.
        plugins: Options and other names, by instance name; an absent one is the entry point of that name.
        chains: Named alternatives to ``chain``.
        offline: Whether no socket may be opened.
        disabled: Plugins that are left out of every chain.
        locked: Whether a handle that hubplug.lock does not list is refused.
        server_schemes: Those that a handle may have which a server named, in lower case.
        limits: Caps on what is unpacked, by the field names of ``hubplug.files.tree.Limits``.
        validate: Profiles that modules under a URL prefix must keep.
        path: The file this came from; None for the built-in default, and for settings that a program gave.
        given: Whether a program gave the settings as a dict.
        trusted: Whether the file was named or is the user's own, not merely found in the working directory.
        force_progress: Whether a progress bar is drawn although no one seems to be watching.
    """

    chain: tuple[str, ...]
    plugins: Mapping[str, PluginConfig] = field(default_factory=dict)
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    offline: bool = False
    locked: bool = False
    disabled: tuple[str, ...] = ()
    server_schemes: tuple[str, ...] = tuple(DEFAULT["server_schemes"])
    limits: Mapping[str, Any] = field(default_factory=dict)
    validate: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    path: Path | None = None
    given: bool = False
    trusted: bool = True
    force_progress: bool = False

    def plugin(self, name: str) -> PluginConfig:
        """What the instance ``name`` is made from."""
        return self.plugins.get(name, PluginConfig(name))

    @property
    def where(self) -> str:
        """The file as a person reads it."""
        return str(self.path or (_GIVEN if self.given else _BUILT_IN))

    @property
    def autoload(self) -> bool:
        """Whether installed third-party plugins come by themselves: only where no one wrote a configuration."""
        return self.path is None and not self.given

    @property
    def lock_path(self) -> Path:
        """Where the pins are: ``HUBPLUG_LOCK``, or hubplug.lock beside the configuration file in effect."""
        named = os.environ.get("HUBPLUG_LOCK")
        if named:
            return Path(named)
        return (self.path.parent if self.path else Path()) / "hubplug.lock"

    @property
    def answers_path(self) -> Path:
        """Where it is kept what handles meant last: ``HUBPLUG_ANSWERS``, or a directory of the user's own."""
        import platformdirs

        named = environment_value("HUBPLUG_ANSWERS")
        return Path(named) if named else Path(platformdirs.user_cache_dir("hubplug", appauthor=False)) / "answers"

    @property
    def names_lock(self) -> bool:
        """Whether someone said where the pins are."""
        return environment_value("HUBPLUG_LOCK") is not None


def load_config(
    path: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    *,
    chain: str | None = None,
    offline: bool | None = None,
) -> Config:
    """Reads the configuration in effect.

    Args:
        path: A configuration file; its content as a dict, in which ``version`` may be left out; None: the first file in
            the order above.
        chain: The name of an alternative in its section ``chains``; None: ``HUBPLUG_CHAIN``, which the content of a
            dict is not subject to, else ``chain``.
        offline: None: ``HUBPLUG_OFFLINE``, else what the file says.

    Raises:
        ConfigError: A file that is named is not there, or something in it is not valid.
    """
    if isinstance(path, Mapping):
        config = replace(parse_config({"version": VERSION, **path}, _GIVEN), given=True)
    else:
        found, trusted = _find(path)
        data = DEFAULT if found is None else _read_yaml(found)
        config = replace(parse_config(data, str(found or _BUILT_IN)), path=found, trusted=trusted)
        if not trusted and (own := _own_file()) is not None:
            config = _restricted_as(config, parse_config(_read_yaml(own), str(own)))
        chain = chain or environment_value("HUBPLUG_CHAIN")
    if chain is not None:
        config = replace(config, chain=_named_chain(config, chain))
    if offline is None and environment_value("HUBPLUG_OFFLINE"):
        offline = environment_switch("HUBPLUG_OFFLINE")
    also_disabled = (name.strip() for name in os.environ.get("HUBPLUG_DISABLE_PLUGINS", "").split(","))
    return replace(
        config,
        disabled=tuple(dict.fromkeys([*config.disabled, *filter(None, also_disabled)])),
        offline=config.offline if offline is None else offline,
        force_progress=bool(os.environ.get("TFHUB_DOWNLOAD_PROGRESS")),
    )


def parse_config(data: object, where: str) -> Config:
    """Checks the content of a configuration file.

    Raises:
        ConfigError: Names the file, the key path, what was found and what is possible.
    """
    fault = None if data is DEFAULT else Shape.of(_File).find_fault(data, thing="key")
    if fault is not None:
        raise ConfigError(
            f"{where}: {fault.path}: {fault.problem}" if fault.path else f"{where}: {fault.problem}", hint=fault.hint
        )
    sections = cast("Mapping[str, Any]", data)
    if sections.get("version") != VERSION:
        raise ConfigError(
            f"{where}: version: expected {VERSION}, got {sections.get('version')!r}",
            hint="begin the file with version: 1",
        )
    plugins = {
        _name(name, where, "plugins"): PluginConfig(
            _name(about.get("use", name), where, f"plugins.{name}.use"), about.get("options", {})
        )
        for name, about in sections.get("plugins", {}).items()
    }
    return Config(
        chain=_names(sections.get("chain", DEFAULT["chain"]), where, "chain"),
        plugins=plugins,
        chains={
            _name(name, where, "chains"): _names(value, where, f"chains.{name}")
            for name, value in sections.get("chains", {}).items()
        },
        offline=sections.get("offline", False),
        locked=sections.get("locked", False),
        disabled=_names(sections.get("disabled", []), where, "disabled"),
        server_schemes=_schemes(sections.get("server_schemes", DEFAULT["server_schemes"]), where),
        limits=sections.get("limits", {}),
        validate={
            _prefix(prefix, where): _names(value, where, f"validate.{prefix}")
            for prefix, value in sections.get("validate", {}).items()
        },
    )


def environment_value(name: str) -> str | None:
    """The value of an environment variable; None where it is unset or empty."""
    return os.environ.get(name) or None


def environment_switch(name: str) -> bool:
    """Whether a switch of ours is on.

    Raises:
        ConfigError: Its value is neither of 1, true, yes, on nor of 0, false, no, off.
    """
    value = os.environ.get(name, "").strip().lower()
    if value in ("", "0", "false", "no", "off"):
        return False
    if value in ("1", "true", "yes", "on"):
        return True
    raise ConfigError(f"{name} is a switch, and {value!r} is neither on nor off", hint=f"set {name}=1, or unset it")


@contextmanager
def environment_with(said: Mapping[str, str]) -> Iterator[None]:
    """Sets variables until the block ends: for every thread, and for the processes that are started in it."""
    before = {name: os.environ[name] for name in said if name in os.environ}
    os.environ.update(said)
    try:
        yield
    finally:
        for name in said:
            os.environ.pop(name, None)
        os.environ.update(before)


def environment_fingerprint() -> tuple[tuple[str, str], ...]:
    """What the default Hub depends on: the variables of tensorflow_hub and ours."""
    return tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith(("TFHUB_", "HUBPLUG_"))))


def expand(value: Any, where: str) -> Any:
    """Replaces ``${NAME}`` in every string of an option by the environment variable.

    Raises:
        ConfigError: The variable is not set.
    """
    if isinstance(value, str):

        def substitute(match: re.Match[str]) -> str:
            if match[1] not in os.environ:
                raise ConfigError(
                    f"{where}: the environment variable {match[1]!r} is not set",
                    hint=f"set {match[1]}, or write the value itself",
                )
            return os.environ[match[1]]

        return REFERENCE.sub(substitute, value)
    if isinstance(value, Mapping):
        return {key: expand(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, Sequence):
        return [expand(item, f"{where}[{index}]") for index, item in enumerate(value)]
    return value


def user_config_path() -> Path:
    """hubplug.yaml in the user's configuration directory."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    # A relative one is to be ignored, says its specification: it would be another directory that a file merely lies in.
    return (Path(base) if os.path.isabs(base) else Path.home() / ".config") / "hubplug" / "hubplug.yaml"


def _find(path: str | os.PathLike[str] | None) -> tuple[Path | None, bool]:
    for named, said in ((path, "the argument"), (os.environ.get("HUBPLUG_CONFIG"), "HUBPLUG_CONFIG")):
        if named:
            if not Path(named).is_file():
                raise ConfigError(
                    f"No configuration file {os.fspath(named)!r}, which {said} names",
                    hint="give the path of a hubplug.yaml, or leave it out",
                )
            return Path(named), True
    try:
        if Path("hubplug.yaml").is_file():
            return Path("hubplug.yaml").absolute(), False
    except OSError:  # a working directory that is gone
        return None, True
    return _own_file(), True


def _own_file() -> Path | None:
    try:
        own = user_config_path()
        return own if own.is_file() else None
    except (OSError, RuntimeError):  # a user without a home
        return None


def _restricted_as(config: Config, own: Config) -> Config:
    """The settings of a file that was merely found, under what the user's own file demands, which it may not take away."""
    demanded = {prefix: (*own.validate.get(prefix, ()), *config.validate.get(prefix, ())) for prefix in own.validate}
    return replace(
        config,
        validate={**config.validate, **{prefix: tuple(dict.fromkeys(names)) for prefix, names in demanded.items()}},
        offline=config.offline or own.offline,
        locked=config.locked or own.locked,
    )


def _read_yaml(path: Path) -> object:
    from hubplug.settings.strict_yaml import read_yaml

    return read_yaml(path)


def _named_chain(config: Config, name: str) -> tuple[str, ...]:
    if name not in config.chains:
        raise ConfigError(
            f"{config.where}: there is no chain {name!r}",
            hint=nearest(name, config.chains)
            if config.chains
            else "list its plugins under `chains:` in a hubplug.yaml, or leave the name out",
        )
    return config.chains[name]


def _names(value: Sequence[str], where: str, key_path: str) -> tuple[str, ...]:
    names = tuple(_name(item, where, key_path) for item in value)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(
            f"{where}: {key_path}: {twice!r} is there twice",
            hint="give the second instance another name in the section plugins",
        )
    return names


def _name(value: str, where: str, key_path: str) -> str:
    if not value:
        raise ConfigError(f"{where}: {key_path}: a name is empty", hint="write the name of a plugin, or leave it out")
    return value


def _schemes(value: Sequence[str], where: str) -> tuple[str, ...]:
    schemes = tuple(name.lower() for name in _names(value, where, "server_schemes"))
    for scheme in schemes:
        if scheme_of(f"{scheme}://") != scheme:
            raise ConfigError(
                f"{where}: server_schemes: {redact(scheme)!r} is not a scheme", hint="write it without ://, as in gs"
            )
        if scheme == "file":
            raise ConfigError(
                f"{where}: server_schemes: a server may not name a local path",
                hint="take file out; a plugin that resolves handles may point one at a local directory",
            )
    return schemes


def _prefix(prefix: str, where: str) -> str:
    if problem := find_prefix_error(prefix):
        # Nothing would ever lie under it, and a module that has to be validated would not be.
        raise ConfigError(
            f"{where}: validate: {redact(prefix)!r} is not a URL prefix: {problem}",
            hint="write it with its scheme: https://hub.example.com/team/",
        )
    return prefix
