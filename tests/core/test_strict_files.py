"""YAML and JSON made to hurt: an error of hubplug's own that says where, soon; never another exception."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from hubplug.errors import ConfigError
from hubplug.files.strict_json import parse_json
from hubplug.pins import Pins
from hubplug.settings.config import load_config
from hubplug.settings.strict_yaml import read_yaml

NINE = ",".join("*{0}" for _ in range(9))
NAMES = "abcdefghij"
ALIASES = f"a: &a [{'x,' * 9}]\n" + "".join(
    f"{name}: &{name} [{NINE.format(before)}]\n" for before, name in pairwise(NAMES)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{NINE.format(before)}]}}\n" for before, name in pairwise(NAMES)
)

YAML = {
    "aliases of aliases": (ALIASES, "line 5: there are more than 10000 values"),
    "merges of merges": (MERGES, "line 5: there are more than 10000 values"),
    "an alias within itself": ("a: &a [*a]", "line 1: 'a' contains itself"),
    "600,000 entries": ("chain:\n" + "- x\n" * 600_000, "more than 262144 bytes"),
    "60,000 entries": ("chain:\n" + "- x\n" * 60_000, "more than 10000 values"),
    "brackets": ("chain: " + "[" * 100_000, "nested deeper than 50"),
    "dashes": ("- " * 60_000, "nested deeper than 50"),
    "question marks": ("? " * 60_000, "nested deeper than 50"),
    "indentation": ("".join(" " * level + "a:\n" for level in range(500)), "nested deeper than 50"),
    "a date that is none": ("version: 1\na: 2026-99-99", "line 2: '2026-99-99' is not a valid timestamp"),
    "a time that is none": ("a: 2026-01-01 25:99:99", "is not a valid timestamp"),
    "digits": ("version: " + "9" * 5000, "line 1: a value of 5000 characters"),
    "hexadecimal digits": ("version: 0x" + "f" * 5000, "a value of 5002 characters"),
    "parts of sixty": ("version: 1" + ":59" * 40_000, "a value of 120001 characters"),
    "an empty number": ("a: !!int ''", "'' is not a valid int"),
    "a tag of another kind": ("a: !!bool maybe", "'maybe' is not a valid bool"),
    "a set of a list": ("a: !!set [a]", "is not YAML"),
    "base64": ("a: !!binary é", "is not YAML"),
    "a directive": ("%YAML " + "9" * 5000 + ".1\n---\na", "is not YAML"),
    "an escape": ('a: "\\UFFFFFFFF"', "is not YAML"),
    "a list as a key": ("? [a]\n: b", "is not YAML"),
    "an object of Python": ("a: !!python/object/apply:os.system [ls]", "is not YAML"),
    "a long tag": ("!<" + "x" * 250_000 + "> a", "is not YAML"),
}


@pytest.mark.parametrize("kind", YAML)
def test_a_configuration_made_to_hurt_is_refused_soon(kind: str, tmp_path: Path) -> None:
    text, said = YAML[kind]
    (tmp_path / "hubplug.yaml").write_text(text, encoding="utf-8")
    started = time.process_time()
    with pytest.raises(ConfigError, match=said) as got:
        load_config(tmp_path / "hubplug.yaml")
    assert time.process_time() - started < 10
    assert str(got.value).startswith(str(tmp_path / "hubplug.yaml"))
    assert len(str(got.value)) < 1000 + len(str(tmp_path))


def test_aliases_merges_and_dates_in_measure_are_read(tmp_path: Path) -> None:
    path = tmp_path / "hubplug.yaml"
    path.write_text("a: &a {x: 1, y: [2026-11-21, 0x10]}\nb: {<<: *a, x: 3}\nc: [*a, *a]\n")
    read = read_yaml(path)
    assert isinstance(read, dict)
    assert read["b"] == {"x": 3, "y": read["a"]["y"]}
    assert read["c"] == [read["a"], read["a"]]


def test_a_large_configuration_is_read(tmp_path: Path) -> None:
    path = tmp_path / "hubplug.yaml"
    path.write_text("version: 1\nvalidate:\n" + "".join(f"  https://host{n}/: [text-v1]\n" for n in range(3000)))
    assert len(load_config(path).validate) == 3000


JSON = {
    "digits": (b'{"version": ' + b"9" * 5000 + b', "modules": {}}', "5000 digits"),
    "digits below Python's limit": (b'{"version": ' + b"9" * 4000 + b', "modules": {}}', "4000 digits"),
    "brackets": (b"[" * 1_000_000, "nested"),
    "braces": (b'{"a":' * 100_000, "nested"),
    "bytes": (b" " * 5_000_000, "more than 4194304 bytes"),
    "another encoding": (b'{"version": 1, "\xff": 1}', "not a lock file"),
    "a number": (b"1", "not a lock file"),
    "a list of modules": (b'{"version": 1, "modules": [1]}', "not a lock file"),
    "a long version": (b'{"version": "' + b"9" * 100_000 + b'", "modules": {}}', "its version is"),
    "a number as a digest": (
        b'{"version": 1, "modules": {"h": {"handle_sha256": 1, "location": "", "archive_sha256": null, '
        b'"tree_sha256": ""}}}',
        "not text",
    ),
    "handles without end": (
        b'{"version": 1, "modules": {'
        + b", ".join(
            '"https://b\u00fccher%d.example/": {"handle_sha256": "", "location": "", "archive_sha256": null, '
            '"tree_sha256": ""}'.encode()
            % n
            for n in range(10_001)
        )
        + b"}}",
        "more than 10000 modules",
    ),
    "a member too many": (b'{"version": 1, "modules": {"h": {"' + b"k" * 100_000 + b'": 1}}}', "not a lock file"),
}


@pytest.mark.parametrize("kind", JSON)
def test_a_lock_file_made_to_hurt_is_refused_soon(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, said = JSON[kind]
    (tmp_path / "hubplug.lock").write_bytes(data)
    monkeypatch.setenv("HUBPLUG_LOCK", str(tmp_path / "hubplug.lock"))
    config = load_config({})
    started = time.process_time()
    with pytest.raises(ConfigError, match=said) as got:
        Pins.read(config)
    assert time.process_time() - started < 10
    assert got.value.hint
    assert len(str(got.value)) < 1000 + len(str(tmp_path))


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"[" * 100_000, b"-" + b"1" * 5000, b"1e"])
def test_whatever_is_wrong_with_json_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(data)
