"""Makes the ops of a graph in a function's graph: those that need no loop or condition by imports, the rest raised.

What is in a condition is put into one ``tf.cond`` per predicate, as much of it at once as can be. Where something in it
needs what only comes out of it, as in gradients that TensorFlow 1 made, the rest goes into a further one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from hubplug_tf1._errors import RaisingError
from hubplug_tf1._graph.subgraph import reachable_functions
from hubplug_tf1._raising.conditions import Choice, Item, Scope, belong_to
from hubplug_tf1._raising.frames import Tensor
from hubplug_tf1._raising.parts import Parts, Step
from hubplug_tf1._raising.raiser import Raiser
from hubplug_tf1._raising.values import Values, within

_HINT = "use the module in a graph of TensorFlow 1"


class Region:
    """Items that are made in one graph under one context."""

    def __init__(
        self,
        raiser: Raiser,
        scope: Scope,
        items: Sequence[Item],
        base: frozenset[Step],
        values: Values,
        wanted: Iterable[Tensor] = (),
    ) -> None:
        self._raiser = raiser
        self._scope = scope
        self._items = {item.name: item for item in items if item.context is not None}
        self._order = {name: position for position, name in enumerate(self._items)}
        self._made: set[str] = set()
        self._base = base
        self.values = values
        self._wanted = set(wanted)
        self._graph: Any = tf.compat.v1.get_default_graph()
        self._is_root = not base and scope.loop is None
        self._waiting: dict[str, int] = {}
        self._takers: dict[str, list[Item]] = {}
        self._steps: dict[str, Step | None] = {}
        self._plain: deque[Item] = deque()
        self._loops: deque[Item] = deque()
        self._nested: dict[str, None] = {}
        self._batch: dict[str, tuple[Item, list[str]]] = {}
        self._anchors: dict[str, Any] = {}
        self._left = len(self._items)

    def make(self) -> None:
        """Makes everything; what is asked for is in ``values`` then."""
        for item in self._items.values():
            needs = [name for name in item.needs if name in self._items]
            self._waiting[item.name] = len(needs)
            self._steps[item.name] = belong_to(item.context or (), self._base)
            for name in needs:
                self._takers.setdefault(name, []).append(item)
        self._parts = Parts(self._items, self._steps, self._takers)
        for item in self._items.values():
            if not self._waiting[item.name]:
                self._ready(item)
        while self._left:
            if self._plain:
                self._make_plain(self._plain.popleft())
            elif self._loops:
                self._flush()
                self._make_construct(self._loops.popleft())
            elif groups := self._parts.complete():
                self._flush()
                for predicate, names in groups.items():
                    self._make_condition(predicate, names - self._made)
            elif self._nested:
                self._flush()
                self._make_part_of_a_condition()
            else:
                raise RaisingError("Conditions wait for each other in a circle", hint=_HINT)
        self._flush()

    def _ready(self, item: Item) -> None:
        if item.name in self._made:
            return
        if self._steps[item.name] is not None:
            self._nested[item.name] = None
        elif item.loop or isinstance(item.choice, Choice) or (item.choice is not None and item.controls):
            self._loops.append(item)
        else:
            self._plain.append(item)

    def _done(self, item: Item) -> None:
        self._left -= 1
        self._made.add(item.name)
        self._nested.pop(item.name, None)
        for taker in self._takers.get(item.name, ()):
            self._waiting[taker.name] -= 1
            self._parts.need_met(item.name, taker.name)
            if not self._waiting[taker.name]:
                self._ready(taker)

    # Plain ops.

    def _make_plain(self, item: Item) -> None:
        op = item.op
        assert op is not None
        controls = [name for name in item.controls if name in self._batch or self.values.op(name, self._graph)]
        if op.type == "Switch":
            self.values.same[op.name, 0] = self.values.same[op.name, 1] = op.inputs[0]
        elif isinstance(item.choice, int):
            self.values.same[op.name, 0] = op.inputs[item.choice]
            if self._is_index_taken(item):
                self.values.tensors[op.name, 1] = tf.compat.v2.constant(item.choice)
        elif (
            op.type == "Identity" and not controls and not self._is_root and self._is_from_around(op.inputs[0])
        ) or op.type == "LoopCond":
            self.values.same[op.name, 0] = op.inputs[0]
        else:
            self._batch[op.name] = item, controls
        self._done(item)

    def _is_from_around(self, tensor: Tensor) -> bool:
        if self.values.source(tensor)[0] in self._batch:
            return False
        found = self.values.find(tensor)
        return found is not None and (found.graph is not self._graph or found.op.type == "Placeholder")

    def _flush(self) -> None:
        if not self._batch:
            return
        graph_def = tf.compat.v1.GraphDef()
        graph_def.versions.CopyFrom(self._raiser.graph_def.versions)
        mapped: dict[str, Any] = {}
        constants: dict[str, Any] = {}
        for item, controls in self._batch.values():
            assert item.op is not None
            node = graph_def.node.add()
            node.CopyFrom(item.op.node)
            node.input[:] = [self._input(item, tensor, mapped, constants) for tensor in item.op.inputs]
            for name in controls:
                if name not in self._batch:
                    mapped["^" + name] = self._anchor(name)
                node.input.append("^" + name)
        if self._raiser.functions:
            names = reachable_functions(self._raiser.functions, graph_def.node, self._raiser.gradients)
            library = self._raiser.graph_def.library
            graph_def.library.function.extend(each for each in library.function if each.signature.name in names)
            graph_def.library.gradient.extend(each for each in library.gradient if each.function_name in names)
        graph_def.node.extend(constants.values())
        made_names = [*self._batch, *constants]
        made: Any = tf.import_graph_def(graph_def, mapped, made_names, name="")
        self.values.ops.update(zip(made_names, made, strict=True))
        self._batch = {}

    def _input(self, item: Item, tensor: Tensor, mapped: dict[str, Any], constants: dict[str, Any]) -> str:
        source = self.values.source(tensor)
        name = f"{source[0]}:{source[1]}"
        if source[0] in self._batch or source[0] in constants:
            return name
        found = self.tensor(source, item.name, captured=False)
        if found.graph is not self._graph and source[0] in self._raiser.constants:
            # Made anew: shapes are found, and work is saved, where a value is known.
            constants[source[0]] = self._raiser.constants[source[0]]
        else:
            mapped[name] = within(self._graph, found)
        return name

    def tensor(self, tensor: Tensor, taker: str, *, captured: bool = True) -> Any:
        """A tensor as this graph has it; if it is not to be captured, as the graph has it where it is."""
        found = self.values.find(tensor)
        if found is None:
            raise RaisingError(
                f"Op {taker!r} takes {tensor[0]}:{tensor[1]}, which is not there under the conditions under which it runs",
                hint=_HINT,
            )
        return within(self._graph, found) if captured else found

    def _anchor(self, name: str) -> Any:
        """A tensor of the op that stands for one to wait for."""
        op = self.values.op(name, self._graph)
        if op.outputs:
            return op.outputs[0]
        if name not in self._anchors:
            with tf.control_dependencies([op]):
                self._anchors[name] = tf.compat.v2.constant(0, name="after")
        return self._anchors[name]

    def op(self, name: str) -> Any:
        """What stands for an op in this graph; for one that is another name for something, that."""
        found = self.values.op(name, self._graph)
        return found or self.tensor((name, 0), name).op

    def to_wait_for(self, names: Iterable[str]) -> list[Any]:
        """What is in this graph of what some ops have become."""
        return list({id(op): op for name in names if (op := self.values.op(name, self._graph)) is not None}.values())

    # Loops and Merges.

    def _make_construct(self, item: Item) -> None:
        if item.loop:
            with tf.control_dependencies(self.to_wait_for(item.controls)):
                self._raiser.make_loop(self._raiser, item.loop, self.values)
        else:
            self._make_choice(item)
        self._done(item)

    def _make_choice(self, item: Item) -> None:
        """A Merge of what is there already."""
        op = item.op
        assert op is not None

        def chosen(choice: Choice | int) -> list[Any]:
            if isinstance(choice, int):
                graph: Any = tf.compat.v1.get_default_graph()
                return [within(graph, self.values.find(op.inputs[choice])), tf.compat.v2.constant(choice)]
            then, otherwise = choice.branches[1], choice.branches[0]
            predicate = within(tf.compat.v1.get_default_graph(), self.values.find(choice.predicate))
            return tf.compat.v2.cond(predicate, lambda: chosen(then), lambda: chosen(otherwise))

        with tf.control_dependencies(self.to_wait_for(item.controls)):
            self._set_merge(item, chosen(item.choice or 0))

    def _set_merge(self, item: Item, results: Sequence[Any]) -> None:
        value, index = results
        controls = self.to_wait_for(item.controls)
        if controls:
            with tf.control_dependencies(controls):
                value = tf.identity(value)
        self.values.tensors[item.name, 0] = value
        self.values.tensors[item.name, 1] = index
        self.values.ops[item.name] = value.op

    # Conditions.

    def _make_part_of_a_condition(self) -> None:
        """What can be made of a condition that needs something that comes out of it."""
        first = next(iter(self._nested))
        part = self._parts.of(first)
        step = self._steps[first]
        assert step is not None
        waiting: dict[str, int] = {}
        ready = deque(name for name in self._nested if self._parts.of(name) == part)
        names = set(ready)
        while ready:
            for taker in self._takers.get(ready.popleft(), ()):
                waiting[taker.name] = waiting.get(taker.name, self._waiting[taker.name]) - 1
                if not waiting[taker.name] and self._steps[taker.name] and self._parts.of(taker.name) == part:
                    names.add(taker.name)
                    ready.append(taker.name)
        self._make_condition(step[0], names)

    def _make_condition(self, predicate: Tensor, own: set[str]) -> None:
        if not own:
            return
        items = [self._items[name] for name in sorted(own, key=self._order.__getitem__)]
        merges = self._merges_of(predicate, own)
        exported = self._exported(items, own, merges)
        anchored = [
            item.name
            for item in items
            if item.name in self._raiser.targets
            or any(
                item.name in taker.controls and taker.name not in own and taker.name not in merges
                for taker in self._takers.get(item.name, ())
            )
        ]
        indexed = [merge for merge in merges.values() if self._is_index_taken(merge)]

        def branch(value: int) -> list[Any]:
            inner = [item for item in items if self._steps[item.name] == (predicate, value)]
            its = [merge.op.inputs[_leaf(merge, value)] for merge in merges.values()]  # type: ignore[union-attr]
            there = [tensor for tensor, side in exported.items() if side == value]
            region = Region(
                self._raiser,
                self._scope,
                inner,
                self._base | {(predicate, value)},
                Values(self.values),
                [*its, *there],
            )
            region.make()
            results = [region.tensor(tensor, merge) for tensor, merge in zip(its, merges, strict=True)]
            results += [tf.compat.v2.constant(_leaf(merge, value)) for merge in indexed]
            for tensor, side in exported.items():
                results.append(region.tensor(tensor, "") if side == value else self._stand_in(tensor))
            inside = region.to_wait_for(name for name in anchored if name in region._items)
            if anchored or not results:
                with tf.control_dependencies(inside):
                    results.append(tf.compat.v2.constant(0))
            return results

        waited = {name for item in items for name in item.controls if name not in own}
        waited |= {name for merge in merges.values() for name in merge.controls}
        with tf.control_dependencies(self.to_wait_for(waited)):
            decides = self.tensor(predicate, items[0].name)
            results = deque(tf.compat.v2.cond(decides, lambda: branch(1), lambda: branch(0)))
        last = results[-1].op
        for item in items:
            self._remember_names(item)
        for merge in merges.values():
            self.values.tensors[merge.name, 0] = results[0]
            self.values.ops[merge.name] = results.popleft().op
        for merge in indexed:
            self.values.tensors[merge.name, 1] = results.popleft()
        for tensor in exported:
            self.values.tensors[tensor] = results.popleft()
        for name in anchored:
            self.values.ops[name] = last
        self._made.update(merges)
        for item in (*items, *merges.values()):
            self._done(item)

    def _merges_of(self, predicate: Tensor, own: set[str]) -> dict[str, Item]:
        """The Merges that a condition decides and of which all inputs are there with it."""
        met: dict[str, int] = {}
        found: dict[str, Item] = {}
        for name in own:
            for taker in self._takers.get(name, ()):
                if self._steps[taker.name] is None and isinstance(taker.choice, Choice):
                    met[taker.name] = met.get(taker.name, 0) + 1
                    choice = taker.choice
                    plain = choice.predicate == predicate and all(isinstance(each, int) for each in choice.branches)
                    if plain and met[taker.name] == self._waiting[taker.name]:
                        found[taker.name] = taker
        return found

    def _exported(self, items: Sequence[Item], own: set[str], merges: Mapping[str, Item]) -> dict[Tensor, int]:
        """What has to come out of a condition for others than the Merges that it decides, and of which branch."""
        found: dict[Tensor, int] = {}

        def export(tensor: Tensor) -> None:
            producer = self._scope.producers.get(tensor[0], "")
            while producer in own and self._items[producer].type == "Switch":
                tensor = self._items[producer].op.inputs[0]  # type: ignore[union-attr]
                producer = self._scope.producers.get(tensor[0], "")
            step = self._steps[producer] if producer in own else None
            if step is not None:
                found[tensor] = step[1]

        for item in items:
            for taker in self._takers.get(item.name, ()):
                if taker.name not in own and taker.name not in merges:
                    for tensor in taker.read:
                        export(tensor)
        for tensor in self._wanted:
            export(tensor)
        return found

    def _remember_names(self, item: Item) -> None:
        if item.type == "Switch" and item.op is not None:
            self.values.same[item.name, 0] = self.values.same[item.name, 1] = item.op.inputs[0]

    def _is_index_taken(self, merge: Item) -> bool:
        index = (merge.name, 1)
        return index in self._wanted or any(index in taker.read for taker in self._takers.get(merge.name, ()))

    def _stand_in(self, tensor: Tensor) -> Any:
        """What stands for a tensor in the branch in which it is not."""
        dtype = self._raiser.dtype(tensor)
        if dtype == tf.variant:
            return tf.raw_ops.EmptyTensorList(element_shape=-1, max_num_elements=0, element_dtype=tf.float32)
        if dtype == tf.resource:
            raise RaisingError(f"The handle {tensor[0]}:{tensor[1]} depends on a condition", hint=_HINT)
        return tf.zeros([], dtype)


def _leaf(merge: Item, value: int) -> int:
    assert isinstance(merge.choice, Choice)
    branch = merge.choice.branches[value]
    assert isinstance(branch, int)
    return branch
