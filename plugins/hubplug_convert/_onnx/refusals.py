"""Ops that the converter takes, but that give something else in ONNX: refused by name before anything is converted."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from hubplug.errors import ExportError

_RANDOM = re.compile(r"Random|Multinomial|CandidateSampler|TruncatedNormal")
# What the converter takes away, or puts together, before its rules are asked.
_WITHOUT_RULE = frozenset(
    [
        "Assert",
        "Const",
        "Enter",
        "Exit",
        "If",
        "LoopCond",
        "Merge",
        "NextIteration",
        "NoOp",
        "Placeholder",
        "PlaceholderWithDefault",
        "StatelessIf",
        "StatelessWhile",
        "StopGradient",
        "Switch",
        "TensorArrayGatherV3",
        "TensorArrayReadV3",
        "TensorArrayScatterV3",
        "TensorArraySizeV3",
        "TensorArrayV3",
        "TensorArrayWriteV3",
        "While",
    ]
)
NO_RULE = "tf2onnx has no rule for it"
_REASONS = {
    "StringToHashBucketFast": "onnxruntime-extensions hashes words to other buckets than TensorFlow",
    "StringToHashBucket": "onnxruntime-extensions hashes words to other buckets than TensorFlow",
    "MutableHashTableV2": "a table that changes has no equal in ONNX",
    "MutableHashTable": "a table that changes has no equal in ONNX",
}
HINT = "leave the signature out with --signature, have the publisher replace the op, or convert to saved-model, which keeps all ops"


def refuse(ops: dict[str, str], signature: str) -> ExportError:
    """The error that names ops with the reasons."""
    said = "; ".join(f"{op} ({reason})" for op, reason in sorted(ops.items()))
    return ExportError(f"Signature {signature!r} cannot be converted to ONNX, since it has {said}", hint=HINT)


def find_refused(graph_def: Any) -> dict[str, str]:
    """The ops of a graph, and of its functions, that are not converted: op -> the reason."""
    return {node.op: reason for node in nodes_of(graph_def) for reason in _reasons(node)}


def find_unknown(graph_def: Any, known: Collection[str]) -> dict[str, str]:
    """The ops of a graph that no rule of the converter is for: op -> the reason."""
    found = {node.op for node in nodes_of(graph_def)} - set(known) - _WITHOUT_RULE
    return dict.fromkeys(found, NO_RULE)


def nodes_of(graph_def: Any) -> Iterator[Any]:
    """The nodes of a graph and of its functions."""
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def _reasons(node: Any) -> Iterable[str]:
    if _RANDOM.search(node.op):
        yield "its random numbers are others in ONNX"
    elif node.op in _REASONS and not (node.op == "StringToHashBucketFast" and node.attr["num_buckets"].i == 1):
        yield _REASONS[node.op]
