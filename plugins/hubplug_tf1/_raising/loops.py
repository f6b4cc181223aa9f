"""Makes a ``tf.while_loop`` of a loop of Enter, Merge, Switch, NextIteration and Exit ops."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import tensorflow as tf

from hubplug_tf1._errors import RaisingError
from hubplug_tf1._raising.conditions import Item, Scope
from hubplug_tf1._raising.emission import Region
from hubplug_tf1._raising.frames import Loop, Tensor
from hubplug_tf1._raising.raiser import Raiser
from hubplug_tf1._raising.values import Values, within

_HINT = "use the module in a graph of TensorFlow 1"


class _OtherShapes(Exception):
    """A turn of a loop gives shapes that the loop was not made for."""


def make_loop(raiser: Raiser, loop: Loop, values: Values) -> None:
    """Makes a loop in the current graph; what its Exits give is in ``values`` then.

    Raises:
        RaisingError: The loop does not add up.
    """
    plan = _plan(raiser, loop)
    graph: Any = tf.compat.v1.get_default_graph()
    starts = [_found(values, each.enter.inputs[0], graph, each.enter.name) for each in plan.scope.variables]
    indexed = [each for each in plan.scope.variables if (each.merge.name, 1) in plan.read]
    starts += [tf.compat.v2.constant(0) for _ in indexed]
    if plan.shapes is None:
        plan.shapes = [start.shape for start in starts]
    enter = loop.enters[0].node.attr
    while True:
        try:
            results = tf.compat.v2.while_loop(
                lambda *turn: plan.condition(values, turn),
                lambda *turn: plan.body(values, turn),
                starts,
                shape_invariants=list(plan.shapes),
                parallel_iterations=enter["parallel_iterations"].i or 10,
            )
            break
        except _OtherShapes:
            continue  # the shapes are wider now
    plan.after(values, results)


class _Plan:
    """A loop taken apart.

    Attributes:
        read: The tensors that its items take.
        shapes: Of its variables, as wide as is known to be needed.
    """

    def __init__(self, raiser: Raiser, loop: Loop, scope: Scope) -> None:
        self._raiser = raiser
        self._loop = loop
        self.scope = scope
        self._going_on = ((loop.condition.name, 0), 1)
        self._at_the_end = ((loop.condition.name, 0), 0)
        self.read = {tensor for item in scope.items.values() for tensor in item.read}
        self.shapes: list[Any] | None = None
        self._check()
        always = [item for item in scope.items.values() if item.context == ()]
        begun = self._needed([loop.condition.name, *scope.gate_controls], always)
        self._conditional = begun
        self._turn = self._with_needs(self._going_on, (tensor for op in scope.following for tensor in op.inputs))
        self._final = self._with_needs(self._at_the_end, (op.inputs[0] for op in loop.exits))

    def _check(self) -> None:
        for op in self.scope.following:
            self._check_context(op, self._going_on)
        for op in self._loop.exits:
            self._check_context(op, self._at_the_end)
        condition = self.scope.items.get(self._loop.condition.name)
        if condition is None or condition.context != ():
            raise RaisingError(f"Op {self._loop.condition.name!r} (LoopCond) depends on itself", hint=_HINT)
        targets = self._raiser.targets & self.scope.items.keys()
        if targets:
            raise RaisingError(f"Op {min(targets)!r} is in a loop and cannot be asked for by itself", hint=_HINT)

    def _check_context(self, op: Any, step: tuple[Tensor, int]) -> None:
        if self.scope.context_of(op.inputs[0]) != (step,):
            raise RaisingError(
                f"Op {op.name!r} ({op.type}) takes something that is not there in each turn when it is needed",
                hint=_HINT,
            )

    def _needed(self, names: Iterable[str], among: Collection[Item]) -> list[Item]:
        """Of some items, those that some need, themselves included, in order."""
        known = {item.name: item for item in among}
        found: set[str] = set()
        waiting = [self.scope.producers.get(name, "") for name in names]
        while waiting:
            name = waiting.pop()
            if name in known and name not in found:
                found.add(name)
                waiting.extend(known[name].needs)
        return [item for item in among if item.name in found]

    def _with_needs(self, step: tuple[Tensor, int], results: Iterable[Tensor]) -> list[Item]:
        """The items of one side of the loop's condition, with what they need of what comes before it."""
        own = {name for name, item in self.scope.items.items() if step in (item.context or ())}
        roots = {need for name in own for need in self.scope.items[name].needs}
        roots |= {name for name, _ in results}
        always = [item for item in self.scope.items.values() if item.context == ()]
        before = self._needed([*roots], always)
        for item in before:
            definition = self._raiser.function_def(item.type)
            if item.loop or (definition is not None and definition.is_stateful):
                raise RaisingError(
                    f"Op {item.name!r} ({item.type}) has effects and is both in the condition and in the turns of a loop",
                    hint=_HINT,
                )
        needed = {item.name for item in before}
        return [item for name, item in self.scope.items.items() if name in own or name in needed]

    def _begin(self, values: Values, turn: Sequence[Any]) -> Values:
        begun = Values(values)
        for each, value in zip(self.scope.variables, turn, strict=False):
            begun.tensors[each.merge.name, 0] = value
        indexed = [each for each in self.scope.variables if (each.merge.name, 1) in self.read]
        for each, value in zip(indexed, turn[len(self.scope.variables) :], strict=True):
            begun.tensors[each.merge.name, 1] = value
        for op in self._loop.enters:
            begun.same[op.name, 0] = op.inputs[0]
        return begun

    def condition(self, values: Values, turn: Sequence[Any]) -> Any:
        region = Region(self._raiser, self.scope, self._conditional, frozenset(), Values(self._begin(values, turn)))
        region.make()
        with tf.control_dependencies(region.to_wait_for(self.scope.gate_controls)):
            result = region.tensor(self._loop.condition.inputs[0], self._loop.condition.name)
            return tf.identity(result) if self.scope.gate_controls else result

    def body(self, values: Values, turn: Sequence[Any]) -> list[Any]:
        base = frozenset([self._going_on])
        region = Region(self._raiser, self.scope, self._turn, base, Values(self._begin(values, turn)))
        region.make()
        results = []
        for each in self.scope.variables:
            result = region.tensor(each.following.inputs[0], each.following.name)
            controls = region.to_wait_for(each.following.controls)
            if controls:
                with tf.control_dependencies(controls):
                    result = tf.identity(result)
            results.append(result)
        results += [tf.compat.v2.constant(1) for _ in turn[len(results) :]]
        self._widen(results)
        return results

    def _widen(self, results: Sequence[Any]) -> None:
        assert self.shapes is not None
        wide = [
            known.most_specific_compatible_shape(result.shape)
            for known, result in zip(self.shapes, results, strict=True)
        ]
        if any(
            new.rank != known.rank or new.as_list() != known.as_list()
            for new, known in zip(wide, self.shapes, strict=True)
            if known.rank is not None
        ):
            self.shapes = wide
            raise _OtherShapes

    def after(self, values: Values, results: Sequence[Any]) -> None:
        base = frozenset([self._at_the_end])
        region = Region(self._raiser, self.scope, self._final, base, Values(self._begin(values, results)))
        region.make()
        for op in self._loop.exits:
            result = region.tensor(op.inputs[0], op.name)
            controls = region.to_wait_for(op.controls)
            if controls:
                with tf.control_dependencies(controls):
                    result = tf.identity(result)
            values.tensors[op.name, 0] = result
            values.ops[op.name] = result.op


def _plan(raiser: Raiser, loop: Loop) -> _Plan:
    if loop not in raiser.plans:
        raiser.plans[loop] = _Plan(raiser, loop, raiser.scopes[loop])
    plan: _Plan = raiser.plans[loop]
    return plan


def _found(values: Values, tensor: Tensor, graph: Any, taker: str) -> Any:
    found = values.find(tensor)
    if found is None:
        raise RaisingError(f"Op {taker!r} takes {tensor[0]}:{tensor[1]}, which is not there", hint=_HINT)
    return within(graph, found)
