"""Which ops are unsafe and why, from the bundled list, and when an attribute makes one of them harmless.

The list was found by going through all ops of TensorFlow 2.15 and tracing them. Whether an op is registered as stateful
says nothing: ReadFile, ImmutableConst and DatasetFromGraph are not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

_GROUPS: dict[str, tuple[str, str, Literal["error", "warning"]]] = {
    "A_write_or_delete_files": ("safe/writes-files", "can write or delete files", "error"),
    "B_read_files": ("safe/reads-files", "can read files", "error"),
    "C_network_or_cross_process": ("safe/network", "can talk to other processes or machines", "error"),
    "D_host_code_or_nested_program": ("safe/runs-code", "runs code of the host or a program of its own", "error"),
    "E_kill_or_hang": ("safe/kills-or-hangs", "can end the process or block it for ever", "warning"),
}

# Of TensorFlow 1's contrib, so in no list of registered ops.
_CONTRIB = {
    "BigQueryReader": "C_network_or_cross_process",
    "GcsConfigureBlockCache": "C_network_or_cross_process",
    "GcsConfigureCredentials": "C_network_or_cross_process",
    "KafkaDataset": "C_network_or_cross_process",
    "Rpc": "C_network_or_cross_process",
    "TryRpc": "C_network_or_cross_process",
}

# Op -> the attribute that decides; the values with which the op touches nothing outside, the default among them; and
# beginnings of such values. Then it is worth a note only.
_HARMLESS: dict[str, tuple[str, frozenset[bytes], tuple[bytes, ...]]] = {
    "PrintV2": (
        "output_stream",
        frozenset({b"stderr", b"stdout", b"log(info)", b"log(warning)", b"log(error)"}),
        (),
    ),
    "FixedUnigramCandidateSampler": ("vocab_file", frozenset({b""}), ()),
    "DecodeProtoV2": ("descriptor_source", frozenset({b"", b"local://"}), (b"bytes://",)),
    "EncodeProto": ("descriptor_source", frozenset({b"", b"local://"}), (b"bytes://",)),
}


@dataclass(frozen=True)
class UnsafeOp:
    """Why an op is on the list: the rule it breaks, in words, and how bad that is."""

    rule: str
    why: str
    level: Literal["error", "warning"]


@cache
def unsafe_ops() -> dict[str, UnsafeOp]:
    """Op type -> why it is unsafe."""
    groups = json.loads(resources.files(__package__).joinpath("unsafe-ops.json").read_text(encoding="utf-8"))
    listed = {
        op: UnsafeOp(*_GROUPS[group])
        for group, ops in groups.items()
        for op in (*ops["present_in_tf_2.15"], *ops["absent"])
    }
    return listed | {op: UnsafeOp(*_GROUPS[group]) for op, group in _CONTRIB.items()}


def is_harmless_as_configured(node: Any, stripped: bool) -> bool:
    """Whether the attributes of a node of the list prove that it touches nothing outside.

    Args:
        node: A NodeDef message.
        stripped: Whether attributes with default values were left out when the graph was written, as exporters do and say.
            Where nobody says so, a missing attribute proves nothing: no exporter writes such a graph.
    """
    if node.op not in _HARMLESS:
        return False
    attr, values, beginnings = _HARMLESS[node.op]
    if attr not in node.attr:
        return stripped
    value = node.attr[attr]
    return value.WhichOneof("value") == "s" and (value.s in values or value.s.startswith(beginnings))
