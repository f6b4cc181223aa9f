"""Real modules with an op put into them, at a random place of one of the kinds of places that a graph has."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice, product
from pathlib import Path
from typing import Any

from hubplug.types import Finding
from hubplug_format import OpRegistry, dtype_number, message_class
from hubplug_signatures._saver import CHECKPOINT_OPS
from hubplug_signatures._scan import scan_directory
from hubplug_signatures._unsafe_ops import judge

TABLE_OPS = ("InitializeTableFromTextFile", "InitializeTableFromTextFileV2")
STRING = dtype_number("string")
UNKNOWN = ("NotAnOpAtAll", "SentencepieceOp", "Some>NewOp")

UNSAFE = {op: about.level for op in (*sorted(OpRegistry.bundled().names), *UNKNOWN) if (about := judge(op))}
# What only computes, whatever it is given: an assignment without inputs is nothing that a legitimate module has.
_HARMLESS_CLASSES = {"computation", "xla-computation", "random", "strings-and-parsing", "messages", "annotations"}
HARMLESS = sorted(
    op
    for op in OpRegistry.bundled().names
    if (about := OpRegistry.bundled().class_of(op)) and about.name in _HARMLESS_CLASSES
)

# With these an op does what it is listed for.
_ATTRS = {
    "PrintV2": ("output_stream", b"file:///tmp/x"),
    "FixedUnigramCandidateSampler": ("vocab_file", b"/etc/passwd"),
    "DecodeProtoV2": ("descriptor_source", b"/etc/passwd"),
    "EncodeProto": ("descriptor_source", b"/etc/passwd"),
}
_EXCEPTIONS = 60
_PATHS = (b"/etc/passwd", b"../../x", b"assets/../../x", b"gs://bucket/x", b"SAVEDMODEL-ASSET", b"")


@dataclass
class Figures:
    """What a run came to."""

    trials: int = 0
    harmless: int = 0
    missed: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.trials} unsafe ops put into modules, {len(self.missed)} missed; {self.harmless} harmless ones, "
            f"{len(self.alarms)} false alarms"
        )


class Mutant:
    """A copy of a module that is being changed."""

    def __init__(self, rng: random.Random, data: bytes, op: str) -> None:
        self.rng = rng
        self.op = op
        self.model = message_class("SavedModel").FromString(data)
        self.meta = rng.choice(self.model.meta_graphs)
        self.graph = self.meta.graph_def
        self._number = 0

    def fresh(self, what: str) -> str:
        self._number += 1
        return f"{what}_{self.rng.randrange(1 << 32):x}_{self._number}"

    def nodes(self) -> Any:
        """Of the graph itself, or of one of its functions."""
        bodies = [self.graph.node, *(function.node_def for function in self.graph.library.function)]
        return self.rng.choice(bodies)

    def add(self, nodes: Any, op: str, inputs: Sequence[str] = ()) -> Any:
        """Puts a node somewhere between the others."""
        node = message_class("NodeDef")(name=self.fresh(op.replace(">", "_").strip("_").lower()), op=op, input=inputs)
        there = list(nodes)
        position = self.rng.randrange(len(there) + 1)
        if len(there) > 500 or position == len(there):
            nodes.append(node)
            return nodes[-1]
        del nodes[:]
        nodes.extend([*there[:position], node, *there[position:]])
        return nodes[position]

    def bad(self, nodes: Any, inputs: Sequence[str] | None = None) -> Any:
        """Puts the op somewhere between the others: with a path if it takes one, else with whatever there is."""
        if inputs is None:
            inputs = self.inputs(nodes)
        node = self.add(nodes, self.op, inputs)
        if self.op in _ATTRS:
            attr, value = _ATTRS[self.op]
            node.attr[attr].s = value
        if self.rng.random() < 0.2:
            node.device = "/device:CPU:0"
        return node

    def inputs(self, nodes: Any) -> list[str]:
        if self.op in HARMLESS:
            return []
        if self.op in CHECKPOINT_OPS or self.op in TABLE_OPS:
            return [self.path(nodes)] * 3
        names = [node.name for node in nodes] or ["nothing"]
        count = self.rng.randrange(4)
        return [self.rng.choice(["", "", "^"]) + self.rng.choice(names) for _ in range(count)]

    def path(self, nodes: Any) -> str:
        """A constant that no loader gives another value."""
        path = self.add(nodes, "Const")
        put_strings(self.rng, path, [self.rng.choice(_PATHS)])
        name: str = path.name
        return name if nodes is self.graph.node else f"{name}:output:0"

    def function(self, ops: Sequence[str] = ()) -> Any:
        """A new function, of ops that need nothing."""
        function = self.graph.library.function.add()
        function.signature.name = self.fresh("__inference_f")
        for op in ops:
            self.add(function.node_def, op)
        return function


Place = Callable[[Mutant], None]


def graph(mutant: Mutant) -> None:
    mutant.bad(mutant.graph.node)


def control_edge(mutant: Mutant) -> None:
    nodes = mutant.nodes()
    there = [node.name for node in nodes]
    bad = mutant.bad(nodes).name
    if there:
        name = mutant.rng.choice(there)
        next(node for node in nodes if node.name == name).input.append(f"^{bad}")


def function(mutant: Mutant) -> None:
    there = list(mutant.graph.library.function)
    if there and mutant.rng.random() < 0.5:
        mutant.bad(mutant.rng.choice(there).node_def)
        return
    made = mutant.function(["NoOp"] * mutant.rng.randrange(3))
    mutant.bad(made.node_def)
    mutant.rng.choice([_unused, _called_by_name, _called, _swapped_in, _gradient, _default_of_an_attribute])(
        mutant, made
    )


def _unused(mutant: Mutant, made: Any) -> None:
    pass


def _called_by_name(mutant: Mutant, made: Any) -> None:
    mutant.add(mutant.graph.node, made.signature.name)


def _called(mutant: Mutant, made: Any) -> None:
    node = mutant.add(mutant.nodes(), mutant.rng.choice(["PartitionedCall", "StatefulPartitionedCall", "MapDefun"]))
    node.attr["f"].func.name = made.signature.name


def _swapped_in(mutant: Mutant, made: Any) -> None:
    other = mutant.function(["NoOp"])
    for each in (made, other):
        each.attr["api_implements"].s = b"lstm"
    _called(mutant, other)


def _gradient(mutant: Mutant, made: Any) -> None:
    other = mutant.function(["NoOp"])
    mutant.graph.library.gradient.add(function_name=other.signature.name, gradient_func=made.signature.name)
    _called(mutant, other)


def _default_of_an_attribute(mutant: Mutant, made: Any) -> None:
    other = mutant.function(["NoOp"])
    attr = other.signature.attr.add(name="f", type="func")
    attr.default_value.func.name = made.signature.name
    mutant.add(other.node_def, "PartitionedCall").attr["f"].placeholder = "f"
    _called_by_name(mutant, other)


def nested_function_attribute(mutant: Mutant) -> None:
    made = mutant.function()
    mutant.bad(made.node_def)
    name = made.signature.name
    for _ in range(mutant.rng.randrange(3)):
        outer = mutant.function()
        _name_function(mutant, outer.node_def, name)
        name = outer.signature.name
    _name_function(mutant, mutant.graph.node, name)


def _name_function(mutant: Mutant, nodes: Any, name: str) -> None:
    way = mutant.rng.randrange(4)
    if way == 0:
        mutant.add(nodes, "If").attr["then_branch"].func.name = name
    elif way == 1:
        mutant.add(nodes, "Case").attr["branches"].list.func.add(name=name)
    elif way == 2:
        mutant.add(nodes, "MapDataset").attr["f"].func.attr["inner"].func.name = name
    else:
        mutant.add(nodes, "StatelessIf").attr["else_branch"].func.attr["inner"].list.func.add(name=name)


def initializer(mutant: Mutant) -> None:
    name = mutant.bad(mutant.graph.node).name
    variables = mutant.meta.collection_def["variables"].bytes_list.value
    if len(variables) and mutant.rng.random() < 0.5:
        position = mutant.rng.randrange(len(variables))
        definition = message_class("VariableDef").FromString(variables[position])
        if mutant.rng.random() < 0.5:
            definition.initializer_name = name
        else:
            definition.initial_value_name = f"{name}:0"
        variables[position] = definition.SerializeToString()
        return
    if not variables:
        del mutant.meta.collection_def["variables"]
    names = ["saved_model_main_op", "legacy_init_op", "table_initializer", "init_op"]
    if mutant.rng.random() < 0.3:
        mutant.meta.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = name
    else:
        mutant.meta.collection_def[mutant.rng.choice(names)].node_list.value.append(name)


def saver(mutant: Mutant) -> None:
    nodes, about = mutant.graph.node, mutant.meta.saver_def
    if not about.filename_tensor_name:
        default = mutant.add(nodes, "Const")
        put_strings(mutant.rng, default, [b"model"])
        path = mutant.add(nodes, "PlaceholderWithDefault", [default.name]).name
        about.filename_tensor_name = f"{path}:0"
        about.save_tensor_name = f"{mutant.add(nodes, 'Identity', [path]).name}:0"
        about.restore_op_name = mutant.add(nodes, "NoOp").name
    restores = mutant.rng.random() < 0.5
    end = (about.restore_op_name if restores else about.save_tensor_name).partition(":")[0]
    given = about.filename_tensor_name.partition(":")[0]
    writes = mutant.op in ("Save", "SaveV2", "SaveSlices", "MergeV2Checkpoints")
    called = [node for node in nodes if node.name == end and node.attr["f"].func.name]
    if called and mutant.rng.random() < 0.5:
        name = called[0].attr["f"].func.name
        body = next(each for each in mutant.graph.library.function if each.signature.name == name)
        bad = mutant.bad(body.node_def)
        body.control_ret["bad"] = bad.name
        return
    if mutant.op in CHECKPOINT_OPS:
        # A write to the very path that the saver restores from is one to the module's own files.
        inputs = [given] * 3 if restores and writes and mutant.rng.random() < 0.3 else [_elsewhere(mutant, given)] * 3
        bad = mutant.bad(nodes, inputs).name
    else:
        bad = mutant.bad(nodes).name
    next(node for node in nodes if node.name == end).input.append(f"^{bad}")


def _elsewhere(mutant: Mutant, given: str) -> str:
    """A path that begins as the saver's does and leaves the module, or has nothing to do with it."""
    nodes = mutant.graph.node
    way = mutant.rng.randrange(4)
    if way == 0:
        return mutant.path(nodes)
    parts = [[b"/../../x"], [b"/.", b"./x"], [b"x", b"y"]][way - 1]
    names = []
    for part in parts:
        constant = mutant.add(nodes, "Const")
        put_strings(mutant.rng, constant, [part])
        names.append(constant.name)
    joined = mutant.add(nodes, "StringJoin", [given, *names])
    joined.attr["N"].i = 1 + len(names)
    if way == 3:
        joined.attr["separator"].s = b"/../"
    name: str = joined.name
    return name


