"""Which checkpoint ops belong to the saver of a SavedModel, and to nothing else.

TensorFlow's own loader runs the saver's restore op, and gives it the path of the checkpoint beside the graph. Only a
program that saves runs its save op. So an op that restores is quiet where only the restore op runs it, one that writes
where only the save op does, both by the names in the SaverDef, and where the path that is computed is the saver's with a
plain ending. Anywhere else they are findings.
"""

from __future__ import annotations

from typing import Any

from hubplug_format import SaverInfo
from hubplug_signatures._constants import strings_of
from hubplug_signatures._path_values import PathValues, are_plain_endings, are_plain_names
from hubplug_signatures._program import Program, Scope, data_inputs
from hubplug_signatures._runners import Runner, Runners

# Op -> who may run it, and positions of the inputs that are paths.
CHECKPOINT_OPS: dict[str, tuple[Runner, tuple[int, ...]]] = {
    "MergeV2Checkpoints": ("save", (0, 1)),
    "Restore": ("restore", (0,)),
    "RestoreSlice": ("restore", (0,)),
    "RestoreV2": ("restore", (0,)),
    "Save": ("save", (0,)),
    "SaveSlices": ("save", (0,)),
    "SaveV2": ("save", (0,)),
}


class SaverRules:
    """Answers whether a checkpoint op is the saver's own."""

    def __init__(self, program: Program, saver: SaverInfo | None, runners: Runners) -> None:
        self._runners = runners
        self._paths: PathValues | None = None
        if saver is not None and _has_harmless_default(program.top, saver.filename_tensor_name):
            self._paths = PathValues(program, saver.filename_tensor_name)

    def owns(self, scope: Scope, node: Any) -> bool:
        """Whether a node is a checkpoint op that only the saver's op of its kind runs, and whose path is the saver's."""
        if self._paths is None or node.op not in CHECKPOINT_OPS:
            return False
        runner, positions = CHECKPOINT_OPS[node.op]
        if self._runners.of(scope, node) != {runner}:
            return False
        if runner == "save" and self._runners.is_in_a_definition(scope, node):
            return False
        inputs = data_inputs(node)
        return len(inputs) > max(positions) and all(
            are_plain_endings(self._paths.of(scope, inputs[position])) for position in positions
        )


def _has_harmless_default(top: Scope, filename: str) -> bool:
    """Whether the tensor that takes the path has no default, or TensorFlow's: "model", which no loader uses."""
    node = top.node_of(filename)
    # TensorFlow makes two of them, one on the other.
    for _ in range(2):
        if node is not None and node.op == "PlaceholderWithDefault" and node.input:
            node = top.node_of(node.input[0])
    if node is None:
        return False
    return node.op == "Placeholder" or are_plain_names(strings_of(node))
