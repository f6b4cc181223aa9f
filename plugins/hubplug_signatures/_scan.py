"""Profile ``safe``: which ops of a module's graphs can reach outside of them. No TensorFlow, and nothing is run.

A clean scan lowers the risk; it is not a proof. TensorFlow is not a sandbox, and its own policy says to put models that
are not trusted into one.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hubplug.errors import FormatError
from hubplug.types import Finding
from hubplug_format import (
    SAVED_MODEL_CHUNKED_FILE,
    SAVED_MODEL_FILE,
    SAVED_MODEL_TEXT_FILE,
    GraphVariant,
    OpRegistry,
    SavedModelFile,
    find_asset_file_error,
    message_class,
    names_in,
)
from hubplug_signatures._assets import TABLE_OPS, AssetRules
from hubplug_signatures._attributes import AttributeReader
from hubplug_signatures._constants import strings_of_tensor
from hubplug_signatures._nested_code import is_mlir_bytecode, mlir_ops, programs_in
from hubplug_signatures._program import Program, Scope
from hubplug_signatures._runners import Runners
from hubplug_signatures._saver import CHECKPOINT_OPS, SaverRules
from hubplug_signatures._tracing import literal
from hubplug_signatures._unsafe_ops import is_harmless_as_configured, judge, quiet_ops

_MAX_NESTING = 8
_MAX_OF_A_KIND = 100
_MAX_PLACES = 20


def scan_directory(directory: Path, allow_ops: frozenset[str] = frozenset()) -> list[Finding]:
    """Scans every graph of a module: of all files, graph variants and functions, and those hidden in strings.

    Args:
        directory: The module's directory.
        allow_ops: Op types that are accepted.
    """
    found: list[Finding] = []
    files = [name for name in (SAVED_MODEL_FILE, SAVED_MODEL_TEXT_FILE) if os.path.lexists(directory / name)]
    chunked = sorted(name for name in _names(directory) if name.endswith(Path(SAVED_MODEL_CHUNKED_FILE).suffix))
    for name in chunked:
        said = f"{name} is a SavedModel in pieces, which cannot be scanned and may be loaded in place of {SAVED_MODEL_FILE}"
        found.append(Finding("safe/chunked", "error", said, where=name))
    if not files and not chunked:
        said = f"there is no SavedModel in {directory}: it holds {names_in(directory)}"
        found.append(Finding("safe/not-checked", "error", said))
    for name in files:
        try:
            for variant in SavedModelFile.read_file(directory / name).variants.values():
                found.extend(_Scan(directory, variant, allow_ops).findings())
        except FormatError as error:
            found.append(Finding("safe/not-checked", "error", error.message, where=name))
    return _shortened(found)


@dataclass(frozen=True, eq=False)
class _Exceptions:
    """What may stand in a module's own graph although it is on the list."""

    saver: SaverRules
    assets: AssetRules


