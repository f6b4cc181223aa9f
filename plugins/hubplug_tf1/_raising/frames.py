"""Which ops of a graph are in which loop: what the names of frames and the edges between ops say.

In a graph of TensorFlow 1 a loop is a frame that Enter ops lead into and Exit ops lead out of. Two loops may have one frame
name, if a graph was imported twice; they are apart then, since nothing connects them inside of the frame.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from graphlib import CycleError
from typing import Any

from hubplug_tf1._errors import RaisingError
from hubplug_tf1._raising.order import in_order

Tensor = tuple[str, int]
"""The name of an op, and which of its outputs."""


class Op:
    """An op and where it is.

    Attributes:
        data: What it takes; None in place of what is provided from around the graph.
        controls: The ops that it waits for.
        frame: The frame that its inputs are in.
    """

    __slots__ = ("controls", "data", "frame", "inputs", "name", "node", "type")

    def __init__(self, node: Any, provided: Collection[str]) -> None:
        self.node = node
        self.name: str = node.name
        self.type: str = node.op
        self.inputs: list[Tensor] = []
        self.controls: list[str] = []
        for each in node.input:
            if each[0] == "^":
                self.controls.append(each[1:])
            else:
                name, _, index = each.partition(":")
                self.inputs.append((name, int(index or 0)))
        self.data = [each for each in self.inputs if f"{each[0]}:{each[1]}" not in provided]
        self.frame: Frame = ROOT


class Frame:
    """What Enter ops of one name lead into from one frame."""

    def __init__(self, name: str, parent: Frame | None) -> None:
        self.name = name
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0


ROOT = Frame("", None)


class Loop:
    """A loop: the ops in it that are in no loop inside of it.

    Attributes:
        ops: Without its Enters and Exits.
        parent: The loop around, or None.
        condition: Its LoopCond.
    """

    def __init__(self, name: str, ops: list[Op]) -> None:
        self.name = name
        self.parent: Loop | None = None
        self.enters = [op for op in ops if op.type == "Enter"]
        self.exits = [op for op in ops if op.type == "Exit"]
        self.ops = [op for op in ops if op.type not in {"Enter", "Exit"}]
        conditions = [op for op in ops if op.type == "LoopCond"]
        if len(conditions) != 1:
            raise RaisingError(
                f"The loop of op {ops[0].name!r} in frame {name!r} has {len(conditions)} LoopCond ops in place of one",
                hint="the module's graph is damaged; fetch it anew",
            )
        self.condition = conditions[0]


def read_ops(nodes: Iterable[Any], provided: Collection[str]) -> dict[str, Op]:
    """The ops by name, in an order in which each comes after what it needs; their frames are known.

    Raises:
        RaisingError: There is a circle, or an op takes something from two frames.
    """
    ops = {node.name: Op(node, provided) for node in nodes}
    order = _ordered(ops)
    frames: dict[tuple[str, Frame], Frame] = {}
    for op in order:
        around = _frame_of_inputs(op, ops)
        if op.type == "Enter":
            key = (op.node.attr["frame_name"].s.decode("utf-8", "replace"), around)
            if key not in frames:
                frames[key] = Frame(*key)
            op.frame = frames[key]
        else:
            op.frame = around
        if op.type in {"Exit", "NextIteration", "LoopCond"} and op.frame is ROOT:
            raise RaisingError(
                f"Op {op.name!r} ({op.type}) is in no loop", hint="the module's graph is damaged; fetch it anew"
            )
    return {op.name: op for op in order}


def find_loops(ops: Mapping[str, Op]) -> tuple[list[Loop], dict[str, Loop]]:
    """The loops, inner ones first, and for the name of each op in a loop the innermost one.

    An Enter or Exit belongs to the loop that it leads into or out of.
    """
    members: dict[Frame, list[Op]] = {}
    for op in ops.values():
        if op.frame is not ROOT:
            members.setdefault(op.frame, []).append(op)
    loops: list[Loop] = []
    found: dict[str, Loop] = {}
    inner: dict[Frame, list[Loop]] = {}
    for frame in sorted(members, key=lambda each: -each.depth):
        for part, inside in _parts(members[frame], inner.get(frame, []), ops):
            loop = Loop(frame.name, part)
            loops.append(loop)
            found.update((op.name, loop) for op in part)
            for each in inside:
                each.parent = loop
            if frame.parent is not None:
                inner.setdefault(frame.parent, []).append(loop)
    return loops, found


def _sources(op: Op) -> list[str]:
    return [name for name, _ in op.data] + op.controls


def _ordered(ops: Mapping[str, Op]) -> list[Op]:
    needs: dict[str, set[str]] = {}
    for op in ops.values():
        sources = set(_sources(op))
        for name in sources:
            if name not in ops:
                raise RaisingError(
                    f"Op {op.name!r} ({op.type}) takes something from {name!r}, which is not in the graph",
                    hint="the module's graph is damaged; fetch it anew",
                )
        if op.type == "Merge":
            sources = {name for name in sources if ops[name].type != "NextIteration"}
        needs[op.name] = sources
    try:
        return [ops[name] for name in in_order(needs)]
    except CycleError as error:
        name = min(error.args[1])
        raise RaisingError(
            f"Op {name!r} ({ops[name].type}) waits in a circle for itself",
            hint="the module's graph is damaged; fetch it anew",
        ) from None


def _frame_of_inputs(op: Op, ops: Mapping[str, Op]) -> Frame:
    found: Frame | None = None
    for name in _sources(op):
        source = ops[name]
        if source.type == "NextIteration" and op.type == "Merge":
            continue
        frame = source.frame
        if source.type == "Exit" and frame.parent is not None:
            frame = frame.parent
        if found is None:
            found = frame
        elif found is not frame:
            raise RaisingError(
                f"Op {op.name!r} ({op.type}) takes something from frame {found.name!r} and something from {frame.name!r}",
                hint="the module's graph is damaged; fetch it anew",
            )
    return found or ROOT


def _parts(members: list[Op], inner: list[Loop], ops: Mapping[str, Op]) -> list[tuple[list[Op], list[Loop]]]:
    """The ops of a frame by loop, with the loops inside of each."""
    if sum(op.type == "LoopCond" for op in members) <= 1:
        return [(members, inner)]
    leader: dict[str, str] = {op.name: op.name for op in members}
    exits = {op.name: loop.condition.name for loop in inner for op in loop.exits}
    leader.update((name, name) for name in exits.values())

    def lead(name: str) -> str:
        name = exits.get(name, name)
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for op in members:
        if op.type != "Enter":
            for name in _sources(op):
                leader[lead(name)] = lead(op.name)
    for loop in inner:
        for op in loop.enters:
            for name in _sources(op):
                leader[lead(name)] = lead(loop.condition.name)
    parts: dict[str, tuple[list[Op], list[Loop]]] = {}
    for op in members:
        parts.setdefault(lead(op.name), ([], []))[0].append(op)
    for loop in inner:
        parts[lead(loop.condition.name)][1].append(loop)
    return list(parts.values())
