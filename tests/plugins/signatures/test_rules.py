"""Every rule that a finding can name has a meaning that reports and the documentation give."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import hubplug_signatures
from hubplug_signatures._rules import COMMON_SIGNATURE, COMPLETE, DIFF, SAFE, all_rules

SOURCES = Path(hubplug_signatures.__file__).parent
# What the sources put together: f"{profile}/not-checked" is of every profile.
FAMILIES = {"complete": [COMPLETE], "safe": [SAFE], "diff": [DIFF], "{}": [COMMON_SIGNATURE, COMPLETE, SAFE]}


def rules_in_the_sources() -> Iterator[tuple[str, str]]:
    for path in SOURCES.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Finding" and node.args:
                family, _, name = _text(node.args[0]).partition("/")
                if name not in ("", "{}"):
                    yield family, name


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else ""


def test_every_rule_of_the_sources_has_a_meaning() -> None:
    found = set(rules_in_the_sources())
    assert {"safe", "complete", "diff", "{}"} == {family for family, _ in found}
    assert [(family, name) for family, name in found if not any(name in rules for rules in FAMILIES[family])] == []


def test_every_rule_with_a_fixed_name_is_one_of_the_sources() -> None:
    found = {name for _, name in rules_in_the_sources()}
    made = {
        "input",
        "output",
        "unknown-op",
        *(f"{side}-{what}" for side in ("input", "output") for what in ("kind", "dtype", "shape")),
    }
    named = {name for rules in (COMMON_SIGNATURE, COMPLETE, SAFE, DIFF) for name in rules}
    assert named - found - made == set()


def test_ops_are_described_by_the_reasons_of_their_classes() -> None:
    rules = all_rules()
    assert rules["safe/writes-files"] == "An op can write or delete files."
    assert "safe/computation" not in rules
    assert all(meaning.endswith(".") for meaning in rules.values())
