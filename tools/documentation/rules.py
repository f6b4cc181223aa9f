"""The tables of what validators report, from the rules of the plugin ``signatures``."""

from __future__ import annotations

from itertools import groupby

from hubplug_signatures._profiles import PROFILES
from hubplug_signatures._rules import all_rules as rules_of_signatures

_FAMILIES = {
    "complete": "The profile `complete`",
    "safe": "The profile `safe`",
    "diff": "`hubplug diff`",
}


def all_rules() -> str:
    """A table for each family of rules; the profiles of common signatures have the same ones."""
    lines: list[str] = []
    shown = set()
    for family, rules in groupby(rules_of_signatures().items(), key=lambda item: item[0].partition("/")[0]):
        of_common = family in PROFILES
        if of_common and shown & set(PROFILES):
            continue
        shown.add(family)
        lines += [f"### {'Profiles of common signatures' if of_common else _FAMILIES[family]}", ""]
        if of_common:
            lines += [
                "A rule begins with the name of the profile: " + ", ".join(f"`{name}`" for name in PROFILES) + ".",
                "",
            ]
        lines += ["| rule | what is wrong |", "|---|---|"]
        for rule, meaning in rules:
            name = rule.partition("/")[2]
            lines.append(f"| `{'PROFILE' if of_common else family}/{name}` | {meaning} |")
        lines.append("")
    return "\n".join(lines)
