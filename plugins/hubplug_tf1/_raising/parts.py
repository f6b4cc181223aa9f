"""Which conditional items hang together, so that they become one ``tf.cond``, and which of them can be made already."""

from __future__ import annotations

from collections.abc import Mapping

from hubplug_tf1._raising.conditions import Choice, Item
from hubplug_tf1._raising.frames import Tensor

Step = tuple[Tensor, int]
"""A predicate with its value."""


class Parts:
    """The conditional items by what hangs together, and which of these parts have all that they need from elsewhere."""

    def __init__(
        self, items: Mapping[str, Item], steps: Mapping[str, Step | None], takers: Mapping[str, list[Item]]
    ) -> None:
        self._leader = {name: name for name in items}
        self._steps = steps
        nested = {name for name in items if steps[name] is not None}
        for name in nested:
            merges = []
            for taker in takers.get(name, ()):
                if taker.name in nested:
                    if self._predicate(taker.name) == self._predicate(name):
                        self._join(name, taker.name)
                elif isinstance(taker.choice, Choice):
                    merges.append(taker)
            for merge in merges:
                for other in merge.needs:
                    if other in nested and self._predicate(other) == self._predicate(name):
                        self._join(name, other)
        self._members: dict[str, list[str]] = {}
        for name in items:
            if name in nested:
                self._members.setdefault(self.of(name), []).append(name)
        self._waiting = dict.fromkeys(self._members, 0)
        for name in items:
            for taker in takers.get(name, ()):
                if taker.name in nested and (name not in nested or self.of(name) != self.of(taker.name)):
                    self._waiting[self.of(taker.name)] += 1

    def _predicate(self, name: str) -> Tensor | None:
        step = self._steps[name]
        return step[0] if step else None

    def of(self, name: str) -> str:
        while self._leader[name] != name:
            self._leader[name] = self._leader[self._leader[name]]
            name = self._leader[name]
        return name

    def _join(self, one: str, other: str) -> None:
        self._leader[self.of(one)] = self.of(other)

    def need_met(self, name: str, taker: str) -> None:
        """Tells that something has been made that an item takes."""
        part = self.of(taker)
        if part in self._waiting and self.of(name) != part:
            self._waiting[part] -= 1

    def complete(self) -> dict[Tensor, set[str]]:
        """By predicate the items of parts that miss nothing; each is given once."""
        found: dict[Tensor, set[str]] = {}
        for part in [part for part, count in self._waiting.items() if not count]:
            del self._waiting[part]
            predicate = self._predicate(part)
            assert predicate is not None
            found.setdefault(predicate, set()).update(self._members.pop(part))
        return found
