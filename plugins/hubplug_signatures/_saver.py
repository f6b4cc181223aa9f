"""Which checkpoint ops belong to the saver of a SavedModel, and to nothing else.

TensorFlow's own loader runs the saver, and gives it the path: of the checkpoint beside the graph. So SaveV2, RestoreV2 and
MergeV2Checkpoints are quiet where nothing but the saver's names leads to them, and where their path begins with the tensor
that takes the saver's path. Anywhere else they are findings.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hubplug_format import SaverInfo
from hubplug_signatures._program import CALL_OPS, Program, Scope, node_name

# Op -> positions of the inputs that are paths.
CHECKPOINT_OPS = {
    "MergeV2Checkpoints": (0, 1),
    "Restore": (0,),
    "RestoreSlice": (0,),
    "RestoreV2": (0,),
    "Save": (0,),
    "SaveSlices": (0,),
    "SaveV2": (0,),
}


class SaverRules:
    """Answers whether a checkpoint op is the saver's own."""

    def __init__(
        self, program: Program, saver: SaverInfo | None, other_roots: Iterable[str], outside: frozenset[str]
    ) -> None:
        """Looks at the saver.

        Args:
            program: The graph and its functions.
            saver: Its saver, or None.
            other_roots: The tensors and ops that somebody else runs: those of signatures and collections.
            outside: The functions that somebody outside the graph calls.
        """
        self._program = program
        self._outside = outside
        self._filename = node_name(saver.filename_tensor_name) if saver else ""
        self._others = {node_name(name) for name in other_roots}
        self._ends = {node_name(name) for name in (saver.save_tensor_name, saver.restore_op_name)} if saver else set()
        self._closure = self._ancestors(self._ends)
        # Answers so far; a question that is still open is answered no, so a ring of calls is not the saver's.
        self._reached: dict[tuple[str | None, str], bool] = {}
        self._paths: dict[tuple[str | None, str], bool] = {}

    def owns(self, scope: Scope, node: Any) -> bool:
        """Whether a node is a checkpoint op that only the saver leads to, and whose path is the saver's."""
        if not self._filename or node.op not in CHECKPOINT_OPS or not self._only_saver_reaches(scope, node):
            return False
        inputs = [name for name in node.input if not name.startswith("^")]
        positions = CHECKPOINT_OPS[node.op]
        return len(inputs) > max(positions) and all(
            self._is_saver_path(scope, inputs[position]) for position in positions
        )

    def _only_saver_reaches(self, scope: Scope, node: Any) -> bool:
        question = (scope.function, node.name if scope.function is None else "")
        if question not in self._reached:
            self._reached[question] = False
            self._reached[question] = self._reaches(scope, node)
        return self._reached[question]

    def _reaches(self, scope: Scope, node: Any) -> bool:
        if scope.function is None:
            reached = self._descendants(node.name)
            return node.name in self._closure and reached <= self._closure and not reached & self._others
        sites = self._program.calls_of(scope.function)
        return (
            bool(sites)
            and scope.function not in self._outside
            and all(site.node.op in CALL_OPS and self._only_saver_reaches(site.scope, site.node) for site in sites)
        )

    def _is_saver_path(self, scope: Scope, input_name: str) -> bool:
        question = (scope.function, input_name)
        if question not in self._paths:
            self._paths[question] = False
            self._paths[question] = self._leads_to_filename(scope, input_name)
        return self._paths[question]

    def _leads_to_filename(self, scope: Scope, input_name: str) -> bool:
        argument = scope.argument_of(input_name)
        if argument is not None:
            assert scope.function is not None
            sites = self._program.calls_of(scope.function)
            given = [[name for name in site.node.input if not name.startswith("^")] for site in sites]
            return bool(sites) and all(
                argument < len(inputs) and self._is_saver_path(site.scope, inputs[argument])
                for site, inputs in zip(sites, given, strict=True)
            )
        node = scope.node_of(input_name)
        if node is None:
            return False
        if scope.function is None and node.name == self._filename:
            return self._is_harmless_default(scope, node)
        inputs = [name for name in node.input if not name.startswith("^")]
        if node.op in ("Identity", "ShardedFilename", "StringJoin") and inputs:
            rest = inputs[1:] if node.op == "StringJoin" else []
            return self._is_saver_path(scope, inputs[0]) and all(self._is_plain_suffix(scope, name) for name in rest)
        if node.op == "Pack":
            return bool(inputs) and all(self._is_saver_path(scope, name) for name in inputs)
        return False

    def _is_plain_suffix(self, scope: Scope, input_name: str) -> bool:
        node = scope.node_of(input_name)
        if node is not None and node.op in ("Select", "SelectV2") and len(node.input) >= 3:
            return all(self._is_plain_constant(scope.node_of(name)) for name in node.input[1:3])
        return self._is_plain_constant(node)

    def _is_plain_constant(self, node: Any) -> bool:
        return (
            node is not None
            and node.op == "Const"
            and not any(b".." in value for value in node.attr["value"].tensor.string_val)
        )

    def _is_harmless_default(self, scope: Scope, node: Any) -> bool:
        # TensorFlow makes two of them, one on the other.
        for _ in range(2):
            if node is not None and node.op == "PlaceholderWithDefault" and node.input:
                node = scope.node_of(node.input[0])
        if node is None or node.op != "Const":
            return node is not None and node.op == "Placeholder"
        values = node.attr["value"].tensor.string_val
        # TensorFlow's own default is "model": a name in the current directory, which no loader uses.
        return all(not value.startswith(b"/") and b".." not in value and b":" not in value for value in values)

    def _ancestors(self, names: Iterable[str]) -> set[str]:
        seen: set[str] = set()
        waiting = [name for name in names if name in self._program.top.by_name]
        while waiting:
            name = waiting.pop()
            if name not in seen and (node := self._program.top.by_name.get(name)) is not None:
                seen.add(name)
                waiting.extend(node_name(given) for given in node.input)
        return seen

    def _descendants(self, name: str) -> set[str]:
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            current = waiting.pop()
            if current not in seen:
                seen.add(current)
                waiting.extend(self._program.top.consumers.get(current, ()))
        return seen
