"""Whether a path that a table is filled from is one that a loader puts there: that of an asset of the module.

Loaders of TensorFlow 1 feed the tensors of assets while they initialize, and at no other time; ``hub.Module`` writes the
paths into the constants. The loader of TensorFlow 2 binds assets as objects, and takes all constants as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from hubplug_format import GraphVariant, find_asset_file_error
from hubplug_signatures._constants import strings_of
from hubplug_signatures._held_values import HeldValues
from hubplug_signatures._program import Program, Scope, data_inputs, tensor_name
from hubplug_signatures._runners import Runners
from hubplug_signatures._tracing import Captures, Origin, Tracer, literal

# Op -> position of the input that is the path of the file.
TABLE_OPS = {"InitializeTableFromTextFile": 1, "InitializeTableFromTextFileV2": 1}

# What exporters leave in the place of a path.
_BLANK = frozenset({b"SAVEDMODEL-ASSET"})
_COLLECTION = "asset_filepaths"
_WORDS = {
    "init": "an initializer",
    "tables": "a program by itself",
    "scaffold": "a training program",
    "signature": "a signature",
    "save": "the saver",
    "restore": "the saver",
    "variable": "the initializer of a variable",
    "collection": "a collection",
    "objects": "an object",
    "nobody": "no initializer",
}


class AssetRules:
    """Answers for the tables and assets of one graph variant."""

    def __init__(self, directory: Path, variant: GraphVariant, program: Program, runners: Runners) -> None:
        self._directory = directory
        self._variant = variant
        self._runners = runners
        self._program = program
        # TensorFlow looks at the collection only where the field is empty.
        by_source = {
            source: [asset for asset in variant.assets if asset.source == source]
            for source in ("asset_file_def", "saved_model_assets")
        }
        self._fed: dict[str, set[str]] = {}
        for asset in by_source["asset_file_def"] or by_source["saved_model_assets"]:
            self._fed.setdefault(tensor_name(asset.tensor_name), set()).add(asset.filename)
        captures = Captures()
        if variant.has_object_graph:
            objects = variant.object_graph
            captures = Captures(
                {name: tuple(function.bound_inputs) for name, function in objects.concrete_functions.items()},
                tuple(objects.nodes),
                tuple(asset.filename for asset in by_source["asset_file_def"]),
            )
        held = HeldValues(program, [variable.name for variable in variant.variables])
        self._tracer = Tracer(program, captures, runners, held)

    def find_table_error(self, scope: Scope, node: Any) -> str | None:
        """Says what a table is filled from that is not an asset of the module; None where it is one, whoever fills it."""
        inputs = data_inputs(node)
        position = TABLE_OPS[node.op]
        if len(inputs) <= position:
            return "it has no file name"
        for origin in self._tracer.origins(scope, node, inputs[position]):
            if error := self._find_error(origin):
                return error
        return None

    def find_unnamed_files(self) -> Iterator[tuple[str, str]]:
        """The tensors that an export would take for asset files though the module does not have these, with the reason.

        An export copies the files that they name into the module that it writes.
        """
        about = self._variant.collections.get(_COLLECTION)
        names = self._variant.collection(_COLLECTION) if about and about.kind == "node_list" else ()
        for name in dict.fromkeys(map(tensor_name, names)):
            if name not in self._fed:
                node = self._program.top.node_of(name)
                given = literal(node) if node is not None else "not in the graph"
                yield (
                    name,
                    f"an export copies the file that {name!r} names, and it is not an asset of the module: {given}",
                )

    def _find_error(self, origin: Origin) -> str | None:
        if origin.kind == "asset":
            return find_asset_file_error(self._directory, origin.text)
        filenames = self._fed.get(f"{origin.node.name}:0") if origin.kind == "node" else None
        if filenames is None:
            return f"the file name is {origin.text}"
        # Where not every loader feeds the path, the constant must not hold one.
        blank = origin.node.op == "Placeholder" or strings_of(origin.node) == _BLANK
        for user in sorted(origin.users):
            runners = self._runners.of_top(user)
            fed = "init" in runners or (blank and "tables" in runners)
            if not fed or not runners <= {"init", "tables", "scaffold"}:
                by = " and ".join(_WORDS[runner] for runner in sorted(runners))
                return f"an asset is fed while the module is initialized, and {by} runs {user!r}: {origin.text}"
        if len(filenames) > 1:
            return f"the file name is that of {len(filenames)} assets"
        (filename,) = filenames
        if not blank and not _names(strings_of(origin.node), filename):
            return f"the file name is {origin.text}, where the asset is {filename!r}"
        return find_asset_file_error(self._directory, filename)


def _names(strings: frozenset[bytes] | None, filename: str) -> bool:
    """Whether a constant holds the path of a file before it was copied to the assets."""
    if strings is None or len(strings) != 1:
        return False
    (text,) = strings
    source = PurePosixPath(text.decode(errors="replace")).name
    # A number is appended to the second of two files of one name.
    return bool(source and re.fullmatch(rf"{re.escape(source)}_?[0-9]*", PurePosixPath(filename).name))