def asset_path(mutant: Mutant) -> None:
    """A path where a table of a legitimate module has that of an asset; or that, where no loader feeds it."""
    nodes = mutant.graph.node
    assets = _assets(mutant)
    way = mutant.rng.randrange(5)
    if way == 4 and assets:
        _run_by_a_signature(mutant, mutant.rng.choice(assets))
        return
    if way == 0:
        path = mutant.path(nodes)
    elif way == 1:
        path = mutant.add(nodes, "Placeholder").name
    elif way == 2 and assets:
        path = mutant.add(nodes, "StringJoin", [mutant.rng.choice(assets), mutant.path(nodes)]).name
    else:
        handle = mutant.add(nodes, "VarHandleOp")
        mutant.add(nodes, "AssignVariableOp", [handle.name, mutant.path(nodes)])
        path = mutant.add(nodes, "ReadVariableOp", [handle.name]).name
    table = mutant.add(nodes, "HashTableV2").name
    inputs = [table, path] if mutant.op in TABLE_OPS else [path] * 3
    bad = mutant.bad(nodes, inputs).name
    if mutant.rng.random() < 0.5:
        mutant.meta.collection_def["table_initializer"].node_list.value.append(bad)


def _run_by_a_signature(mutant: Mutant, asset: str) -> None:
    nodes = mutant.graph.node
    bad = mutant.bad(nodes, [mutant.add(nodes, "HashTableV2").name, asset]).name
    end = mutant.add(nodes, "Const", [f"^{bad}"]).name
    mutant.meta.signature_def[mutant.rng.choice(["default", "another"])].outputs["end"].name = f"{end}:0"


