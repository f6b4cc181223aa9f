"""Under which conditions the ops of a loop, or of the graph around the loops, run: what Switch and Merge say.

A Switch gives what it takes to one of two outputs, and what depends on the other one is dead: it does not run. A Merge
takes whichever of its inputs is alive. So each op has a context: for some predicates the value under which it runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError
from typing import Any

from hubplug_tf1._errors import RaisingError
from hubplug_tf1._raising.frames import Loop, Op, Tensor
from hubplug_tf1._raising.order import in_order

Context = tuple[tuple[Tensor, int], ...]
"""Predicates with their values, outer ones first."""

_DAMAGED = "use the module in a graph of TensorFlow 1"


@dataclass(frozen=True)
class Choice:
    """What a Merge takes: by the value of a predicate a further choice, or one of its inputs."""

    predicate: Tensor
    branches: tuple[Choice | int, Choice | int]


class Item:
    """What is done at once: an op, or a loop.

    Attributes:
        name: The op's; for a loop, its LoopCond's.
        inputs: The tensors that it takes.
        read: These, and predicates.
        needs: The items of the same scope that come before it.
        context: None if it never runs.
        choice: For a Merge of a condition; an int if there is one input that can be alive.
    """

    __slots__ = ("choice", "context", "controls", "inputs", "loop", "name", "needs", "op", "read")

    def __init__(self, name: str, op: Op | None, loop: Loop | None) -> None:
        self.name = name
        self.op = op
        self.loop = loop
        self.inputs: list[Tensor] = []
        self.read: list[Tensor] = []
        self.controls: list[str] = []
        self.needs: set[str] = set()
        self.context: Context | None = ()
        self.choice: Choice | int | None = None

    @property
    def type(self) -> str:
        return self.op.type if self.op else "loop"


@dataclass(frozen=True, eq=False)
class Variable:
    """A loop variable: where it begins, the Merge that is its value, where its next value comes from."""

    enter: Op
    merge: Op
    following: Op


class Scope:
    """The items of a loop, or of the graph around all loops; each comes after what it needs.

    Attributes:
        producers: For the name of an op whose outputs items take: the item that gives them.
        gates: Names of the Switches that let into the turns of the loop.
        gate_controls: What these, and the LoopCond, wait for.
    """

    def __init__(self, loop: Loop | None, ops: Mapping[str, Op], own: Iterable[Op], inner: Iterable[Loop]) -> None:
        self.loop = loop
        self.variables: list[Variable] = []
        self.following: list[Op] = []
        self.producers: dict[str, str] = {}
        self.gates: set[str] = set()
        self.gate_controls: list[str] = []
        self._ops = ops
        self._predicates: dict[Tensor, Tensor] = {}
        items: dict[str, Item] = {}
        for op in own:
            if op.type == "NextIteration":
                self.following.append(op)
            elif op.type == "Merge" and any(ops[name].type == "NextIteration" for name, _ in op.data):
                self.variables.append(self._variable(op))
            else:
                items[op.name] = Item(op.name, op, None)
                self.producers[op.name] = op.name
        for each in inner:
            name = each.condition.name
            items[name] = Item(name, None, each)
            self.producers.update((op.name, name) for op in each.exits)
        for item in items.values():
            self._connect(item)
        self.items: dict[str, Item] = {item.name: item for item in self._ordered(items)}
        for item in self.items.values():
            self._wait_as_switches(item)
            item.context = self._context(item)

    def _variable(self, merge: Op) -> Variable:
        sources = [self._ops[name] for name, _ in merge.data]
        if [op.type for op in sources] != ["Enter", "NextIteration"] or merge.controls:
            raise RaisingError(
                f"Op {merge.name!r} (Merge) is in a loop and takes {[op.name for op in sources]} in place of an Enter and "
                "a NextIteration",
                hint=_DAMAGED,
            )
        return Variable(sources[0], merge, sources[1])

    def _connect(self, item: Item) -> None:
        ops = item.loop.enters if item.loop else [item.op]
        for op in ops:
            assert op is not None
            item.inputs.extend(op.data)
            item.controls.extend(op.controls)
        item.read = list(item.inputs)
        if item.type == "Switch":
            predicate = self.predicate(item.op.inputs[1])  # type: ignore[union-attr]
            if self.loop and predicate[0] == self.loop.condition.name:
                self.gates.add(item.name)
                self.gate_controls += item.controls
                item.controls = []
                item.inputs = [each for each in item.op.inputs[:1] if each in item.op.data]  # type: ignore[union-attr]
                item.read = list(item.inputs)
            else:
                item.read.append(predicate)
        elif self.loop and item.name == self.loop.condition.name:
            self.gate_controls += item.controls
            item.controls = []
        for name in (*(name for name, _ in item.read), *item.controls):
            if name in self.producers:
                item.needs.add(self.producers[name])

    def _wait_as_switches(self, item: Item) -> None:
        """A Switch becomes nothing that could wait; what takes something from it waits in its place."""
        switches = [self.items[self.producers[name]] for name, _ in item.read if name in self.producers]
        waits = [name for each in switches if each.type == "Switch" for name in each.controls]
        if waits:
            item.controls = list(dict.fromkeys([*item.controls, *waits]))
            item.needs.update(self.producers[name] for name in waits if name in self.producers)

    def predicate(self, tensor: Tensor) -> Tensor:
        """Where a predicate comes from, as far as it is the same value."""
        chain = []
        while tensor not in self._predicates:
            chain.append(tensor)
            op = self._ops.get(tensor[0])
            if op is None or not _passes_on(op):
                self._predicates[tensor] = tensor
                break
            tensor = op.inputs[0]
        found = self._predicates[tensor]
        self._predicates.update((each, found) for each in chain)
        return found

    def _ordered(self, items: Mapping[str, Item]) -> list[Item]:
        try:
            return [items[name] for name in in_order({name: item.needs for name, item in items.items()})]
        except CycleError as error:
            name = min(error.args[1])
            raise RaisingError(
                f"Op {name!r} ({items[name].type}) waits for what comes out of its own loop", hint=_DAMAGED
            ) from None

    def context_of(self, tensor: Tensor) -> Context | None:
        """Under which conditions a tensor is there."""
        item = self.items.get(self.producers.get(tensor[0], ""))
        if item is None or item.context is None:
            return () if item is None else None
        if item.type != "Switch" or item.op is None:
            return item.context
        return _within(item.context, (self.predicate(item.op.inputs[1]), tensor[1]))

    def _context(self, item: Item) -> Context | None:
        contexts = [self.context_of(tensor) for tensor in item.inputs]
        waits = [self.items[self.producers[name]].context for name in item.controls if name in self.producers]
        if item.type == "Merge" and item.op is not None:
            if len(item.op.data) < len(item.op.inputs):
                raise RaisingError(f"Op {item.name!r} (Merge) takes what is always there", hint=_DAMAGED)
            context, item.choice = _merged(item.name, contexts)
            item.read += _predicates_of(item.choice)
            for name, _ in item.read:
                if name in self.producers:
                    item.needs.add(self.producers[name])
            contexts = [context]
        found: Context | None = ()
        for each in (*contexts, *waits):
            found = _both(found, each)
        if len(found or ()) > 200:
            raise RaisingError(f"Op {item.name!r} ({item.type}) is in more than 200 nested conditions", hint=_DAMAGED)
        return found


def scopes_of(ops: Mapping[str, Op], loops: Iterable[Loop], loop_of: Mapping[str, Loop]) -> dict[Loop | None, Scope]:
    """The scope of each loop, and under None that of the graph around them.

    Raises:
        RaisingError: Loops or conditions do not add up.
    """
    inner: dict[Loop | None, list[Loop]] = {}
    for loop in loops:
        inner.setdefault(loop.parent, []).append(loop)
    found: dict[Loop | None, Scope] = {loop: Scope(loop, ops, loop.ops, inner.get(loop, ())) for loop in loops}
    found[None] = Scope(None, ops, [op for op in ops.values() if op.name not in loop_of], inner.get(None, ()))
    return found


def _passes_on(op: Op) -> bool:
    """Whether what an op gives is what it takes, no later."""
    return op.type in {"Identity", "Switch"} and not op.controls and op.data[:1] == op.inputs[:1]


def _within(context: Context, step: tuple[Tensor, int]) -> Context | None:
    predicate, value = step
    for known, its in context:
        if known == predicate:
            return context if its == value else None
    return (*context, step)


def _both(one: Context | None, other: Context | None) -> Context | None:
    """What holds where both hold; None if that is never."""
    if one is None or other is None:
        return None
    if len(one) < len(other):
        one, other = other, one
    if one[: len(other)] == other:
        return one
    found: Context | None = one
    for step in other:
        if found is not None:
            found = _within(found, step)
    return found


def _merged(name: str, contexts: list[Context | None]) -> tuple[Context | None, Choice | int]:
    """Where one of some contexts holds, and how to tell which; of each pair that is joined, one holds and not the other."""
    left: list[tuple[Context, Choice | int]] = [
        (context, index) for index, context in enumerate(contexts) if context is not None
    ]
    if not left:
        return None, 0
    while len(left) > 1:
        joined = _join_one_pair(left)
        if joined is None:
            raise RaisingError(
                f"Op {name!r} (Merge) takes inputs of which not exactly one is there whatever the conditions are",
                hint=_DAMAGED,
            )
        left = joined
    return left[0]


def _join_one_pair(left: list[tuple[Context, Choice | int]]) -> list[tuple[Context, Choice | int]] | None:
    known: dict[tuple[Tensor, frozenset[Any]], dict[int, int]] = {}
    for position, (context, _) in enumerate(left):
        for step in context:
            predicate, value = step
            others = frozenset(context) - {step}
            pair = known.setdefault((predicate, others), {})
            if value in pair:
                return None
            pair[value] = position
            if len(pair) == 2:
                context = tuple(each for each in context if each != step)
                branches = left[pair[0]][1], left[pair[1]][1]
                rest = [each for index, each in enumerate(left) if index not in pair.values()]
                return [*rest, (context, Choice(predicate, branches))]
    return None


def _predicates_of(choice: Choice | int | None) -> list[Tensor]:
    if not isinstance(choice, Choice):
        return []
    return [choice.predicate, *(each for branch in choice.branches for each in _predicates_of(branch))]


def belong_to(context: Context, base: Collection[tuple[Tensor, int]]) -> tuple[Tensor, int] | None:
    """The first condition of a context beyond some that hold; None if there is none."""
    return next((step for step in context if step not in base), None)
