"""Colocation constraints of a module's ops once some ops are replaced and others are left out.

A constraint ``loc:@y`` means "where y is". When y is part of what is imported it is renamed with it. When outputs of y
are replaced (fed, or a state op) it becomes the colocation groups of whatever replaced them. When y is left out, what
was to be together stays together: the constraint moves on to what y itself was colocated with, or else to the first op
that named it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ATTRIBUTE = "_class"
PREFIX = b"loc:@"


@dataclass(frozen=True)
class Constraint:
    """What the ``_class`` attribute of one imported op becomes.

    Attributes:
        others: Classes that are not colocation constraints, as they are.
        imported: Imported ops that it is colocated with.
        replaced: Ops of which outputs are replaced that it is colocated with.
    """

    others: tuple[bytes, ...]
    imported: tuple[str, ...]
    replaced: tuple[str, ...]


def constraints_of(
    nodes: Mapping[str, Any], imported: Sequence[str], replaced: Collection[str]
) -> dict[str, Constraint]:
    """The constraints of the imported ops that have some.

    Args:
        nodes: NodeDefs by name.
        imported: Names of ops that are imported, in order.
        replaced: Names of ops of which at least one output is replaced; they may be imported as well.
    """
    kept = set(imported)
    stand_ins: dict[str, str] = {}

    def targets(name: str, asking: str, seen: frozenset[str]) -> Iterable[str]:
        if name in kept or name in replaced:
            return (name,)
        onward = [further for further in colocated_with(nodes[name]) if further not in seen] if name in nodes else []
        if onward:
            return [target for further in onward for target in targets(further, asking, seen | {further})]
        return (stand_ins.setdefault(name, asking),)

    found: dict[str, Constraint] = {}
    for name in imported:
        classes = classes_of(nodes[name])
        if not classes:
            continue
        others = tuple(value for value in classes if not value.startswith(PREFIX))
        reached = dict.fromkeys(
            target for wanted in colocated_with(nodes[name]) for target in targets(wanted, name, frozenset({wanted}))
        )
        found[name] = Constraint(
            others,
            tuple(target for target in reached if target not in replaced),
            tuple(target for target in reached if target in replaced),
        )
    return found


def classes_of(node: Any) -> Sequence[bytes]:
    """The values of the ``_class`` attribute of a NodeDef; looking does not add one."""
    return node.attr[ATTRIBUTE].list.s if ATTRIBUTE in node.attr else ()


def colocated_with(node: Any) -> list[str]:
    """The names of the ops that a NodeDef is to be colocated with."""
    return [value[len(PREFIX) :].decode() for value in classes_of(node) if value.startswith(PREFIX)]


def find_ambiguity(
    outputs: Iterable[str], groups_of: Callable[[str], tuple[Sequence[bytes], str]]
) -> tuple[list[bytes], str | None]:
    """The groups that replace a constraint on an op, and what its outputs disagree on, if they do.

    Args:
        outputs: The outputs of the op that the constraint names.
        groups_of: From an output to its colocation groups after replacement, and words for why.
    """
    first: tuple[list[bytes], str] | None = None
    for output in outputs:
        groups, why = groups_of(output)
        groups = sorted(set(groups))
        if first is None:
            first = groups, why
        elif first[0] != groups:
            return first[0], f"{_words(first[0])} vs {_words(groups)} because {first[1]} and {why}, respectively"
    return (first[0] if first else []), None


def _words(groups: Sequence[bytes]) -> str:
    return "[" + ", ".join(repr(group.decode()) for group in groups) + "]"
