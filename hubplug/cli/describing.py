"""A module's description, and a handle's way through the chain, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hubplug.chain import Answer
from hubplug.shown.terminal import aligned, painted
from hubplug.types import Handle, Plan


def describe_in_words(description: Mapping[str, Any]) -> Iterator[object]:
    """What a module is: its format and files, and each signature as a table."""
    if said_by := description.get("said_by"):
        yield [painted("as the server says; not downloaded:", "yellow"), f" {said_by}"]
    for key, value in description.items():
        if key not in ("said_by", "variants") and value not in (None, {}, []):
            yield [painted(f"{key.replace('_', ' ')}:", "bold"), f" {_plain_words(value)}"]
    for variant in description.get("variants", ()):
        yield [painted(f"graph variant {variant['tags']}", "bold"), "" if variant["tags"] else " (inference)"]
        for name, signature in variant["signatures"].items():
            yield ["  signature ", painted(repr(name), "cyan")]
            for side in ("inputs", "outputs"):
                rows = [
                    (f"    {side[:-1]}", repr(key), info["dtype"], info["shape"], info["kind"])
                    for key, info in signature[side].items()
                ]
                yield from aligned(rows) if rows else [f"    no {side}"]


def rows_of_way(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Who answers each hook on the way of a handle, as objects for machines."""
    rows: list[dict[str, Any]] = [
        {
            "hook": answer.hook,
            "plugin": answer.member.name if answer.member else None,
            "plan": _in_words(answer.hook, answer.value),
            **({"url": answer.about} if answer.about else {}),
            "declined": [{"plugin": name, "reason": reason} for name, reason in answer.declined],
        }
        for answer in answers
    ]
    rows += [
        {"hook": "hubplug_auth", "plugin": answer.member.name, "plan": answer.value.credentials, "declined": []}
        for answer in answers
        if answer.member and getattr(answer.value, "credentials", None)
    ]
    return rows


def way_in_words(rows: Sequence[Mapping[str, Any]]) -> Iterator[object]:
    """The same for people."""
    for row in rows:
        several = sum(other["hook"] == row["hook"] for other in rows) > 1 and "url" in row
        about = f"for {row['url']}: " if several else ""
        hook, plugin = row["hook"].removeprefix("hubplug_"), row["plugin"] or "-"
        yield [f"{hook:8} ", painted(plugin, "bold"), f": {about}{row['plan']}"]
        for other in row["declined"]:
            yield painted(f"{'':8} {other['plugin']} declined: {other['reason']}", "dim")


def _plain_words(value: Any) -> str:
    if isinstance(value, Mapping):
        if value.get("problem"):  # it says why numbers are missing
            value = {key: item for key, item in value.items() if item is not None}
        return ", ".join(f"{key} {_plain_words(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(_plain_words(item) for item in value)
    if value is None:
        return "unknown"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _in_words(hook: str, value: Any) -> str:
    if value is None:
        return "unsigned requests" if hook == "hubplug_auth" else "no plugin answers"
    if isinstance(value, Handle):
        return f"{'exported' if hook == 'hubplug_publish' else 'redirected'} to {value}"
    if hook == "hubplug_resolve" and isinstance(value, Plan):
        return f"would {value.what}"
    if hook == "hubplug_resolve":
        return f"it is used in place: {value}" if value.in_place else f"it lives at {value}"
    if hook == "hubplug_cache":
        return f"{'hit' if value.hit else 'miss'}: {value.what}"
    if hook == "hubplug_auth":
        problem = getattr(value, "hubplug_problem", None)
        return f"{getattr(value, 'hubplug_rule', type(value).__name__)}{f', but {problem}' if problem else ''}"
    return str(value.what)
