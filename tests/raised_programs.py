"""Random programs of nested loops, conditions and arrays of TensorFlow 1, each from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

Build = Callable[..., Any]


def program(tf: Any, seed: int, *, size: int = 12, depth: int = 3) -> Build:
    """A function from one vector of three floats to outputs; it ends, and stays finite.

    Args:
        tf: TensorFlow.
        seed: Which program.
        size: About how many statements it has.
        depth: How deep loops and conditions nest.
    """
    return lambda x: _Writer(tf, random.Random(seed), size).outputs(x, depth)


class _Writer:
    def __init__(self, tf: Any, rng: random.Random, size: int) -> None:
        self._tf = tf
        self._v1 = tf.compat.v1
        self._rng = rng
        self._budget = size
        self._variable: Any = None

    def outputs(self, x: Any, depth: int) -> Any:
        self._variable = self._v1.get_variable(
            "state", [3], initializer=self._v1.constant_initializer(0.5), trainable=False, use_resource=True
        )
        weight = self._v1.get_variable("weight", [3], initializer=self._v1.constant_initializer(1.5), use_resource=True)
        values = self._block([x, x * weight], depth, effects=True)
        outputs = values[-3:]
        with self._tf.control_dependencies(outputs):
            return [*outputs, self._tf.stop_gradient(self._variable.read_value())]

    def _block(self, values: list[Any], depth: int, *, effects: bool) -> list[Any]:
        """Some statements in order; each may use what is there, and what came before is not computed in another order."""
        values = list(values)
        for _ in range(self._rng.randint(1, 4)):
            if self._budget <= 0:
                break
            self._budget -= 1
            kinds: list[Callable[[list[Any], int, bool], list[Any]]] = [self._compute]
            if effects:
                kinds.append(self._assign)
            if depth:
                kinds += [self._condition, self._condition, self._loop, self._loop, self._array, self._case]
            values += self._rng.choice(kinds)(values, depth, effects)
        return values

    def _compute(self, values: list[Any], depth: int, effects: bool) -> list[Any]:
        tf, one, other = self._tf, self._rng.choice(values), self._rng.choice(values)
        return [
            self._rng.choice(
                [
                    lambda: tf.sin(one) + other,
                    lambda: tf.tanh(one * other),
                    lambda: one - 0.25 * other,
                    lambda: tf.where(one > other, one, other * 0.5),
                    lambda: tf.reverse(one, [0]) * 0.5,
                    lambda: tf.constant([0.5, -1.0, 2.0]) * other,
                ]
            )()
        ]

    def _predicate(self, values: list[Any]) -> Any:
        tf, one = self._tf, self._rng.choice(values)
        return self._rng.choice(
            [
                lambda: tf.reduce_sum(one) > self._rng.uniform(-1, 1),
                lambda: one[0] > one[1],
                lambda: tf.logical_not(tf.reduce_max(one) > 0.5),
            ]
        )()

    def _assign(self, values: list[Any], depth: int, effects: bool) -> list[Any]:
        tf, last, one = self._tf, values[-1], self._rng.choice(values)
        # After all that was computed before, so that there is one order.
        with tf.control_dependencies(values):
            assigned = self._v1.assign_add(self._variable, tf.stop_gradient(tf.tanh(one)))
            with tf.control_dependencies([assigned]):
                return [last + tf.stop_gradient(tf.tanh(self._variable.read_value()))]

    def _condition(self, values: list[Any], depth: int, effects: bool) -> list[Any]:
        tf, count = self._tf, self._rng.randint(1, 3)
        predicate = self._predicate(values)
        passed = self._rng.random() < 0.2

        def branch(block: bool) -> list[Any]:
            if passed and not block:
                return [values[-1]] * count
            found = self._block(values, depth - 1, effects=effects)
            return self._after(found, (found * count)[-count:])

        # In TensorFlow 1 a condition waits for nothing but what it takes.
        with tf.control_dependencies(values if effects else []):
            predicate = tf.identity(predicate)
        found = tf.cond(predicate, lambda: branch(True), lambda: branch(False))
        found = list(found) if isinstance(found, (list, tuple)) else [found]
        return self._after(found, found)

    def _case(self, values: list[Any], depth: int, effects: bool) -> list[Any]:
        cases = [
            (self._predicate(values), lambda: self._compute(values, 0, False)[0])
            for _ in range(self._rng.randint(1, 3))
        ]
        return [self._v1.case(cases, default=lambda: values[-1] * 0.5)]

    def _loop(self, values: list[Any], depth: int, effects: bool) -> list[Any]:
        tf = self._tf
        count = self._rng.randint(1, 2)
        turns = self._rng.randint(0, 3)
        by_data = self._rng.random() < 0.5
        starts = [self._rng.choice(values) for _ in range(count)]

        def going_on(i: Any, *state: Any) -> Any:
            more = i < turns
            return tf.logical_and(more, tf.reduce_sum(state[0]) < 50.0) if by_data else more

        def turn(i: Any, *state: Any) -> Any:
            inside = [*values, tf.cast(i, tf.float32) * 0.1 + state[0], *state]
            found = self._block(inside, depth - 1, effects=effects)
            found = self._after(found, (found * count)[-count:])
            return [i + 1, *(tf.ensure_shape(tf.tanh(each), [3]) for each in found)]

        with tf.control_dependencies(values if effects else []):
            starts = [tf.identity(each) for each in starts]
            found = self._v1.while_loop(
                going_on, turn, [tf.constant(0), *starts],
                parallel_iterations=1 if effects else self._rng.choice([1, 10]),
                maximum_iterations=self._rng.choice([None, 2]),
            )  # fmt: skip
        return self._after(found, found[1:])

    def _after(self, done: list[Any], values: list[Any]) -> list[Any]:
        """Values that are there when all is done, so that there is one order of effects."""
        with self._tf.control_dependencies(done):
            return [self._tf.identity(each) for each in values]

    def _array(self, values: list[Any], depth: int, effects: bool) -> list[Any]:
        tf, one, shift = self._tf, self._rng.choice(values), self._rng.choice(values)
        kind = self._rng.randrange(4)
        if kind == 0:
            return [tf.map_fn(lambda each: tf.sin(each) + shift[0], one)]
        if kind == 1:
            return [tf.scan(lambda state, each: tf.tanh(state * 0.5 + each), one, shift[1])]
        if kind == 2:
            return [tf.foldl(lambda state, each: tf.tanh(state + each), one, shift)]
        read = tf.TensorArray(tf.float32, 3, clear_after_read=False).unstack(one)
        written = tf.TensorArray(tf.float32, 0, dynamic_size=True, clear_after_read=False)

        def turn(i: Any, out: Any) -> Any:
            value = tf.cond(read.read(i) > 0, lambda: read.read(i) * shift[0], lambda: read.read(2 - i))
            return i + 1, out.write(i, value)

        _, written = self._v1.while_loop(lambda i, _: i < 3, turn, [0, written])
        return [written.gather([2, 0, 1])]