def _assets(mutant: Mutant) -> list[str]:
    found = []
    for packed in mutant.meta.collection_def["saved_model_assets"].any_list.value:
        found.append(message_class("AssetFileDef").FromString(packed.value).tensor_info.name.partition(":")[0])
    found += [asset.tensor_info.name.partition(":")[0] for asset in mutant.meta.asset_file_def]
    return [name for name in found if any(node.name == name for node in mutant.graph.node)]


def tensor_content(mutant: Mutant) -> None:
    """A program in a string, however the string is encoded."""
    hidden = message_class("GraphDef")()
    hidden.node.add(name="some_constant", op="Const")
    inner = Mutant(
        mutant.rng, message_class("SavedModel")(meta_graphs=[{"graph_def": hidden}]).SerializeToString(), mutant.op
    )
    inner.bad(inner.graph.node)
    data = inner.graph.SerializeToString()
    if mutant.rng.random() < 0.2:
        made = mutant.function(["NoOp"])
        made.attr["_program"].s = data
        return
    nodes = mutant.nodes()
    node = mutant.add(nodes, mutant.rng.choice(["Const", "Const", "NoOp"]))
    if node.op == "Const":
        others = [b"x" * mutant.rng.randrange(200) for _ in range(mutant.rng.randrange(3))]
        strings = [*others, data]
        mutant.rng.shuffle(strings)
        put_strings(mutant.rng, node, strings)
    elif mutant.rng.random() < 0.5:
        node.attr["program"].s = data
    else:
        node.attr["programs"].list.s.extend([b"", data])