class _Scan:
    """The scan of one graph variant."""

    def __init__(self, directory: Path, variant: GraphVariant, allow_ops: frozenset[str]) -> None:
        self._directory = directory
        self._variant = variant
        self._allowed = allow_ops
        self._quiet = quiet_ops()
        self._allowed_at: dict[str, list[tuple[str, str]]] = {}
        self._reader = AttributeReader()

    def findings(self) -> Iterator[Finding]:
        for name in dict.fromkeys(asset.filename for asset in self._variant.assets):
            if error := find_asset_file_error(self._directory, name):
                yield Finding("safe/asset", "error", error, self._variant.tags, where=name)
        # The graph has just been parsed, so it is not damaged.
        skimmed = message_class("SkimmedGraph").FromString(self._variant.graph_bytes)
        program = Program.of(self._variant.graph.message, skimmed, self._reader)
        runners = Runners(program, self._variant)
        rules = _Exceptions(
            SaverRules(program, self._variant.saver, runners),
            AssetRules(self._directory, self._variant, program, runners),
        )
        for name, error in rules.assets.find_unnamed_files():
            yield Finding("safe/asset", "error", error, self._variant.tags, where=name)
        yield from self._scan_program(program, rules, 0)
        for op, places in sorted(self._allowed_at.items()):
            said = _allowed_words(op, [place for _, place in places])
            yield Finding("safe/allowed-op", "note", said, self._variant.tags, where=places[0][0])

    def _scan_program(self, program: Program, rules: _Exceptions | None, depth: int) -> Iterator[Finding]:
        yield from self._check_function_names(program)
        # Whether anything leads to a function is not asked: the graph optimizer puts a function in the place of another one
        # that implements the same, and attributes name functions in ways that only TensorFlow knows.
        for scope in program.scopes():
            if len({node.name for node in scope.nodes}) < len(scope.nodes):
                where = scope.path.removesuffix(", ") or "the graph"
                said = f"two nodes have one name, and which of them an input means is not defined ({where})"
                yield Finding("safe/node-name", "error", said, self._variant.tags, where=where)
            for position, op in enumerate(scope.ops):
                if op not in self._quiet and op not in program.functions:
                    yield from self._check_node(program, rules, scope, scope.nodes[position])
            for position, facts in scope.facts.items():
                if facts.strings:
                    where = f"{scope.path}node {scope.nodes[position].name!r}"
                    yield from self._scan_strings(facts.strings, where, depth + 1)
            if scope.strings:
                yield from self._scan_strings(scope.strings, scope.path.removesuffix(", "), depth + 1)

    def _check_function_names(self, program: Program) -> Iterator[Finding]:
        names = Counter(scope.function for scope in program.bodies)
        for name, count in names.items():
            if count > 1:
                said = f"{count} functions have the name {name!r}, and which of them runs is not defined"
            elif name in OpRegistry.bundled():
                said = f"a function has the name of TensorFlow's op {name}, and so takes its place"
            else:
                continue
            where = f"{program.path}function {name!r}"
            yield Finding("safe/function-name", "error", f"{said} ({where})", self._variant.tags, where=where)

    def _check_node(self, program: Program, rules: _Exceptions | None, scope: Scope, node: Any) -> Iterator[Finding]:
        about = judge(node.op)
        if about is None:
            return
        level: Literal["error", "warning", "note"] = "warning" if about.level == "warning" else "error"
        said = f"op {node.op} {about.reason}"
        if node.op in TABLE_OPS:
            why = rules.assets.find_table_error(scope, node) if rules else "it is in a program in a string"
            if why is None:
                return
            said = f"op {node.op} reads a file that is not an asset of the module: {why}"
        elif node.op in CHECKPOINT_OPS and rules is not None and rules.saver.owns(scope, node):
            return
        elif is_harmless_as_configured(node, self._variant.has_stripped_defaults and not program.path):
            level, said = "note", f"{said}, though not as it is configured here"
        where = f"{scope.path}node {node.name!r}"
        place = f"{where}{_arguments(scope, node)}"
        if node.op in self._allowed:
            self._allowed_at.setdefault(node.op, []).append((where, place))
        else:
            yield Finding(f"safe/{about.name}", level, f"{said} ({place})", self._variant.tags, where=where)

    def _scan_strings(self, strings: Iterable[bytes], where: str, depth: int) -> Iterator[Finding]:
        for data in strings:
            if is_mlir_bytecode(data):
                said = f"a string holds a compiled MLIR program, which cannot be inspected ({where})"
                yield Finding("safe/nested-program", "error", said, self._variant.tags, where=where)
            # What TensorFlow does not have is an attribute there, as a rule.
            for op in sorted(mlir_ops(data) & OpRegistry.bundled().names - self._quiet):
                about = judge(op)
                assert about is not None
                place = f"{where}, in an MLIR program in a string"
                if op in self._allowed:
                    self._allowed_at.setdefault(op, []).append((where, place))
                    continue
                said = f"op {op} {about.reason} ({place})"
                yield Finding(f"safe/{about.name}", "error", said, self._variant.tags, where=where)
            for program in programs_in(data, self._reader, f"{where}, program in a string: "):
                if depth > _MAX_NESTING:
                    said = f"programs are hidden in strings of programs more than {_MAX_NESTING} deep"
                    yield Finding("safe/nested-program", "error", said, self._variant.tags, where=where)
                    return
                yield from self._scan_program(program, None, depth)


def _allowed_words(op: str, places: list[str]) -> str:
    times = "once" if len(places) == 1 else f"{len(places)} times"
    shown = "; ".join(places[:_MAX_PLACES])
    more = f"; and {len(places) - _MAX_PLACES} more" if len(places) > _MAX_PLACES else ""
    about = judge(op)
    return f"op {op} {about.reason if about else ''}; it is allowed by name, and occurs {times}: {shown}{more}"


def _arguments(scope: Scope, node: Any) -> str:
    shown = []
    for name in list(node.input)[:16]:
        given = scope.node_of(name)
        # Bounded, since a hostile graph may have a ring of them.
        for _ in range(16):
            if given is None or given.op != "Identity" or not given.input:
                break
            given = scope.node_of(given.input[0])
        if given is not None and given.op == "Const" and strings_of_tensor(given.attr["value"].tensor):
            shown.append(literal(given))
    for key in sorted(node.attr):
        value = node.attr[key]
        if value.WhichOneof("value") == "s" and value.s and not key.startswith("_") and len(value.s) <= 200:
            shown.append(f"{key}={value.s.decode(errors='backslashreplace')!a}")
    return f", given {', '.join(shown[:4])}" if shown else ""


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _shortened(found: list[Finding]) -> list[Finding]:
    """At most a hundred findings of one rule and level, so that a graph of a million bad nodes has a readable report."""
    seen: Counter[tuple[str, str]] = Counter()
    kept = []
    for finding in found:
        kind = (finding.rule, finding.level)
        seen[kind] += 1
        if seen[kind] <= _MAX_OF_A_KIND:
            kept.append(finding)
    for (rule, level), count in seen.items():
        if count > _MAX_OF_A_KIND:
            said = f"{count - _MAX_OF_A_KIND} more findings of this kind"
            kept.append(
                Finding(rule, "error" if level == "error" else "warning" if level == "warning" else "note", said)
            )
    return kept
