"""The tables of what validators report, from the rules of the plugins ``signatures`` and ``signing``."""

from __future__ import annotations

from itertools import groupby

from hubplug_signatures._profiles import PROFILES
from hubplug_signatures._rules import all_rules as rules_of_signatures
from hubplug_signing._rules import RULES as RULES_OF_SIGNED

_FAMILIES = {
    "complete": "The profile `complete`",
    "safe": "The profile `safe`",
    "signed": "The profile `signed`",
    "diff": "`hubplug diff`",
}


def all_rules() -> str:
    """A table for each family of rules; the profiles of common signatures have the same ones."""
    lines: list[str] = []
    shown = set()
    known = {**rules_of_signatures(), **{f"signed/{name}": said for name, said in RULES_OF_SIGNED.items()}}
    for family, rules in groupby(known.items(), key=lambda item: item[0].partition("/")[0]):
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