def put_strings(rng: random.Random, node: Any, strings: Sequence[bytes]) -> None:
    """Makes a Const node of strings, in one of the encodings that TensorFlow reads."""
    node.attr["dtype"].type = STRING
    tensor = node.attr["value"].tensor
    tensor.dtype = STRING
    tensor.tensor_shape.SetInParent()
    if len(strings) > 1:
        tensor.tensor_shape.dim.add(size=len(strings))
    if rng.random() < 0.5:
        tensor.string_val.extend(strings)
    else:
        tensor.tensor_content = b"".join(map(_varint, map(len, strings))) + b"".join(strings)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


PLACES: tuple[Place, ...] = (
    graph,
    function,
    nested_function_attribute,
    initializer,
    saver,
    asset_path,
    control_edge,
    tensor_content,
)
# Where an op that only computes changes nothing of what the saver and the assets are.
HARMLESS_PLACES = (graph, function, nested_function_attribute, control_edge, tensor_content)


def run_trials(modules: Sequence[Path], trials: int, seed: int) -> Figures:
    """Puts each unsafe op into modules at each kind of place in turn, and now and then one that only computes.

    Args:
        modules: Directories of modules, which are left with what the last trial wrote.
        trials: How many unsafe ops.
        seed: What a run is repeated with.
    """
    rng = random.Random(seed)
    originals = {module: (module / "saved_model.pb").read_bytes() for module in modules}
    figures = Figures()
    for module in modules:
        figures.alarms += [f"{module.name} as it is: {finding}" for finding in _alarms(module)]
    for op, place in islice(cycle(_shuffled(rng)), trials):
        module = rng.choice(modules)
        findings = _scanned(module, originals[module], rng, op, place)
        figures.trials += 1
        if UNSAFE[op] not in {finding.level for finding in findings if f"op {op} " in finding.message}:
            figures.missed.append(f"trial {figures.trials}: {op} in {module.name}, {place.__name__}: {findings}")
        if figures.trials % 5 == 0:
            op, place = rng.choice(HARMLESS), rng.choice(HARMLESS_PLACES)
            alarms = [f for f in _scanned(module, originals[module], rng, op, place) if f.level != "note"]
            figures.harmless += 1
            if alarms:
                figures.alarms.append(f"trial {figures.trials}: {op} in {module.name}, {place.__name__}: {alarms}")
    return figures


def _shuffled(rng: random.Random) -> Iterator[tuple[str, Place]]:
    pairs = list(product(UNSAFE, PLACES))
    # There, and nowhere else, an op of the list can be quiet: so these are tried in many more ways.
    pairs += [*product(TABLE_OPS, [asset_path]), *product(CHECKPOINT_OPS, [saver])] * _EXCEPTIONS
    rng.shuffle(pairs)
    yield from pairs


def _scanned(module: Path, original: bytes, rng: random.Random, op: str, place: Place) -> list[Finding]:
    mutant = Mutant(rng, original, op)
    place(mutant)
    (module / "saved_model.pb").write_bytes(mutant.model.SerializeToString())
    return scan_directory(module)


def _alarms(module: Path) -> list[Finding]:
    return [finding for finding in scan_directory(module) if finding.level != "note"]
